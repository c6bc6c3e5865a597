"""The one grammar of a Redis address: what it takes, both clients are made from; the rest is refused in words."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from redis.connection import SSLConnection

from bot.store.address import Address, AddressError, RabbitAddress, SignIn, parse, parse_broker
from bot.store.connection import connect
from config import broker

ADDRESSES = [
    ("redis://host", Address((("host", 6379),))),
    ("redis://bob:p%40w@host:1/3", Address((("host", 1),), db=3, sign_in=SignIn("bob", "p@w"))),
    ("redis://[::1]:7?db=2", Address((("::1", 7),), db=2)),
    ("unix:///run/r.sock", Address(socket="/run/r.sock")),
    ("unix://:pw@/run/r.sock?db=4", Address(socket="/run/r.sock", db=4, sign_in=SignIn(None, "pw"))),
    ("redis+sentinel://a/m", Address((("a", 26379),), master="m")),
    (
        "redis+sentinel://:pw@a,b:2,[::1]/shop.main/5?sentinel_username=s&sentinel_password=t",
        Address((("a", 26379), ("b", 2), ("::1", 26379)), "", "shop.main", 5, SignIn(None, "pw"), SignIn("s", "t")),
    ),
    (
        "rediss://host?ssl_cert_reqs=none",
        Address((("host", 6379),), tls={"ssl_cert_reqs": "none", "ssl_check_hostname": False}),
    ),
    (
        "rediss+sentinel://a/m?ssl_ca_certs=/ca.pem&ssl_check_hostname=false",
        Address(
            (("a", 26379),),
            master="m",
            tls={"ssl_ca_certs": "/ca.pem", "ssl_cert_reqs": "required", "ssl_check_hostname": False},
        ),
    ),
]
CLUSTERS = [
    ("redis+cluster://:pw@a,b:2", Address((("a", 6379), ("b", 2)), sign_in=SignIn(None, "pw"), cluster=True)),
    (
        "rediss+cluster://a?ssl_cert_reqs=none",
        Address((("a", 6379),), tls={"ssl_cert_reqs": "none", "ssl_check_hostname": False}, cluster=True),
    ),
]
RABBITS = [
    ("amqp://a", RabbitAddress((("a", 5672),)), "amqp://a:5672/%2F"),
    (
        "amqp://bob:p%40w@a,[::1]:7/shop",
        RabbitAddress((("a", 5672), ("::1", 7)), "shop", SignIn("bob", "p@w")),
        "amqp://bob:p%40w@a:5672/shop;amqp://bob:p%40w@[::1]:7/shop",
    ),
    (
        "amqps://a/%2Fx?ssl_ca_certs=/ca.pem",
        RabbitAddress(
            (("a", 5671),),
            "/x",
            tls={"ssl_ca_certs": "/ca.pem", "ssl_cert_reqs": "required", "ssl_check_hostname": True},
        ),
        "amqp://a:5671/%2Fx",
    ),
]
NO_BROKERS = [
    ("redis+cluster://a", "is a Redis Cluster, which Celery cannot use"),
    ("amqp://", "is not the address of RabbitMQ"),
    ("amqp://a/b/c", "has a path that is too long"),
    ("amqp://a?heartbeat=1", "has the option `heartbeat`, which `amqp://` does not have; expected none"),
    ("amqp://a,a", "names a host twice"),
]

REFUSED = [
    ("localhost:6379", "is not the address of a Redis"),
    ("redis://", "is not the address of a Redis"),
    ("http://host", "is not the address of a Redis"),
    ("sentinel://a:26379/m", "is not the address of a Redis"),
    ("redis+socket:///run/r.sock", "is not the address of a Redis"),
    ("redis://ho st", "holds a blank"),
    ("redis://:p#w@host", "holds a `#`"),
    ("redis://[::1", "its host is not valid"),
    ("redis://:p/w@host", "has a host, number 1"),
    ("redis://host:70000", "has a host, number 1"),
    ("redis://a,b/0", "names several hosts"),
    ("redis+cluster://a/0", "has a path; a cluster has no databases"),
    ("redis+cluster://a?db=1", "has the option `db`, which `redis+cluster://` does not have; expected none"),
    ("redis://host/x", "has a database that is not a number"),
    ("redis://host/1/2", "has a path that is too long"),
    ("redis://host/1?db=2", "gives the number of the database twice"),
    ("redis://host?db=1&db=2", "gives an option twice"),
    (
        "redis://host?socket_timeout=1",
        "has the option `socket_timeout`, which `redis://` does not have; expected one of `db`",
    ),
    ("redis://host?ssl_cert_reqs=none", "has the option `ssl_cert_reqs`"),
    ("redis://host?db=", "gives the option `db` no value"),
    ("unix://run", "names no socket"),
    ("unix:///", "names no socket"),
    ("redis+sentinel://a:1,b:2", "does not name the master of the sentinels"),
    ("redis+sentinel://a:1,b:2/", "does not name the master of the sentinels"),
    ("redis+sentinel://a,,b/m", "has a host, number 2"),
    ("redis+sentinel://a,a/m", "names a host twice"),
    ("redis+sentinel://a/m/n", "has a database that is not a number"),
    ("rediss://host?ssl_cert_reqs=perhaps", "has an `ssl_cert_reqs` that is not known"),
    ("rediss://host?ssl_check_hostname=maybe", "has an `ssl_check_hostname`"),
    ("rediss://host?ssl_certfile=/c.pem", "names one of `ssl_certfile` and `ssl_keyfile`"),
]


@pytest.mark.parametrize(("text", "expected"), CLUSTERS)
def test_the_address_of_a_cluster_is_taken_apart(text: str, expected: Address) -> None:
    assert parse(text) == expected
    connect(text).close()


@pytest.mark.parametrize(("text", "expected", "for_celery"), RABBITS)
def test_the_address_of_rabbitmq_is_taken_apart(text: str, expected: RabbitAddress, for_celery: str) -> None:
    assert parse_broker(text) == expected
    found = broker.settings(text)
    assert found["broker_url"] == for_celery
    assert ("broker_use_ssl" in found) == text.startswith("amqps")


@pytest.mark.parametrize(("text", "sentence"), NO_BROKERS)
def test_no_other_broker_is_taken(text: str, sentence: str) -> None:
    with pytest.raises(AddressError) as caught:
        broker.settings(text)
    assert sentence in str(caught.value)


def test_rabbitmq_must_show_a_certificate_for_the_name_of_the_first_host() -> None:
    found = broker.settings("amqps://a,b?ssl_ca_certs=/ca.pem")["broker_use_ssl"]
    assert found == {"ca_certs": "/ca.pem", "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "a"}
    unchecked = broker.settings("amqps://a?ssl_cert_reqs=none")["broker_use_ssl"]
    assert unchecked == {"cert_reqs": ssl.CERT_NONE}


@pytest.mark.parametrize(("text", "expected"), ADDRESSES)
def test_an_address_is_taken_apart(text: str, expected: Address) -> None:
    assert parse(text) == expected
    connect(text).close()  # whatever the grammar takes, a client is made of, and Celery's settings
    assert broker.settings(text)["broker_url"]


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_anything_else_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse(text)
    assert sentence in str(caught.value)


def test_no_password_is_in_the_printed_form() -> None:
    shown = repr(parse("redis+sentinel://:hush@a/m?sentinel_password=hush"))
    assert "hush" not in shown


def test_with_tls_both_the_master_and_the_sentinels_are_spoken_to_with_tls() -> None:
    client = connect("rediss+sentinel://:pw@a,b/m?sentinel_password=s&ssl_ca_certs=/ca.pem")
    pool: Any = client.connection_pool
    assert issubclass(pool.connection_class, SSLConnection)
    assert pool.connection_kwargs["ssl_ca_certs"] == "/ca.pem"
    for sentinel in pool.sentinel_manager.sentinels:
        assert issubclass(sentinel.connection_pool.connection_class, SSLConnection)
        asked = sentinel.connection_pool.connection_kwargs
        assert (asked["ssl_ca_certs"], asked["password"]) == ("/ca.pem", "s")
    found = broker.settings("rediss+sentinel://:pw@a,b/m?sentinel_password=s&ssl_ca_certs=/ca.pem")
    assert found["broker_use_ssl"]["ssl_ca_certs"] == "/ca.pem"
    assert found["broker_transport_options"]["sentinel_kwargs"]["ssl_ca_certs"] == "/ca.pem"
