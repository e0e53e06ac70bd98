"""Takes secrets out of texts, errors and log records.

One redactor for the whole house: user info in URLs, query strings, authorisation values, PEM blocks, and every
value that was handed out by a decrypting field (`remember`).
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock

MASK = "***"
_PATTERNS = [
    (re.compile(r"-----BEGIN [A-Z0-9 ]{1,40}-----.*?(-----END [A-Z0-9 ]{1,40}-----|\Z)", re.DOTALL), MASK),
    (
        re.compile(r"(?i)\b((?:proxy-)?authorization\s*[:=]\s*)(?:(?:bearer|basic|token)\s+)?[^\s,;\"']+"),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{1,20}://)[^/\s@\"'<>]{1,2000}@"), r"\1"),
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s?\"'<>]{1,2000})\?[^\s\"'<>]*"), r"\1"),
    (re.compile(r"\b(xox[abprs]-|xapp-|gh[pousr]_|glpat-|hub[pr]_)[A-Za-z0-9_-]{6,}"), MASK),
]
_KEEP = 4096
_known: OrderedDict[str, None] = OrderedDict()
_lock = Lock()


def remember(secret: str) -> None:
    """Register a value that must never appear in any text again. Short values would mask innocent text."""
    if len(secret) < 6:
        return
    with _lock:
        _known[secret] = None
        _known.move_to_end(secret)
        while len(_known) > _KEEP:
            _known.popitem(last=False)


def redact(text: str, secrets: Iterable[str] = (), *, limit: int = 0) -> str:
    """The text without secrets, cut at `limit` characters (0: not cut) with an ellipsis."""
    with _lock:
        known = list(_known)
    for secret in (*secrets, *known):
        if secret and secret in text:
            text = text.replace(secret, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    if limit and len(text) > limit:
        text = text[: limit - 1] + "…"
    return plain(text)


def plain(text: str) -> str:
    """The text without what a database refuses: NUL, and halves of characters (names that are no UTF-8)."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


class LogFilter(logging.Filter):
    """Passes every record through `redact`, its traceback included.

    `cut`: expressions whose first group stays, and what follows it in the match goes: secrets by their place.
    """

    def __init__(self, cut: Iterable[str] = ()) -> None:
        super().__init__()
        self._cut = [re.compile(each) for each in cut]

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, str):
            record.msg, record.args = self._clean(record.getMessage()), None
        elif isinstance(record.msg, dict):
            record.msg = {k: self._clean(v) if isinstance(v, str) else v for k, v in record.msg.items()}
        if record.exc_info:
            # Formatters drop what is not in the message, and would print it unredacted where they do not.
            text = self._clean(logging.Formatter().formatException(record.exc_info))
            if isinstance(record.msg, dict):
                record.msg["exception"] = text
            else:
                record.msg = f"{record.msg}\n{text}"
            record.exc_info = record.exc_text = None
        return True

    def _clean(self, text: str) -> str:
        text = redact(text)
        for pattern in self._cut:
            text = pattern.sub(rf"\1{MASK}", text)
        return text
