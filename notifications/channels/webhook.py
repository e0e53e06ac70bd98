"""Webhooks: one request per Delivery, the same key in all its attempts (notifications.md 10).

Secrets stand in path and body as names; their values are put in here, at the moment of sending, and nowhere else.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import notifications.channels.base as base
from notifications.channels.base import Network, Owed, Receipt, Request, Step
from notifications.core import marks
from notifications.core.gotimes import parse_duration
from notifications.core.templates import Message

TYPE = "webhook"
# Machines read it: every message stands alone.
FOLDS = False
_TRIES = 3
SECRETS = frozenset(["url", "headers", "basicAuth"])
KNOWN = SECRETS | {"insecureSkipVerify", "retryMax", "retryWaitMin", "retryWaitMax"}


def check(settings: Mapping[str, Any]) -> list[str]:
    return [] if str(settings.get("url") or "").startswith(("http://", "https://")) else ["url is missing"]


def prepare(message: Message, recipient: str, _settings: Mapping[str, Any], owed: Owed) -> list[Step]:
    """The block of the service when the template has one (then its body, even if empty), else the text by POST."""
    part = message.parts.get("webhook")
    own = part.get(owed.service) or next(iter(part.values()), None) if isinstance(part, Mapping) else None
    if isinstance(own, Mapping):
        method = str(own.get("method") or "GET").upper()
        request = {"method": method, "path": str(own.get("path") or ""), "body": str(own.get("body") or "")}
    else:
        request = {"method": "POST", "path": "", "body": message.body or base.plain_text(message)}
    request["recipient"] = recipient
    return [Step("request", request, "harmless" if owed.idempotent else "blind", "call")]


def carry_out(step: Step, settings: Mapping[str, Any], network: Network, owed: Owed) -> Receipt:
    """Raises DeliveryError; a 5xx is clean here, as repeating after one is documented."""
    url, path = str(settings.get("url") or ""), marks.fill(str(step.request["path"]), owed.secrets)
    body = str(step.request["body"])
    body = marks.fill(body, owed.secrets, in_json=body.lstrip()[:1] in ("{", "["))
    request = Request(
        str(step.request["method"]),
        f"{url.rstrip('/')}/{path.lstrip('/')}" if path else url,
        {**_headers(settings), "Idempotency-Key": f"{owed.id}-{owed.token}"},
        body.encode(),
        bool(settings.get("insecureSkipVerify")),
    )
    receipt = base.judged(base.send(request, network), unsure=())
    return Receipt(answer=_hidden(receipt.answer, owed.secrets))


def first_wait(settings: Mapping[str, Any], attempts: int) -> timedelta | None:
    """What `retryMax`, `retryWaitMin` and `retryWaitMax` ask for after the first tries; they only shorten a wait."""
    least, most = _span(settings.get("retryWaitMin")), _span(settings.get("retryWaitMax"))
    tries = settings.get("retryMax", _TRIES)
    if (least is None and most is None) or not isinstance(tries, int) or attempts > tries:
        return None
    doubled = (timedelta(seconds=1) if least is None else least) * (1 << min(attempts - 1, 10))
    return doubled if most is None else min(doubled, most)


def _span(value: object) -> timedelta | None:
    """A duration of Go, or seconds; None for anything else."""
    try:
        text = f"{value}s" if isinstance(value, int) and not isinstance(value, bool) else str(value or "")
        return timedelta(microseconds=max(parse_duration(text).ns, 0) // 1000)
    except ValueError:
        return None


def _headers(settings: Mapping[str, Any]) -> dict[str, str]:
    given = settings.get("headers")
    headers = {
        str(one.get("name")): str(one.get("value", ""))
        for one in (given if isinstance(given, list) else [])
        if isinstance(one, Mapping) and one.get("name")
    }
    basic = settings.get("basicAuth")
    if isinstance(basic, Mapping) and basic.get("username"):
        pair = f"{basic['username']}:{basic.get('password', '')}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers


def _hidden(text: str, secrets: Mapping[str, str]) -> str:
    """A far side that echoes a secret must not bring it into our history."""
    for value in secrets.values():
        text = text.replace(value, marks.HIDDEN) if value else text
    return text
