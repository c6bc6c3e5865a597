"""A controller that speaks https with a certificate of somebody's own authority."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket

import jenkins as python_jenkins
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from standins.jenkins import JenkinsStandIn

DAY = datetime.timedelta(days=1)


def issued(name, key, issuer, issuer_key, *, authority=False, names=()):
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
    if authority:
        usage = dict.fromkeys(
            (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        made = made.add_extension(x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True), critical=True)
    return made.sign(issuer_key, hashes.SHA256())


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    """The PEM files of an authority, and of a server's certificate and key that it signed."""
    folder = tmp_path_factory.mktemp("papers")
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = issued(name("our authority"), root_key, name("our authority"), root_key, authority=True)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    leaf = issued(name("jenkins"), key, name("our authority"), root_key, names=[address])
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(root.public_bytes(pem))
    (folder / "cert.pem").write_bytes(leaf.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    return folder


@pytest.fixture
def secure(papers):
    job = {"name": "job", "parameters": ["A"], "quiet_period": 0}
    arguments = {"certificate": str(papers / "cert.pem"), "key": str(papers / "key.pem")}
    with JenkinsStandIn({"context": "/ci"}, [job], **arguments) as server:
        yield server


def test_who_knows_the_authority_is_let_in_and_addresses_say_https(secure, papers):
    assert secure.url.startswith("https://127.0.0.1:")
    known = {"verify": str(papers / "ca.pem"), "timeout": 5}
    with requests.Session() as session:
        for at in (1, 2):  # the second over the kept connection
            reply = session.post(f"{secure.url}/job/job/buildWithParameters", params={"A": at}, **known)
            assert (reply.status_code, reply.headers["Location"]) == (201, f"{secure.url}/queue/item/{at}/")
        shown = session.get(f"{secure.url}/job/job/api/json?tree=url", **known).json()
    assert shown["url"] == f"{secure.url}/job/job/"


def test_who_does_not_know_it_sends_nothing(secure):
    with pytest.raises(requests.exceptions.SSLError):
        requests.post(f"{secure.url}/job/job/buildWithParameters", timeout=5)
    assert secure.control.requests() == {}
    assert secure.control.builds() == []


def test_the_client_library_takes_the_authority_from_the_environment(secure, papers, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(papers / "ca.pem"))
    caller = python_jenkins.Jenkins(secure.url, timeout=5)
    assert caller.build_job("job", {"A": "1"}) == 1
    caller._session.close()


def test_who_speaks_plain_http_gets_nothing_and_the_others_are_still_served(secure, papers):
    with socket.create_connection(("127.0.0.1", secure._server.port), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):  # closed or broken off: both are no answer
            assert not plain.recv(1000).startswith(b"HTTP/1.1 200")
    assert requests.get(f"{secure.url}/api/json", verify=str(papers / "ca.pem"), timeout=5).status_code == 200


def test_somebody_who_is_slow_to_greet_does_not_keep_the_others_waiting(secure, papers):
    with socket.create_connection(("127.0.0.1", secure._server.port), timeout=5):
        assert requests.get(f"{secure.url}/api/json", verify=str(papers / "ca.pem"), timeout=5).status_code == 200


def test_certificate_and_key_belong_together(papers):
    with pytest.raises(ValueError, match="https needs both"):
        JenkinsStandIn(certificate=str(papers / "cert.pem"))
