"""Times, durations and versions as Go and Sprig have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.core.gotimes import LAYOUTS, Duration, Time, parse_duration, parse_rfc3339, parse_time
from notifications.core.govalues import float_text, go_text
from notifications.core.versions import satisfies

MOMENT = Time.of(datetime(2026, 2, 3, 4, 5, 6, 789_000, tzinfo=timezone(timedelta(hours=-7))))


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("ANSIC", "Tue Feb  3 04:05:06 2026"), ("UnixDate", "Tue Feb  3 04:05:06 -07 2026"),
        ("RubyDate", "Tue Feb 03 04:05:06 -0700 2026"), ("RFC822Z", "03 Feb 26 04:05 -0700"),
        ("RFC850", "Tuesday, 03-Feb-26 04:05:06 -07"), ("RFC1123Z", "Tue, 03 Feb 2026 04:05:06 -0700"),
        ("RFC3339", "2026-02-03T04:05:06-07:00"), ("RFC3339Nano", "2026-02-03T04:05:06.789-07:00"),
        ("Kitchen", "4:05AM"), ("Stamp", "Feb  3 04:05:06"), ("StampMilli", "Feb  3 04:05:06.789"),
        ("StampNano", "Feb  3 04:05:06.789000000"), ("Layout", "02/03 04:05:06AM '26 -0700"),
    ],
)  # fmt: skip
def test_layouts_print_as_go_prints_them(layout: str, expected: str) -> None:
    assert MOMENT.format(LAYOUTS[layout]) == expected


def test_odd_layouts() -> None:
    assert (
        MOMENT.format("Monday January 2 06 3 03 15 4 5 pm PM 002 __2")
        == "Tuesday February 3 26 4 04 04 5 6 am AM 034  34"
    )
    assert (
        MOMENT.format("Month Jane 2006x .0000x05,000 Z07:00:00 -07")
        == "Month Jane 2026x .7890x06,789 -07:00:00 -07"
    )
    assert parse_rfc3339("2026-02-03T04:05:06Z").format("Z07:00 MST") == "Z UTC"
    assert MOMENT.shown_in(ZoneInfo("Europe/Berlin")).format("15:04 MST -0700") == "12:05 CET +0100"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)))
def test_what_is_printed_can_be_read_again(moment: datetime) -> None:
    time = Time.of(moment)
    for layout in ("RFC3339Nano", "RubyDate", "RFC1123", "ANSIC"):
        again = parse_time(LAYOUTS[layout], time.format(LAYOUTS[layout]), UTC)
        assert again.ns // 10**9 == time.ns // 10**9
    assert parse_rfc3339(time.format(LAYOUTS["RFC3339Nano"])) == time


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_durations_print_and_read_as_go(ns: int) -> None:
    assert parse_duration(str(Duration(ns))).ns == ns


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0s"), (1, "1ns"), (1_500, "1.5µs"), (2_000_000, "2ms"), (1_500_000_000, "1.5s"), (3_600 * 10**9, "1h0m0s"), (-90 * 10**9, "-1m30s")],
)  # fmt: skip
def test_durations_as_text(ns: int, text: str) -> None:
    assert str(Duration(ns)) == text


@pytest.mark.parametrize("text", ["", "5", "h", "1x", "1h-5m", "9999999999h", "--1s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


@pytest.mark.parametrize(
    "text",
    ["", "2026-01-02", "2026-13-02T00:00:00Z", "2026-01-02T00:00:00", "2026-01-02T00:00:00+25:00", "x" * 99],
)
def test_what_is_no_rfc3339(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rfc3339(text)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="Jan02Mon 2006:15-7Z.MSTPpm_", max_size=20), st.text(max_size=20))
def test_any_layout_prints_and_reads_or_is_refused(layout: str, text: str) -> None:
    MOMENT.format(layout)
    try:
        parse_time(layout, text, UTC)
    except (ValueError, OverflowError):
        return


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (1.5, "1.5"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (0.00001, "1e-05"), (float("inf"), "+Inf"), (-0.0, "-0")],
)  # fmt: skip
def test_numbers_as_text(value: float, text: str) -> None:
    assert float_text(value) == text
    assert go_text([value, None, True, {"b": 1, "a": "x"}]) == f"[{text} <nil> true map[a:x b:1]]"


@pytest.mark.parametrize(
    ("constraint", "version", "inside"),
    [
        ("1.2.3", "1.2.3", True), ("=1.2.3", "v1.2.3", True), ("1.2", "1.2.9", True), ("1.x", "1.9.9", True), ("*", "5.0.0", True),
        ("*", "5.0.0-rc1", False), (">=1.2, <2", "1.5.0", True), (">=1.2 <2", "2.0.0", False), ("^1.2.3", "1.9.0", True),
        ("^1.2.3", "2.0.0", False), ("^0.2.3", "0.2.9", True), ("^0.2.3", "0.3.0", False), ("^0.0.3", "0.0.4", False),
        ("~1.2.3", "1.2.9", True), ("~1.2.3", "1.3.0", False), ("~1", "1.9.0", True), ("!=1.2.3", "1.2.4", True), (">1.2", "1.2.5", False),
        (">1.2", "1.3.0", True), ("<=1.2", "1.2.5", True), ("1.2 - 2.0", "1.9.0", True), ("1.2 - 2.0.0", "2.0.1", False),
        ("<1 || >=3", "3.1.0", True), ("<1 || >=3", "2.0.0", False), (">=1.0.0-rc1", "1.0.0-rc2", True), (">1.0.0-alpha.1", "1.0.0-alpha.beta", True),
    ],
)  # fmt: skip
def test_ranges_of_versions(constraint: str, version: str, inside: bool) -> None:
    assert satisfies(constraint, version) is inside


@pytest.mark.parametrize(
    ("constraint", "version"), [("x.y", "1.0.0"), (">=", "1.0.0"), ("1", "one"), ("1..2", "1.0.0")]
)
def test_what_is_no_version_or_range(constraint: str, version: str) -> None:
    with pytest.raises(ValueError):
        satisfies(constraint, version)
