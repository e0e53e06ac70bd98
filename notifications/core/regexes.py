"""People's regular expressions: RE2 only, bounded in size, so that no pattern takes long (notifications.md 3.3).

RE2 is linear in the text; what remains is its program times the text, and that product is bounded here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

MAX_PATTERN = 200
MAX_SUBJECT = 4096
_MAX_WORK = 500_000  # program instructions x bytes of text: about 10 ms on a slow core
_MEMORY = 1 << 20


@lru_cache(maxsize=512)
def pattern(text: str) -> Any:
    """A compiled pattern with `search`, `finditer`, `split`; ValueError with a sentence for what RE2 refuses.

    Look-around and back-references are refused by RE2 itself.
    """
    if len(text) > MAX_PATTERN:
        raise ValueError(f"has a pattern of more than {MAX_PATTERN} characters")
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as problem:
        reason = problem.args[0] if problem.args else ""
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"has a pattern that RE2 refuses: {said[:120]}") from None


def matches(text: str, subject: str) -> bool:
    """Is there a match anywhere in the first 4 KiB of `subject`? ValueError for a pattern too heavy for its text."""
    return pattern(text).search(bounded(text, subject)) is not None


def work(text: str, subject: str) -> int:
    """Program times text, in units of a thousand: what a search may cost. 0 for a pattern that cannot be compiled."""
    try:
        return int(pattern(text).programsize) * min(len(subject), MAX_SUBJECT) // 1000
    except ValueError:
        return 0


def bounded(text: str, subject: str) -> str:
    """The part of `subject` that may be searched with the pattern `text`."""
    subject = subject[:MAX_SUBJECT]
    if pattern(text).programsize * len(subject.encode()) > _MAX_WORK:
        raise ValueError("has a pattern too heavy for a text of this length")
    return subject
