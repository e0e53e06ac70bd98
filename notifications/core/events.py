"""The event mapping: what must be in it, how big it may be, and what expressions see of it (notifications.md 2).

accept(event) -> event        EventError for what is missing or no JSON; too big ones are cut to 256 KiB
episode_of(event) -> text     the open period that an event belongs to, unlike every other one
scope(event, context) -> names for expressions
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import orjson

from notifications.core.gotimes import parse_rfc3339
from notifications.errors import NotificationError

SEVERITIES = ("info", "success", "warning", "error", "critical")
MAX_EVENT = 256 * 1024
MAX_CHANGES = 200
_MAX_DEPTH = 40
# No database keeps these in JSON: NUL, and half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NEEDED = ("id", "key", "name", "occurred_at", "severity", "summary")
# Texts are cut to these lengths in turn until the event fits.
_TEXT_STEPS = (16_384, 4_096, 1_000, 300)
_LIST_STEPS = (200, 50, 10)

# Which event ends which (notifications.md 2); approvals and hand-made events carry `resolves`.
ENDS = {
    "sync-failed": "sync-succeeded",
    "drift-detected": "drift-resolved",
    "health-degraded": "health-recovered",
    "status-unknown": "status-known",
    "cluster-unreachable": "cluster-recovered",
    "auto-sync-disabled": "auto-sync-enabled",
    "auto-sync-reminder": "auto-sync-enabled",
    "destination-disabled": "destination-enabled",
}


class EventError(NotificationError):
    """The emitter's mistake: `shape` or `too_large`."""


def accept(event: Mapping[str, Any], *, stored: bool = False) -> dict[str, Any]:
    """A copy that is valid JSON, has what every event has, and fits: longest texts first, then `changes` are cut.

    `stored`: it comes out of a column of JSON, so nothing in it has to be looked for that JSON or a database refuses.
    """
    for key in _NEEDED:
        if not isinstance(event.get(key), str) or not event[key]:
            raise EventError("shape", f"an event needs {key} as text")
    if event["severity"] not in SEVERITIES:
        raise EventError(
            "shape", f"unknown severity {event['severity'][:40]!r}", f"known: {', '.join(SEVERITIES)}"
        )
    try:
        parse_rfc3339(event["occurred_at"])
    except ValueError:
        raise EventError("shape", "occurred_at is no time in RFC 3339") from None
    made: dict[str, Any] = dict(event) if stored else _plain(event, 0)
    _limit_changes(made, MAX_CHANGES)
    for most in _TEXT_STEPS:
        if size(made) <= MAX_EVENT:
            return made
        made = _shortened(made, most)
    while size(made) > MAX_EVENT and made.get("changes"):
        _limit_changes(made, len(made["changes"]) // 2)
    for most in _LIST_STEPS:
        # What the emitter added for imported templates: an event without half of it is better than none.
        if size(made) > MAX_EVENT:
            made = {key: _thinned(value, most) for key, value in made.items()}
    if size(made) > MAX_EVENT:
        raise EventError("too_large", "an event may have 256 KiB")
    return made


def size(event: Mapping[str, Any]) -> int:
    """Bytes of the event as compact JSON."""
    try:
        return len(orjson.dumps(event))
    except TypeError:  # half of a surrogate pair, an integer of more than 64 bits
        return len(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))


def _plain(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise EventError("shape", "an event is nested too deep")
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise EventError("shape", "the keys of an event are texts")
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    raise EventError("shape", f"an event holds plain JSON, not {type(value).__name__}")


def _limit_changes(event: dict[str, Any], most: int) -> None:
    """Failed ones come first, so the end is what can be missed; `changes_omitted` counts it."""
    changes = event.get("changes")
    if isinstance(changes, list) and len(changes) > most:
        event["changes_omitted"] = event.get("changes_omitted", 0) + len(changes) - most
        event["changes"] = changes[:most]


def _shortened(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= most else value[: most - 1] + "…"
    if isinstance(value, list):
        return [_shortened(item, most) for item in value]
    if isinstance(value, dict):
        return {key: _shortened(item, most) for key, item in value.items()}
    return value


def _thinned(value: Any, most: int) -> Any:
    """Every list cut to its first entries."""
    if isinstance(value, list):
        return [_thinned(item, most) for item in value[:most]]
    if isinstance(value, dict):
        return {key: _thinned(item, most) for key, item in value.items()}
    return value


def scope(event: Mapping[str, Any], context: Mapping[str, str] | None = None) -> dict[str, Any]:
    """`app` and `appProject` are the App view; absent things are absent, so they are nil in expressions."""
    names: dict[str, Any] = {"event": dict(event), "context": dict(context or {})}
    for name, key in (("app", "application"), ("appProject", "project_view")):
        if event.get(key) is not None:
            names[name] = event[key]
    return names


def episode_of(event: Mapping[str, Any]) -> str:
    """The open period that an event belongs to; "" for events of no period and for those of an operation.

    The number of a period counts per subject and kind, so alone it names nothing: two applications in trouble for the
    first time must not share a thread. A text is the emitter's own name of it.
    """
    name, number = str(event.get("name", "")), event.get("episode")
    if number:
        subject = next(filter(None, (_identity(event.get(part)) for part in ("app", "cluster"))), "")
        parts = [subject, ENDS.get(name, name), str(number)] if isinstance(number, int) else [str(number)]
        return "/".join(part for part in parts if part)
    if name.startswith("sync-"):
        return ""
    if name in ENDS.values() and event.get("resolves"):
        return str(event["resolves"])
    return str(event.get("key", "")) if name in ENDS else ""


def _identity(part: object) -> str:
    return str(part.get("uid") or part.get("name") or "") if isinstance(part, Mapping) else ""
