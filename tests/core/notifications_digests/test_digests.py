"""When digests go out, and what is no digest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notifications.core.digests import flush_at, read_digest
from notifications.errors import ConfigError

NOW = datetime(2026, 3, 28, 10, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "due"),
    [
        ({"every": "1h"}, "2026-03-28T11:00:00+00:00"),
        ({"every": "15m"}, "2026-03-28T10:30:00+00:00"),
        ({"daily": "09:00"}, "2026-03-29T09:00:00+00:00"),
        ({"daily": "10:21"}, "2026-03-28T10:21:00+00:00"),
        # The clocks of Berlin go forward in that night.
        ({"daily": "09:00", "zone": "Europe/Berlin"}, "2026-03-29T07:00:00+00:00"),
        ({"daily": "12:00", "zone": "Europe/Berlin"}, "2026-03-28T11:00:00+00:00"),
    ],
)
def test_a_window_has_one_end(form: dict[str, Any], due: str) -> None:
    digest = read_digest(form)
    assert digest is not None
    assert flush_at(digest, NOW).isoformat() == due


def test_the_end_of_a_window_begins_the_next_one() -> None:
    for form in ({"every": "1h"}, {"daily": "09:00"}):
        digest = read_digest(form)
        assert digest is not None
        end = flush_at(digest, NOW)
        assert flush_at(digest, end) > end
        assert flush_at(digest, end - timedelta(seconds=1)) == end


def test_nothing_is_no_digest() -> None:
    assert read_digest({}) is None
    assert read_digest(None) is None


@pytest.mark.parametrize(
    "form",
    [
        {"every": "1h", "daily": "09:00"},
        {"all": True},
        {"every": "soon"},
        {"every": "1s"},
        {"daily": "9 o'clock"},
        {"daily": "09:00", "zone": "Mars/Olympus"},
        {"daily": "09:00", "zone": "../etc/passwd"},
        {"daily": "09:00", "zone": 3},
        {"every": "1h", "all": "yes"},
        {"weekly": "monday"},
        ["every"],
    ],
)
def test_what_is_no_digest_says_so(form: Any) -> None:
    with pytest.raises(ConfigError):
        read_digest(form)
