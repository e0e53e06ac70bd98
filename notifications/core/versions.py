"""Semantic versions and ranges for `semver` and `semverCompare`: `>=1.2, <2`, `^1.2`, `~1.2`, `1.x`, `1.2 - 2.0`, `||`.

Source of the rules: semver.org, and the documentation of Masterminds/semver for the ranges.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_VERSION = re.compile(
    r"v?(\d{1,9})(?:\.(\d{1,9}|[xX*]))?(?:\.(\d{1,9}|[xX*]))?(?:-([0-9A-Za-z.-]{1,100}))?(?:\+([0-9A-Za-z.-]{1,100}))?"
)
_RANGE = re.compile(r"\s*(=|==|!=|>=|=>|<=|=<|>|<|~|~>|\^)?\s*(v?[0-9xX*][^\s,|]*)\s*,?")
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")
_WILD = ("x", "X", "*")


class Version(NamedTuple):
    """Parts that a range leaves out count as 0."""

    major: int
    minor: int
    patch: int
    prerelease: str = ""
    metadata: str = ""

    def order(self) -> tuple[tuple[int, int, int], bool, list[tuple[bool, int, str]]]:
        parts = [
            (not part.isdigit(), int(part) if part.isdigit() else 0, part)
            for part in self.prerelease.split(".")
        ]
        return self[:3], not self.prerelease, parts if self.prerelease else []


def parse(text: str) -> Version:
    """ValueError for something that is not a version. Minor and patch may be missing."""
    found = _VERSION.fullmatch(text.strip()[:256])
    if found is None or found[2] in _WILD or found[3] in _WILD:
        raise ValueError(f"needs a version, not {text[:40]!r}")
    return Version(int(found[1]), int(found[2] or 0), int(found[3] or 0), found[4] or "", found[5] or "")


def satisfies(constraint: str, text: str) -> bool:
    """Is the version in the range? A prerelease is only in a range that names one. ValueError for bad texts."""
    version = parse(text)
    if len(constraint) > 500:
        raise ValueError("has a range of more than 500 characters")
    return any(_all(part, version) for part in constraint.split("||"))


def _all(part: str, version: Version) -> bool:
    part = _HYPHEN.sub(r">=\1 <=\2", part.strip())
    if part in ("", "*", "x", "X"):
        return not version.prerelease
    at = 0
    while at < len(part):
        found = _RANGE.match(part, at)
        if found is None:
            raise ValueError(f"needs a range of versions, not {part[:40]!r}")
        if not _one(found[1] or "", found[2], version):
            return False
        at = found.end()
    return True


def _one(operator: str, text: str, version: Version) -> bool:
    if text in _WILD:
        return not version.prerelease
    found = _VERSION.fullmatch(text)
    if found is None:
        raise ValueError(f"needs a range of versions, not {text[:40]!r}")
    given = [part for part in (found[1], found[2], found[3]) if part is not None and part not in _WILD]
    major, minor, patch = ([int(part) for part in given] + [0, 0])[:3]
    low = Version(major, minor, patch, found[4] or "")
    if version.prerelease and not low.prerelease and operator != "!=":
        return False
    exact = len(given) == 3
    high = _next(low, operator, len(given))
    order = version.order()
    inside = low.order() <= order < high.order()
    if operator in ("", "=", "=="):
        return order == low.order() if exact else inside
    if operator == "!=":
        return order != low.order() if exact else not inside
    if operator in ("~", "~>", "^"):
        return inside
    if operator in (">=", "=>"):
        return order >= low.order()
    if operator == "<":
        return order < low.order()
    if operator == ">":
        return order > low.order() if exact else order >= high.order()
    return order <= low.order() if exact else order < high.order()


def _next(low: Version, operator: str, given: int) -> Version:
    """The first version above the range that `low` begins."""
    if operator == "^" and (low.major or given == 1):
        return Version(low.major + 1, 0, 0)
    if operator == "^" and given == 3 and not low.minor:
        return Version(0, 0, low.patch + 1)
    if given == 1:
        return Version(low.major + 1, 0, 0)
    if given == 2 or operator:
        return Version(low.major, low.minor + 1, 0)
    return Version(low.major, low.minor, low.patch + 1)
