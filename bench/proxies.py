"""Runs the real proxies with the files of `deploy/proxy`, on other ports and with their own certificates.

Debian: apt install nginx-light caddy.
"""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from launch import free_port

PROXY = Path(__file__).absolute().parent.parent / "deploy" / "proxy"
#: The folders of the programs; Debian has nginx outside of PATH.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
#: The longest wait for a proxy to answer, in seconds.
PATIENCE = 30.0


def is_here(program: str) -> bool:
    """Return whether a proxy is installed."""
    return shutil.which(program, path=PATH) is not None


def trusting() -> ssl.SSLContext:
    """Return a TLS context that accepts the self-signed certificate of the proxy."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextmanager
def running(program: str, folder: Path, backend: int, root: str = "") -> Iterator[int]:
    """Run nginx or caddy in front of the port `backend`, below the path `root`. Yield its port: https://localhost:PORT.

    Raise RuntimeError with its output if it ends or does not answer.
    """
    port, log = free_port(), folder / "proxy.log"
    env = {**os.environ, "PATH": PATH, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with log.open("wb") as out:
        command = _COMMANDS[program](folder, port, backend, root)
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(f"https://localhost:{port}{root}/healthz"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{program} does not answer: {log.read_text('utf-8')}")
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def connections(port: int) -> int:
    """Count the open connections to this port of 127.0.0.1 (Linux: proc(5), /proc/net/tcp)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    return sum(int(row[2].partition(":")[2], 16) == port and row[3] == "01" for row in rows)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5, context=trusting()):
            return True
    except OSError:
        return False


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for localhost and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*form))
    return folder / "cert.pem", folder / "key.pem"


def _as_said(said: str, root: str) -> str:
    """Return the lines from a comment of an example, for this path."""
    return said.replace("/interlock", root)


def _nginx(folder: Path, port: int, backend: int, root: str) -> list[str]:
    """Return the command of nginx with our file, on other ports and with its own certificate."""
    cert, key = _certificate(folder)
    ours = (PROXY / "nginx.conf").read_text("utf-8")
    below = re.findall("`(location [^`]+)`", ours)
    if len(below) != 2:
        raise ValueError("nginx.conf does not say what to write for both places below a path")
    places = dict(zip(("location / {", "location ~ (/live|/events)$ {"), below, strict=True)) if root else {}
    for old, new in {
        **{old: f"{_as_said(new, root)} {{" for old, new in places.items()},
        "127.0.0.1:8080": f"127.0.0.1:{backend}",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/certs/ci.example.com.pem": str(cert),
        "/etc/ssl/private/ci.example.com.key": str(key),
        "server_name ci.example.com": "server_name localhost",
    }.items():
        if old not in ours:
            raise ValueError(f"nginx.conf has no {old}")
        ours = ours.replace(old, new)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
    whole += f"events {{ worker_connections 1024; }}\nhttp {{ access_log off;\n{temporary}{ours}\n}}\n"
    (folder / "nginx.conf").write_text(whole)
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def _caddy(folder: Path, port: int, backend: int, root: str) -> list[str]:
    """Return the command of Caddy with our file, on other ports; for localhost it makes its own certificate."""
    ours = (PROXY / "Caddyfile").read_text("utf-8")
    leads, takes_off = re.findall("`((?:redir|handle_path) [^`]+)`", ours)
    if root:
        before, proxies, after = ours.rpartition("\treverse_proxy")
        before += f"\t{_as_said(leads, root)}\n\t{_as_said(takes_off, root)}\n"
        ours = f"{before}{proxies}{after.rstrip().removesuffix('}')}\t}}\n}}\n"
    version = subprocess.run(["caddy", "version"], capture_output=True, text=True, timeout=20, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < (2, 7):
        ours = re.sub(r"request_buffers \S+", "buffer_requests", ours)
    ours = ours.replace("{\n", "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n", 1)
    ours = ours.replace("{$INTERLOCK_HOST}", f"https://localhost:{port}").replace(
        "{$INTERLOCK_WEB}", f"127.0.0.1:{backend}"
    )
    (folder / "Caddyfile").write_text(ours)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


_COMMANDS: dict[str, Callable[[Path, int, int, str], list[str]]] = {"nginx": _nginx, "caddy": _caddy}
