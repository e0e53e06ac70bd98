"""The names by which tellings, lanes and open periods are known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from notifications.core.triggers import ENDS

_LONGEST = 255


def digest(*parts: object) -> str:
    """SHA-256 over parts that cannot run into each other."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()


def stored_key(key: object) -> str:
    """The unique key of an event as its column holds it: a long one keeps its beginning and its digest."""
    text = str(key)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 65]}/{digest(text)}"


def episode_of(event: Mapping[str, Any]) -> str:
    """The open period that an event belongs to; "" for events of no period and for those of an operation."""
    if event.get("episode"):
        return str(event["episode"])
    name = str(event.get("name", ""))
    if name.startswith("sync-"):
        return ""
    if name in ENDS.values() and event.get("resolves"):
        return str(event["resolves"])
    return str(event.get("key", "")) if name in ENDS else ""
