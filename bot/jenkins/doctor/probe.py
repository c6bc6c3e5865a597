"""Send one plain request to a server that may not answer, and say in words what is wrong if it does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.exceptions import ConnectTimeout, ProxyError, RequestException, SSLError, Timeout


class NoAnswer(Exception):
    """An error: there was no answer. The message says what was found; `mend` says what to do about it."""

    def __init__(self, found: str, mend: str) -> None:
        super().__init__(found)
        self.mend = mend


@dataclass(frozen=True, slots=True)
class ProbedAddress:
    """An address to probe; `setting` is the key of the address in the pipeline file; `timeout` in seconds."""

    url: str
    setting: str
    timeout: float
    ca_bundle: Path | None = None


def probe(
    place: ProbedAddress,
    path: str,
    method: str = "GET",
    *,
    auth: tuple[str, str] | None = None,
    json: dict[str, str] | None = None,
) -> requests.Response:
    """Send a request and return the answer, whatever its status; redirects are not followed. Raises NoAnswer."""
    verify: bool | str = True if place.ca_bundle is None else str(place.ca_bundle)
    try:
        return requests.request(
            method,
            f"{place.url}/{path}",
            auth=auth or _unsigned,
            json=json,
            timeout=place.timeout,
            verify=verify,
            allow_redirects=False,
        )
    except RequestException as error:
        raise _no_answer(place, error) from error
    except OSError as error:  # raised by requests if the file with the certificates does not exist
        raise NoAnswer(str(error), "write the path of a file with certificates (PEM) into ca_bundle") from error


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request unsigned; without this function requests would use a name and a password of ~/.netrc."""
    return request


def _no_answer(place: ProbedAddress, error: RequestException) -> NoAnswer:
    where = shown(place.url)
    if isinstance(error, SSLError):
        return _untrusted(place, str(error))
    if isinstance(error, ProxyError):
        mend = f"check HTTPS_PROXY and HTTP_PROXY, or add {urlsplit(place.url).hostname} to NO_PROXY"
        return NoAnswer(f"the proxy on the way to {where} refuses the connection", mend)
    if isinstance(error, ConnectTimeout):
        found = f"{where} does not answer: no connection within {place.timeout:g} s"
        return NoAnswer(found, "ask your network team whether a firewall drops the connection")
    if isinstance(error, Timeout):
        found = f"{where} accepted the connection and did not answer within {place.timeout:g} s"
        return NoAnswer(found, "check whether it is overloaded, or whether another server listens there")
    if "NameResolutionError" in str(error):
        return NoAnswer(f"the host name {urlsplit(place.url).hostname} cannot be resolved", f"correct {place.setting}")
    if "Connection refused" in str(error):
        found = f"{where} refuses the connection: nothing listens there"
        return NoAnswer(found, f"start it, or correct {place.setting}: this machine must reach it there")
    found = f"{where} cannot be reached ({type(error).__name__})"
    return NoAnswer(found, f"correct {place.setting}: this machine must reach it there")


def _untrusted(place: ProbedAddress, text: str) -> NoAnswer:
    where = shown(place.url)
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text:
        return NoAnswer(f"{where} does not speak TLS at that port", f"write http:// or another port in {place.setting}")
    if "certificate has expired" in text:
        return NoAnswer(f"the certificate of {where} has expired", "renew it on the server")
    if "ostname mismatch" in text or "doesn't match" in text or "IP address mismatch" in text:
        return NoAnswer(f"the certificate of {where} is for another name", f"write its name in {place.setting}")
    found = f"the certificate of {where} is not trusted: this machine does not have its authority"
    mend = "save the authority's certificate (PEM) in a file, and write its path into ca_bundle"
    return NoAnswer(found, mend if place.setting == "url" else "add its authority to the trusted ones of this machine")


def shown(url: str) -> str:
    """Return an address in the form that may be shown: without user, password and query; the path stays."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
