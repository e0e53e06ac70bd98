"""Guessing passwords is slow: counters in the database per user name, address and device (access-and-api.md ID8).

The address is judged and counted before any row for a name is made, so flooding with random names makes no rows and
evicts nothing (A4). A device that signed in before carries a signed cookie and has a counter of its own, so nobody
can lock out an administrator from afar.
"""

from __future__ import annotations

import hashlib
import ipaddress
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac

from hub.errors import HubError
from hub.models import LoginFailures

WINDOW = timedelta(seconds=300)
LIMITS = {
    LoginFailures.Kind.USER: 5,
    LoginFailures.Kind.ADDRESS: 20,
    LoginFailures.Kind.DEVICE: 5,
}
# Checking a password takes 100 MB for a moment, and counts only when it is over: few at once in a process, the others
# in line, and no more of them than that.
AT_ONCE, IN_FLIGHT = 4, 50
_hashing, _in_flight = threading.BoundedSemaphore(AT_ONCE), threading.BoundedSemaphore(IN_FLIGHT)
DEVICE_COOKIE = "hub-device"
DEVICE_AGE = timedelta(days=180)


class TooManyLogins(HubError):
    """Wait until the window ends; the right password is refused as well. `retry_after` in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(
            "too_many_logins", "too many failed sign-ins", "wait and try again", permanent=False, status=429
        )
        self.retry_after = retry_after


def address_of(request: Any) -> str:
    """The address of the caller; the last hop of X-Forwarded-For only behind a proxy that is configured."""
    address = str(request.META.get("REMOTE_ADDR", ""))
    if getattr(settings, "SECURE_PROXY_SSL_HEADER", None):
        address = request.META.get("HTTP_X_FORWARDED_FOR", address).split(",")[-1].strip() or address
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ""


@contextmanager
def turn() -> Iterator[None]:
    """Around `check`, the password and `failed`, so that those who guess side by side are counted as well (A6).

    Raises TooManyLogins when too many are in line.
    """
    if not _in_flight.acquire(blocking=False):
        raise TooManyLogins(1.0)
    try:
        with _hashing:
            yield
    finally:
        _in_flight.release()


def check(username: str, address: str, device: str = "") -> None:
    """Raises TooManyLogins when the address, or the name from a device unknown to it, has used up its tries."""
    now = timezone.now()
    ends = _over(LoginFailures.Kind.ADDRESS, _network(address), now)
    if known := known_device(username, device):
        ends = ends or _over(LoginFailures.Kind.DEVICE, known, now)
    else:
        ends = ends or _over(LoginFailures.Kind.USER, username.lower(), now)
    if ends is not None:
        raise TooManyLogins((ends - now).total_seconds())


def failed(username: str, address: str, device: str = "") -> None:
    """Count one failure: of the address first, of the name only while the address may still try."""
    _count(LoginFailures.Kind.ADDRESS, _network(address))
    if known := known_device(username, device):
        _count(LoginFailures.Kind.DEVICE, known)
    else:
        _count(LoginFailures.Kind.USER, username.lower())
    LoginFailures.objects.filter(window_ends_at__lt=timezone.now() - WINDOW).delete()


def succeeded(username: str, device: str = "") -> None:
    """Forget the failures of a name that signed in."""
    kinds = {
        LoginFailures.Kind.USER: username.lower(),
        LoginFailures.Kind.DEVICE: known_device(username, device),
    }
    for kind, text in kinds.items():
        if text:
            LoginFailures.objects.filter(kind=kind, key=_key(text)).delete()


def device_cookie(username: str) -> str:
    """A signed text that says: this browser signed in as this user before. It opens nothing by itself."""
    return signing.dumps({"u": username.lower()}, salt="hub.device")


def known_device(username: str, cookie: str) -> str:
    """An identifier of the device when the cookie is ours, fresh and for this name, else an empty text."""
    if not cookie:
        return ""
    try:
        found = signing.loads(cookie, salt="hub.device", max_age=DEVICE_AGE)
    except signing.BadSignature:
        return ""
    ours = isinstance(found, dict) and found.get("u") == username.lower()
    return hashlib.sha256(cookie.encode()).hexdigest() if ours else ""


def _network(address: str) -> str:
    """IPv4 as it is, IPv6 by its /64."""
    if ":" in address:
        return str(ipaddress.ip_network(f"{address}/64", strict=False))
    return address


def _key(text: str) -> str:
    return salted_hmac("hub.guessing", text, algorithm="sha256").hexdigest()


def _over(kind: LoginFailures.Kind, text: str, now: Any) -> Any:
    row = LoginFailures.objects.filter(kind=kind, key=_key(text), window_ends_at__gt=now).first()
    return row.window_ends_at if row is not None and row.count >= LIMITS[kind] else None


def _count(kind: LoginFailures.Kind, text: str) -> None:
    now = timezone.now()
    rows = LoginFailures.objects.filter(kind=kind, key=_key(text))
    if rows.filter(window_ends_at__gt=now).update(count=F("count") + 1):
        return
    if rows.update(count=1, window_ends_at=now + WINDOW):
        return
    try:
        with transaction.atomic():
            LoginFailures.objects.create(kind=kind, key=_key(text), count=1, window_ends_at=now + WINDOW)
    except IntegrityError:
        rows.update(count=F("count") + 1)
