"""Post one message to an outbound webhook: signed, with a time limit, without following redirects."""

from __future__ import annotations

import hashlib
import hmac
import time
import uuid
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests
import structlog
from requests.exceptions import RequestException, SSLError, Timeout

from bot.outbound import cd_events, payload
from bot.outbound.payload import OutboundMessage
from config.configuration import Configuration, OutboundWebhook
from config.notices import WebhookFormat

log = structlog.get_logger()

#: The longest time to establish a connection, in seconds.
CONNECT = 5.0
#: The most bytes of an answer that are read.
SHORT_BODY = 4096
#: Statuses by which the receiver refuses a message for good: it is given up, and the next one is sent.
REFUSALS = frozenset({400, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class PostResult:
    """The result of a post: the status of the answer, if there was one, and why it failed (empty: it was taken).

    `refused`: another try would not help. `after`: the pause that the receiver asks for, in seconds. `seconds`: the
    duration.
    """

    status: int | None
    error: str
    seconds: float
    refused: bool = False
    after: float | None = None


def post_test(configuration: Configuration, webhook: OutboundWebhook, secret: str) -> PostResult:
    """Post a test message to a webhook, in its format. It does not change which facts are posted."""
    make = cd_events.trial_message if webhook.format is WebhookFormat.CDEVENTS else payload.trial_message
    message = make(configuration, f"test/{uuid.uuid4().hex}", time.time())
    with open_session(webhook) as session:
        return post(session, webhook, secret, message)


def sign(secret: str, body: bytes) -> str:
    """Return the signature of a body: its HMAC-SHA-256 in hex, preceded by the name of the method."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def longest(webhook: OutboundWebhook) -> float:
    """Return the longest duration of one post, in seconds: to connect, and to get the answer."""
    return min(CONNECT, webhook.timeout) + webhook.timeout


def open_session(webhook: OutboundWebhook) -> requests.Session:
    """Open a session for one webhook, which keeps its connection. The environment (proxies, authorities) is read once.

    Otherwise requests would read it at each post, and send credentials from the machine's `.netrc`.
    """
    session = requests.Session()
    verify = str(webhook.ca_bundle) if webhook.ca_bundle is not None else None
    found = session.merge_environment_settings(webhook.url, {}, None, verify, None)
    session.proxies, session.verify = found["proxies"], found["verify"]
    session.trust_env = False
    return session


def post(session: requests.Session, webhook: OutboundWebhook, secret: str, message: OutboundMessage) -> PostResult:
    """Post a message and return the result; failures of the receiver or the network are results, not exceptions."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "interlock",
        "X-Interlock-Event": message.event,
        "X-Interlock-Delivery": message.identity,
        "X-Interlock-Signature-256": sign(secret, message.body),
        **message.headers,
    }
    began = time.monotonic()
    try:
        answer = session.post(
            webhook.url,
            data=message.body,
            headers=headers,
            timeout=(min(CONNECT, webhook.timeout), webhook.timeout),
            allow_redirects=False,
            stream=True,  # the body of the answer is not needed
        )
    except (RequestException, OSError) as error:  # OSError: the CA bundle does not exist
        return PostResult(None, _why(webhook, error), time.monotonic() - began)
    with answer:
        seconds, status = time.monotonic() - began, answer.status_code
        _keep_connection(answer)
        if answer.ok and not answer.is_redirect and status < 300:
            return PostResult(status, "", seconds)
        why = _refusal(status, answer.headers.get("Location", ""))
        return PostResult(status, why, seconds, status in REFUSALS, _after(answer.headers.get("Retry-After", "")))


def _keep_connection(answer: requests.Response) -> None:
    """Read a short body, so that the connection can be used for the next post; after a longer body it is closed."""
    length = answer.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length[:9]) <= SHORT_BODY:
        try:
            _ = answer.content
        except RequestException as error:  # the status has arrived, which is sufficient
            log.debug("webhook-body-unread", error=type(error).__name__)


def _why(webhook: OutboundWebhook, error: Exception) -> str:
    """Return a sentence why there was no answer. The text of the error itself would contain the address."""
    if isinstance(error, Timeout):
        return f"no answer within {webhook.timeout:g} s"
    if isinstance(error, SSLError):
        return "its certificate is not trusted (`ca_bundle` names other authorities)"
    return f"it cannot be reached ({type(error).__name__})"


def _refusal(status: int, location: str) -> str:
    if 300 <= status < 400:
        host = urlsplit(location).hostname
        return (
            f"it redirects{f' to {host}' if host else ''} (HTTP {status}): write its final address "
            "into the pipeline file"
        )
    if status in (401, 403):
        return f"HTTP {status}: check that it uses the same secret for the signature"
    if status in (404, 405, 410):
        return f"HTTP {status}: check its address"
    return f"HTTP {status}"


def _after(text: str) -> float | None:
    """Return the seconds that a `Retry-After` asks for (RFC 9110: a number of seconds, or a date), or None."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
