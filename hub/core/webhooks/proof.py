"""Who sent it: proofs over the raw bytes of a webhook, compared in constant time (sources.md 7)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime

Headers = Mapping[str, str]
Proof = Callable[[Headers, bytes, str, datetime], bool]

_TOLERANCE_S = 300
_MIN_TOKEN = 32


def same(one: str, other: str) -> bool:
    """Equal texts, in constant time, whatever bytes a header held."""
    return hmac.compare_digest(
        one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape")
    )


def hex_signature(*headers: str, prefix: str = "") -> Proof:
    """HMAC-SHA256 of the body as hex in one of `headers`, after `prefix`."""

    def check(found: Headers, body: bytes, secret: str, _now: datetime) -> bool:
        given = next((found[name] for name in headers if name in found), "")
        expected = prefix + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return same(given, expected)

    return check


def basic(found: Headers, _body: bytes, secret: str, _now: datetime) -> bool:
    """HTTP Basic; the secret is `user:password`."""
    expected = "Basic " + base64.b64encode(secret.encode()).decode()
    return ":" in secret and same(found.get("authorization", ""), expected)


def authorization(found: Headers, _body: bytes, secret: str, _now: datetime) -> bool:
    """The Authorization header is the secret itself."""
    return same(found.get("authorization", ""), secret)


def gitlab(found: Headers, body: bytes, secret: str, now: datetime) -> bool:
    """`X-Gitlab-Token`, or `webhook-signature` over `id.timestamp.body` not older or newer than five minutes."""
    if "webhook-signature" not in found:
        return same(found.get("x-gitlab-token", ""), secret)
    identity, written = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
    if not (written.isascii() and written.isdigit() and len(written) <= 12):
        return False
    if abs(int(written) - now.timestamp()) > _TOLERANCE_S:
        return False
    signed = f"{identity}.{written}.".encode("utf-8", "surrogateescape") + body
    expected = (
        "v1," + base64.b64encode(hmac.new(_signing_key(secret), signed, hashlib.sha256).digest()).decode()
    )
    offered = found["webhook-signature"].split(" ")[:8]
    return any(same(each, expected) for each in offered)


def _signing_key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            return secret.encode()
    return secret.encode()


def bitbucket_cloud(found: Headers, body: bytes, secret: str, now: datetime) -> bool:
    """The signature, or, weaker and only when the secret is written `uuid:<value>`, the hook's UUID."""
    if secret.startswith("uuid:"):
        return len(secret) > 10 and same(found.get("x-hook-uuid", ""), secret.removeprefix("uuid:"))
    return hex_signature("x-hub-signature", prefix="sha256=")(found, body, secret, now)


def token_digest(token: str) -> str:
    """How the token of an address is stored: hex SHA-256. ValueError below 32 characters."""
    if len(token) < _MIN_TOKEN:
        raise ValueError(f"the token of a webhook address has at least {_MIN_TOKEN} characters")
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def token(found: Headers, _body: bytes, secret: str, _now: datetime) -> bool:
    """The token of the address, which the door hands in as `:token`; the secret is its digest."""
    given = found.get(":token", "")
    return len(given) >= _MIN_TOKEN and same(token_digest(given), secret)
