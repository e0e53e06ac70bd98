"""Texts to times: RFC 3339, and any Go layout."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from notifications.core.gotimes.layouts import DAYS, LONGEST_LAYOUT, MONTHS, TOKEN
from notifications.core.gotimes.values import Time

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(?:([Zz])|([+-])(\d\d):(\d\d))",
    re.ASCII,
)


def parse_rfc3339(text: str) -> Time:
    """RFC 3339 with up to nine decimals; the offset becomes the zone it is shown in."""
    found = _RFC3339.fullmatch(text) if len(text) <= 64 else None
    if found is None:
        raise ValueError(f"not a time in RFC 3339: {text[:40]!r}")
    zone: tzinfo = UTC
    if found[8] is None:
        zone = _fixed(found[9], found[10], found[11])
    base = datetime(*(int(found[n]) for n in range(1, 7)), tzinfo=zone)  # type: ignore[misc, arg-type]
    return Time(Time.of(base).ns + int((found[7] or "").ljust(9, "0") or 0), zone)


def _fixed(sign: str, hours: str, minutes: str) -> tzinfo:
    span = timedelta(hours=int(hours), minutes=int(minutes or "0"))
    if span >= timedelta(hours=24):
        raise ValueError("a zone offset of a day or more")
    return timezone(-span if sign == "-" else span) if span else UTC


_SHAPES = {
    "January": f"(?P<Month>{'|'.join(MONTHS)})", "Jan": f"(?P<Mon3>{'|'.join(m[:3] for m in MONTHS)})",
    "Monday": f"(?:{'|'.join(DAYS)})", "Mon": f"(?:{'|'.join(d[:3] for d in DAYS)})", "MST": r"(?P<abbr>[A-Z]{3,5})",
    "2006": r"(?P<year>\d{4})", "06": r"(?P<yy>\d\d)", "01": r"(?P<month>\d\d)", "1": r"(?P<month>\d\d?)",
    "02": r"(?P<day>\d\d)", "2": r"(?P<day>\d\d?)", "_2": r"(?P<day>[ \d]?\d)", "002": r"(?P<yday>\d{3})",
    "__2": r"(?P<yday>[ \d]{2}\d)", "15": r"(?P<hour>\d\d)", "03": r"(?P<half>\d\d)", "3": r"(?P<half>\d\d?)",
    "04": r"(?P<minute>\d\d)", "4": r"(?P<minute>\d\d?)", "05": r"(?P<second>\d\d)(?:[.,](?P<nanos>\d{1,9}))?",
    "5": r"(?P<second>\d\d?)(?:[.,](?P<nanos>\d{1,9}))?", "PM": "(?P<noon>AM|PM)", "pm": "(?P<noon>am|pm)",
}  # fmt: skip


def parse_time(layout: str, text: str, zone: tzinfo) -> Time:
    """`text` read by `layout`; without an offset in it the fields are taken in `zone`. ValueError if it does not fit."""
    if len(layout) > LONGEST_LAYOUT or len(text) > LONGEST_LAYOUT:
        raise ValueError("a time or layout of more than 256 characters")
    pattern, at, seen = "", 0, set[str]()
    for token in TOKEN.finditer(layout):
        pattern += re.escape(layout[at : token.start()])
        shape = _shape(token[0], seen)
        pattern, at = pattern + shape, token.end()
    found = re.fullmatch(pattern + re.escape(layout[at:]), text, re.ASCII)
    if found is None:
        raise ValueError(f"{text[:40]!r} does not fit the layout {layout[:40]!r}")
    return _assembled({name: part for name, part in found.groupdict().items() if part is not None}, zone)


def _shape(token: str, seen: set[str]) -> str:
    if token[0] in ".,":
        return "" if "nanos" in seen else r"(?:[.,]\d{0,9})?"
    if token[0] in "Z-":
        shape = r"(?P<sign>[+-])(?P<oh>\d\d)" + (r":?(?P<om>\d\d)?" if len(token) > 3 else "")
        shape = f"(?:Z|{shape})" if token[0] == "Z" else shape
    else:
        shape = _SHAPES[token]
    names = set(re.findall(r"\?P<(\w+)>", shape))
    if names & seen:
        return re.sub(r"\?P<\w+>", "?:", shape)
    seen |= names
    return shape


def _assembled(found: dict[str, str], zone: tzinfo) -> Time:
    def number(name: str, missing: int) -> int:
        return int(found[name]) if name in found else missing

    if "sign" in found:
        zone = _fixed(found["sign"], found["oh"], found.get("om", "0"))
    elif found.get("abbr") in ("UTC", "GMT"):
        zone = UTC
    month = number("month", 1)
    if "Month" in found:
        month = MONTHS.index(found["Month"]) + 1
    elif "Mon3" in found:
        month = [name[:3] for name in MONTHS].index(found["Mon3"]) + 1
    year = number("year", 1)
    if "yy" in found:
        year = number("yy", 0) + (1900 if number("yy", 0) >= 69 else 2000)
    hour = number("hour", 0)
    if "half" in found:
        hour = number("half", 12) % 12 + (12 if found.get("noon", "").upper() == "PM" else 0)
    base = datetime(
        year, month, number("day", 1), hour, number("minute", 0), number("second", 0), tzinfo=zone
    )
    base += timedelta(days=number("yday", 1) - 1)
    return Time(Time.of(base).ns + int(found.get("nanos", "").ljust(9, "0") or 0), zone)
