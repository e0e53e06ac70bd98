"""Webhooks, purely: recognise the sender, prove it, read which repositories moved (sources.md 7).

May live here: functions of headers and bytes. May not: the door (`hub.api`), looking up Repositories, rate limits,
the memory of deliveries. A payload is a hint: it can set `next_poll_at` and nothing else, so a forged one costs
one listing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from hub.core.sources.refs import RefTable, is_full_id
from hub.core.sources.urls import webhook_key
from hub.core.webhooks.proof import token_digest
from hub.core.webhooks.providers import BY_NAME, Provider, recognise, values
from hub.errors import HubError

__all__ = ["DEFAULT_MAX_BODY", "Hint", "read_webhook", "recognised_name", "token_digest", "unseen_commits"]

DEFAULT_MAX_BODY = 1024 * 1024
HARD_MAX_BODY = 25 * 1024 * 1024
_MAX_DEPTH = 32
_MAX_VALUES = 200


@dataclass(frozen=True, slots=True)
class Hint:
    """What a delivery says. `keys` are the `webhook_key`s of the repositories it may mean, `commits` the new tips.

    `useful` is False for pings and events of no interest: answer 200 and do nothing. `proven_by` is the position
    of the secret that fitted, so that a door can keep a Repository's own secret to that Repository.
    """

    provider: str
    delivery_id: str
    useful: bool
    keys: frozenset[str] = frozenset()
    refs: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    proven_by: int = 0

    def concerns(self, url: str) -> bool:
        """Whether a Repository of this address gets the Hint."""
        return webhook_key(url) in self.keys


def recognised_name(headers: Mapping[str, str]) -> str:
    """The provider that the headers show, or an empty text."""
    found = recognise(_lowered(headers))
    return found.name if found else ""


def read_webhook(
    provider: str,
    method: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    secrets: Sequence[str],
    now: datetime,
    token: str = "",
    max_body: int = DEFAULT_MAX_BODY,
) -> Hint:
    """Judge one request in the order of sources.md 7 and read it. `provider` may be empty: then it is recognised.

    `secrets` are those that may prove this delivery (digests of tokens for the providers with an address token,
    which `token` is checked against). Raises HubError with the status to answer: 400, 401, 404, 405, 413, 415.
    """
    lowered = _lowered(headers)
    _check_form(method, lowered, body, min(max_body, HARD_MAX_BODY))
    sender = BY_NAME.get(provider) if provider else recognise(lowered)
    if sender is None or not secrets:
        raise _refused(404, "webhook_off", "this webhook is not switched on")
    proven_by = _proven(sender, lowered | {":token": token}, body, secrets, now)
    data = _parse(body)
    delivery_id = _delivery_id(sender, lowered, data, body)
    if sender.is_ping(lowered) or not sender.interesting(lowered, data):
        return Hint(sender.name, delivery_id, False, proven_by=proven_by)
    return _hint(sender, delivery_id, data, proven_by)


def _check_form(method: str, headers: Mapping[str, str], body: bytes, limit: int) -> None:
    if method != "POST":
        raise _refused(405, "method_not_allowed", "a webhook is sent with POST")
    written = headers.get("content-length", "0")
    told = int(written) if written.isascii() and written.isdigit() and len(written) < 19 else limit + 1
    if max(told, len(body)) > limit:
        raise _refused(413, "too_large", f"a webhook has at most {limit:,} bytes")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise _refused(415, "not_json", "a webhook is sent as application/json")


def _proven(
    sender: Provider, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
) -> int:
    """The position of the secret that fits; every secret is tried, so time tells nothing."""
    fits = [bool(secret) and sender.proof(headers, body, secret, now) for secret in secrets]
    if not any(fits):
        raise _refused(401, "proof_refused", "the proof of this webhook is missing or wrong")
    return fits.index(True)


def _parse(body: bytes) -> Mapping[str, Any]:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _refused(400, "malformed", "the body is no JSON") from None
    if not isinstance(data, dict):
        raise _refused(400, "malformed", "the body is no JSON object")
    level: list[Any] = [data]
    for _ in range(_MAX_DEPTH):
        level = [
            item
            for each in level
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, dict | list)
        ]
        if not level:
            return data
    raise _refused(400, "malformed", f"the body is nested deeper than {_MAX_DEPTH} levels")


def _delivery_id(sender: Provider, headers: Mapping[str, str], data: Mapping[str, Any], body: bytes) -> str:
    """What tells deliveries apart; senders without an id are told apart by the digest of the body."""
    named = next((headers[name] for name in sender.delivery_headers if headers.get(name)), "")
    if not named and sender.delivery_field:
        named = next(iter(values(data, sender.delivery_field)), "")
    if not named or len(named) > 200 or not named.isprintable():
        return hashlib.sha256(body).hexdigest()
    return named


def _hint(sender: Provider, delivery_id: str, data: Mapping[str, Any], proven_by: int) -> Hint:
    addresses = [text for path in sender.repositories for text in values(data, path)]
    keys = {webhook_key(text) for text in addresses if len(text) <= 2048}
    for image in sender.images(data) if sender.images else ():
        key = webhook_key(image)
        keys |= {key, key.rpartition("/")[0]}  # an OCI Repository is written with or without the chart's name
    keys = {key for key in keys if "/" in key}
    if not keys:
        raise _refused(400, "malformed", "the body names no repository")
    return Hint(
        sender.name,
        delivery_id,
        True,
        frozenset(sorted(keys)[:_MAX_VALUES]),
        _first(text for path in sender.refs for text in values(data, path)),
        _first(text for path in sender.commits for text in values(data, path) if _is_commit(text)),
        proven_by,
    )


def _first(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for text in dict.fromkeys(texts) if 0 < len(text) <= 255)[:_MAX_VALUES]


def _is_commit(text: str) -> bool:
    return is_full_id(text) and text.strip("0") != ""


def unseen_commits(hint: Hint, table: RefTable) -> bool:
    """Whether the payload names a tip the listing does not show yet (a lagging replica): look again soon."""
    shown = {*table.refs.values(), *table.tag_objects.values()}
    return any(commit not in shown for commit in hint.commits)


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _refused(status: int, code: str, message: str) -> HubError:
    return HubError(code, message, status=status)
