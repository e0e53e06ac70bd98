"""Version ranges (sources.md 2.2): the table as data, plus properties."""

from __future__ import annotations

from pathlib import Path

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st

from hub.core.versions import InvalidRange, highest, parse_range, parse_version

DATA = Path(__file__).parents[2] / "data" / "sources"
ROWS = [
    line.split("\t")
    for line in (DATA / "version-ranges.tsv").read_text().splitlines()
    if line and not line.startswith("#")
]
REFUSED = (DATA / "version-ranges-refused.txt").read_text().splitlines()


def _admitted(text: str, versions: str) -> dict[str, bool]:
    wanted = parse_range(text)
    return {name: wanted.admits(parse_version(name)) for name in versions.split(",") if name}


@pytest.mark.parametrize(("text", "inside", "outside"), ROWS, ids=[row[0] for row in ROWS])
def test_a_range_admits_what_the_table_says(text, inside, outside):
    assert all(_admitted(text, inside).values()), _admitted(text, inside)
    assert not any(_admitted(text, outside).values()), _admitted(text, outside)


@pytest.mark.parametrize("text", REFUSED, ids=repr)
def test_what_is_no_range_is_refused(text):
    with pytest.raises(InvalidRange):
        parse_range(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3", "1.2.3"),
        ("v1.2", "1.2.0"),
        ("1", "1.0.0"),
        ("01.02.03", "1.2.3"),
        ("v1.2.3-rc.1+build.5", "1.2.3-rc.1+build.5"),
        ("2024.03-LTS-RC19", "2024.3.0-LTS-RC19"),
    ],
)
def test_versions_may_be_loose(text, expected):
    assert str(parse_version(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "v", "V1.2", "1.x", "1.2.3.4", "1.2.3-01", "1..2", "1.2-", "a1.2", "1.2 ", "9" * 30, "1" * 600],
)
def test_what_is_no_version_names_none(text):
    assert parse_version(text) is None


def test_s10_versions_that_are_pre_releases_or_of_another_prefix_are_skipped():
    tags = ["0.5.4", "0.7.2", "2024.03-LTS-RC19"]
    assert highest(tags, parse_range("*")) == "0.7.2"
    assert highest(tags, parse_range(">0.5.0,<0.7.0")) == "0.5.4"
    prefixed = ["prod/v1.0.1", "staging/v2.0.0", "v3.0.0"]
    assert highest(prefixed, parse_range("v1.x.x"), "prod/") == "prod/v1.0.1"


def test_s11_a_pre_release_mark_opens_the_group():
    assert highest(["1.9.0", "2.0.0-rc.1"], parse_range(">=1.0.0-0 <2.0.0")) == "2.0.0-rc.1"


def test_of_equal_versions_the_name_first_in_byte_order_wins():
    for names in (["v1.2.0", "1.2.0", "1.2"], ["1.2", "1.2.0", "v1.2.0"], ["1.2.0", "v1.2.0", "1.2"]):
        assert highest(names, parse_range("1.x")) == "1.2"


def test_no_match_is_none():
    assert highest(["1.0.0", "latest"], parse_range(">=2")) is None


_versions = st.builds(
    lambda a, b, c, pre: f"{a}.{b}.{c}" + (f"-{pre}" if pre else ""),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(["", "", "alpha", "alpha.1", "rc.1", "rc.2", "0"]),
)


@given(_versions, _versions)
def test_order_is_that_of_the_semver_package(left, right):
    ours = parse_range(f">{left}-0" if "-" not in left else f">{left}")
    base = f"{left}-0" if "-" not in left else left
    assert ours.admits(parse_version(right)) == (semver.Version.parse(right).compare(base) > 0)


@given(st.text(alphabet="0123456789.xv*~^<>=!-| ,a", max_size=30))
def test_any_text_is_a_range_or_refused(text):
    try:
        wanted = parse_range(text)
    except InvalidRange:
        return
    assert wanted.admits(parse_version("1.2.3")) in (True, False)
