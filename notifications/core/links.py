"""The one check for every URL that becomes a link (notifications.md 9.5)."""

from __future__ import annotations

from urllib.parse import urlsplit

MAX_LINK = 2048


def safe_link(url: object, *, mail: bool = False) -> str | None:
    """The URL itself, or None: only http and https (mailto where `mail`), no control characters, no user part."""
    if (
        not isinstance(url, str)
        or not url
        or len(url) > MAX_LINK
        or any(ord(char) <= 32 or ord(char) == 127 for char in url)
    ):
        return None
    if any(char in url for char in '<>"`|\\'):
        return None
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (raises for a port that is no number)
    except ValueError:
        return None
    if mail and parts.scheme == "mailto" and "@" in parts.path:
        return url
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return None
    return url
