"""The names by which tellings and lanes are known."""

from __future__ import annotations

import hashlib

_LONGEST = 255


def digest(*parts: object) -> str:
    """SHA-256 over parts that cannot run into each other."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()


def stored_key(key: object) -> str:
    """The unique key of an event as its column holds it: a long one keeps its beginning and its digest."""
    text = str(key)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 65]}/{digest(text)}"
