"""What all channels share: the values, and the one HTTP sender.

The sender resolves a host, has every address judged by guard.addresses, connects to the checked address, verifies
the name by TLS, follows no redirect to another host, stops at its deadline, and says of every failure whether the
far side may have acted: `passing` (it did nothing) or `unsure` (the request was written, no answer came).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit

from guard.addresses import AddressRefused, CheckedAddress, check_host
from guard.redact import redact
from notifications.core.templates import Message
from notifications.errors import NotificationError

Kind = Literal["passing", "wait", "message", "recipient", "service", "unknown", "unsure", "root", "reply"]
Unsure = Literal["ask", "harmless", "blind"]
MAX_ANSWER = 64 * 1024
MAX_REDIRECTS = 3
TIMEOUT_S = 10.0


class DeliveryError(NotificationError):
    """Why a step did not end well, and what that means (notifications.md 6.4 and 7).

    kind: `passing` (the far side did nothing, may pass), `wait` (come back after `retry_after` seconds, nothing
    counted), `message` (this message never goes), `recipient` or `service` (configuration, disables it), `unknown` (a
    code without a rule: three tries), `unsure` (it may have acted), `root` (the root message is gone), `reply` (the
    root cannot be changed: reply instead). `answer` is what the far side said, scrubbed and cut. `slow`: no sooner
    than in 15 minutes. `plainer`: the same as fallback text may go.
    """

    def __init__(
        self,
        code: str,
        sentence: str,
        hint: str = "",
        *,
        kind: Kind,
        retry_after: float | None = None,
        answer: str = "",
        slow: bool = False,
        plainer: bool = False,
    ) -> None:
        super().__init__(
            code, redact(sentence), hint, permanent=kind in ("permanent", "recipient", "service")
        )
        self.kind: Kind = kind
        self.retry_after = retry_after
        self.answer = redact(answer, limit=500)
        self.slow = slow
        self.plainer = plainer


@dataclass(frozen=True)
class Step:
    """One request of a Delivery, as plain JSON so that it can be frozen in a row.

    `unsure`: what may be done when its outcome is unknown. `pace` names the bucket: `post`, `update` or `call`.
    """

    name: str
    request: Mapping[str, Any]
    unsure: Unsure = "blind"
    pace: str = "call"


@dataclass(frozen=True)
class Receipt:
    """What came of a step. `ids` are kept on the Delivery, `answer` on the attempt."""

    ids: Mapping[str, str] = field(default_factory=dict)
    answer: str = ""


@dataclass(frozen=True)
class Owed:
    """What a channel may know of the Delivery that it prepares or sends."""

    id: int
    token: str
    root: str = ""
    root_channel: str = ""
    channel_id: str = ""
    idempotent: bool = False
    service: str = ""
    receipts: Mapping[str, str] = field(default_factory=dict)
    event: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    since: float = 0.0


@dataclass(frozen=True)
class Network:
    """Who may be dialled and until when (`deadline` by the monotonic clock; 0: now and the usual time-out)."""

    allow_loopback: bool = False
    private_networks: Sequence[str] = ()
    insecure_allowed: bool = False
    timeout_s: float = TIMEOUT_S
    deadline: float = 0.0

    def left(self) -> float:
        """Seconds for the next request. Raises DeliveryError (passing) when the time of the attempt is over."""
        if not self.deadline:
            return self.timeout_s
        left = self.deadline - time.monotonic()
        if left < 1:
            raise DeliveryError(
                "too_late", "the time of this attempt was over before it began", kind="passing"
            )
        return min(left, self.timeout_s)


@dataclass(frozen=True)
class Request:
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    insecure: bool = False
    most: int = MAX_ANSWER


@dataclass(frozen=True)
class Answer:
    """`headers` have lower-case names; `body` is at most 64 KiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


def send(request: Request, network: Network) -> Answer:
    """One request to its answer, whatever its status. Raises DeliveryError (`passing`, `unsure`, `service`)."""
    for _ in range(MAX_REDIRECTS + 1):
        answer = _once(request, network)
        location = answer.headers.get("location", "")
        if answer.status not in (301, 302, 303, 307, 308) or not location:
            return answer
        target = urljoin(request.url, location)
        same = urlsplit(target)[:2] == urlsplit(request.url)[:2]
        if not same or (answer.status in (301, 302, 303) and request.method != "GET"):
            raise DeliveryError(
                "redirected",
                f"{urlsplit(request.url).hostname} answers with a redirect",
                "configure the address it redirects to",
                kind="service",
            )
        request = replace(request, url=target)
    raise DeliveryError("redirected", "too many redirects", kind="service")


