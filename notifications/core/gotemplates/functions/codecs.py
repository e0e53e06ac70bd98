"""JSON, base64, digests, URLs, regular expressions and versions."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Any
from urllib.parse import quote_plus, urlsplit

import notifications.core.regexes as regexes
import notifications.core.versions as versions
from notifications.core.gotemplates.functions.printing import size, text_of
from notifications.core.gotemplates.functions.registry import MAX_ITEMS, Row, bounded
from notifications.core.govalues import NOTHING, go_text
from notifications.core.marks import raw

_GROUP = re.compile(r"\$(?:(\w+)|\{(\w+)\}|(\$))")


def plain(value: Any) -> Any:
    """JSON-like: times and durations as their text, nothing as null."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if value is None or value is NOTHING:
        return None
    return value if isinstance(value, bool | int | float | str) else go_text(value)


def to_json(value: Any, **options: Any) -> str:
    """Sorted keys, as Go writes maps."""
    bounded(size(value))
    return json.dumps(plain(value), ensure_ascii=False, sort_keys=True, **options)


def _safe_json(text: str) -> str:
    """Go's encoder also escapes what HTML minds; marks are left, they become entities."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("needs valid JSON") from None


def _b64dec(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except (ValueError, binascii.Error):
        raise ValueError("needs valid base64") from None


def _url(text: str) -> dict[str, Any]:
    parts = urlsplit(text)
    user = (parts.netloc.rpartition("@")[0]) if "@" in parts.netloc else ""
    return {
        "scheme": parts.scheme,
        "userinfo": user,
        "host": parts.netloc.rpartition("@")[2],
        "hostname": parts.hostname or "",
        "path": parts.path,
        "query": parts.query,
        "opaque": "" if parts.netloc or not parts.scheme else parts.path,
        "fragment": parts.fragment,
    }


def _found(pattern: str, text: str) -> list[Any]:
    subject = regexes.bounded(raw(pattern), raw(text))
    return list(regexes.pattern(raw(pattern)).finditer(subject))


def _find(pattern: str, text: str) -> str:
    found = _found(pattern, text)
    return text[found[0].start() : found[0].end()] if found else ""


def _find_all(pattern: str, text: str, most: int) -> list[str]:
    found = _found(pattern, text)
    return [text[one.start() : one.end()] for one in (found if most < 0 else found[:most])][:MAX_ITEMS]


def _replace_all(pattern: str, text: str, into: str) -> str:
    made, at, total = [], 0, 0
    for found in _found(pattern, text):
        new = _expanded(into, found, text)
        made += [text[at : found.start()], new]
        at = found.end()
        total += len(new)
        bounded(total)
    return "".join(made) + text[at:]


def _expanded(into: str, found: Any, text: str) -> str:
    """`$1`, `${1}`, `${name}` and `$$`, as Go's Expand."""

    def group(wanted: re.Match[str]) -> str:
        if wanted[3]:
            return "$"
        name = wanted[1] or wanted[2]
        try:
            start, end = found.span(int(name) if name.isdigit() else name)
        except (IndexError, KeyError):
            return ""
        return text[start:end] if start >= 0 else ""

    return _GROUP.sub(group, into)


def _split(pattern: str, text: str, most: int) -> list[str]:
    made: list[str] = []
    at = 0
    if most == 0:
        return []
    for found in _found(pattern, text):
        if most > 0 and len(made) == most - 1:
            break
        if found.end() > found.start() or 0 < found.start() < len(text):
            made.append(text[at : found.start()])
            at = found.end()
    return [*made, text[at:]][:MAX_ITEMS]


def _semver(text: str) -> dict[str, Any]:
    version = versions.parse(text)
    return {
        "Major": version.major,
        "Minor": version.minor,
        "Patch": version.patch,
        "Prerelease": version.prerelease,
        "Metadata": version.metadata,
        "Original": text,
    }


TABLE = (
    Row("toJson", "v", lambda value: _safe_json(to_json(value, separators=(",", ":")))),
    Row("toRawJson", "v", lambda value: to_json(value, separators=(",", ":"))),
    Row("toPrettyJson", "v", lambda value: _safe_json(to_json(value, indent=2))),
    Row("fromJson", "s", _from_json, "data"),
    Row("b64enc", "s", lambda text: base64.b64encode(text.encode("utf-8", "replace")).decode(), "raw"),
    Row("b64dec", "s", _b64dec, "data"),
    Row("sha1sum", "s", lambda text: hashlib.sha1(text.encode("utf-8", "replace")).hexdigest(), "raw"),  # noqa: S324
    Row("sha256sum", "s", lambda text: hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(), "raw"),
    Row("regexMatch", "ss", regexes.matches, "raw"),
    Row("regexFind", "ss", _find),
    Row("regexFindAll", "ssi", _find_all),
    Row("regexReplaceAll", "sss", _replace_all),
    Row("regexSplit", "ssi", _split),
    Row("urlquery", "v*", lambda *given: quote_plus("".join(text_of(value) for value in given)), "raw"),
    Row("urlParse", "s", _url, "data"),
    Row("semver", "s", _semver, "data"),
    Row("semverCompare", "ss", versions.satisfies, "raw"),
)
