"""Whose request it is, for limits by address: the peer, or whom a trusted proxy names. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def client_address(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """The address of a client. `forwarded`: the header X-Forwarded-For, which anybody may write.

    It counts only if the peer is a trusted proxy, and then from its end, where each proxy adds whom it talked to: the
    last address that is no trusted proxy is the client's.
    """
    found = peer
    for hop in reversed(forwarded.split(",")):
        if not _is_trusted(found, trusted):
            return found
        address = _address(hop.strip())
        if address is None:
            return found
        found = str(address)
    return found


def _is_trusted(text: str, trusted: Sequence[Network]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it: plain, or with a port."""
    for candidate in (text, text.rpartition(":")[0].strip("[]")):
        try:
            return ip_address(candidate)
        except ValueError:
            continue
    return None