def checked(url: str, network: Network) -> CheckedAddress:
    """The addresses of a URL that may be dialled. Raises DeliveryError."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = 0
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or not port:
        raise DeliveryError(
            "bad_url", "the address must be an http or https URL without a user", kind="service"
        )
    return dialled(parts.hostname, port, network)


def dialled(host: str, port: int, network: Network) -> CheckedAddress:
    """`check_host` with our errors: a name that does not resolve may resolve later, a refused address never will."""
    try:
        return check_host(
            host, port, allow_loopback=network.allow_loopback, private_networks=network.private_networks
        )
    except AddressRefused as refused:
        if refused.__cause__ is not None:
            raise DeliveryError("unresolved", f"{host} cannot be resolved", kind="passing") from None
        raise DeliveryError(
            "address_refused", str(refused), "allow the network in HUB_PRIVATE_NETWORKS", kind="service"
        ) from None


def connected(address: CheckedAddress, timeout_s: float) -> socket.socket:
    """A connection to one of the checked addresses. Raises DeliveryError (passing)."""
    failure: OSError | None = None
    for one in address.addresses:
        try:
            return socket.create_connection((one, address.port), timeout=timeout_s)
        except OSError as error:
            failure = error
    reason = "no connection in time" if isinstance(failure, TimeoutError) else "the connection is refused"
    raise DeliveryError("unreachable", f"{address.host}:{address.port}: {reason}", kind="passing")


def secured(
    plain: socket.socket, host: str, *, insecure: bool, network: Network, guard: Guarded | None = None
) -> ssl.SSLSocket:
    """TLS with the name verified, unless both the service and an administrator's setting say otherwise."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if insecure and network.insecure_allowed:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        wrapped = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        if guard is not None:
            guard.sock = wrapped
        wrapped.do_handshake()
        return wrapped
    except (OSError, ValueError) as error:
        plain.close()
        why = getattr(error, "verify_message", "") or "no TLS connection"
        raise DeliveryError("tls", f"{host}: {why}", "check the certificate", kind="passing") from None


class Guarded:
    """Ends a connection at its time, however slowly the far side drips."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self.sock = sock
        self.timer = threading.Timer(seconds, self._end)
        self.timer.daemon = True

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Guarded:
        self.timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()
        self.sock.close()


def _once(request: Request, network: Network) -> Answer:
    parts = urlsplit(request.url)
    seconds = network.left()
    address = checked(request.url, network)
    with Guarded(connected(address, seconds), seconds) as guard:
        if parts.scheme == "https":
            secured(guard.sock, address.host, insecure=request.insecure, network=network, guard=guard)
        return _spoken(guard.sock, request, seconds)


def _spoken(sock: socket.socket, request: Request, seconds: float) -> Answer:
    parts = urlsplit(request.url)
    maker = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = maker(parts.hostname or "", parts.port, timeout=seconds)
    connection.sock = sock
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"User-Agent": "gitops-hub", **request.headers}
    try:
        connection.request(request.method, path, body=request.body or None, headers=headers)
        answer = connection.getresponse()
        body = answer.read(request.most)
    except (ValueError, http.client.InvalidURL):
        # Only what is written can be refused like this, before its first byte.
        sentence = (
            "the request cannot be written: an address or header holds a character that may not be there"
        )
        raise DeliveryError("bad_request", sentence, kind="service") from None
    except (OSError, http.client.HTTPException):
        sentence = f"{parts.hostname}: the connection ended without an answer"
        raise DeliveryError("no_answer", sentence, kind="unsure") from None
    finally:
        connection.close()
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)


def judged(answer: Answer, *, unsure: Sequence[int] = (500, 502, 504)) -> Receipt:
    """The usual meaning of a status. Raises DeliveryError for everything but 2xx."""
    status, text = answer.status, answer.text
    if 200 <= status < 300:
        return Receipt(answer=redact(text, limit=500))
    code, sentence = f"http_{status}", f"the far side answered {status}"
    if status == 429:
        raise DeliveryError(code, sentence, kind="wait", retry_after=retry_after(answer), answer=text)
    if status in unsure:
        raise DeliveryError(code, sentence, kind="unsure", answer=text)
    if status in (408, 425) or status >= 500:
        raise DeliveryError(
            code, sentence, kind="passing", retry_after=retry_after(answer, None), answer=text
        )
    if status in (401, 403):
        raise DeliveryError(
            code, sentence, "check the credentials of the service", kind="service", answer=text
        )
    raise DeliveryError(code, sentence, kind="message", answer=text)


def retry_after(answer: Answer, missing: float | None = 30.0) -> float | None:
    """Seconds of `Retry-After` (a number or a date), at most an hour; `missing` when there is none."""
    given = answer.headers.get("retry-after", "").strip()
    if not given:
        return missing
    if given.isdigit():
        return float(min(int(given[:6]), 3600))
    return _until(given, answer.headers.get("date", "")) or missing


def _until(given: str, sent: str) -> float | None:
    try:
        then = parsedate_to_datetime(given)
        now = parsedate_to_datetime(sent) if sent else None
    except (ValueError, TypeError):
        return None
    seconds = (then - now).total_seconds() if now is not None else then.timestamp() - time.time()
    return max(0.0, min(seconds, 3600.0))


def read_json(answer: Answer) -> Any:
    """The body as JSON; None for one that is none."""
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def plain_text(message: Message, *, title: bool = True) -> str:
    """A Message as text for channels without a form of their own."""
    parts = [message.title if title else "", message.body]
    parts += [f"{one.title}: {one.value}" for one in message.fields]
    return "\n".join([part for part in (*parts, message.link or "") if part])
