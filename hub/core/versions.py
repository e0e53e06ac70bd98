"""Versions and version ranges as Helm, Argo CD and image policies write them (sources.md 2.2).

Versions may lack parts (`1.2`), begin with `v` and have leading zeros; order is that of semver.org with build
metadata ignored. Ranges follow Masterminds semver 3.4: terms joined by blanks or commas must all hold, groups are
joined by `||`, and a pre-release is admitted only by a group in which some term names one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from semver import Version

_PART = r"[0-9]+"
_WILD = r"(?:[0-9]+|[xX*])"
_TAIL = r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+(?P<build>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
_VERSION = re.compile(
    rf"v?(?P<major>{_PART})(?:\.(?P<minor>{_PART}))?(?:\.(?P<patch>{_PART}))?{_TAIL}", re.ASCII
)
_PATTERN = re.compile(
    rf"v?(?P<major>{_WILD})(?:\.(?P<minor>{_WILD}))?(?:\.(?P<patch>{_WILD}))?{_TAIL}", re.ASCII
)
_OPERATOR = r"(?P<operator>!=|>=|=>|<=|=<|~>|[=<>~^]|)"
_TERM = re.compile(rf"{_OPERATOR}\s*(?P<text>{_PATTERN.pattern})", re.ASCII)
_HYPHEN = re.compile(r"(?<!\S)([^\s,|]+)\s+-\s+([^\s,|]+)(?!\S)")
_BETWEEN = re.compile(r"\s*,\s*|\s+")
_MAX_TEXT = 512


class InvalidRange(ValueError):
    """The text is no version range."""


def parse_version(text: str) -> Version | None:
    """The version a text names, or None when it names none. Never a range."""
    found = _VERSION.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if found is None:
        return None
    major, minor, patch = (int(found[part] or 0) for part in ("major", "minor", "patch"))
    if max(major, minor, patch) >= 1 << 64 or any(map(_bad_identifier, (found["pre"] or "").split("."))):
        return None
    return Version(major, minor, patch, prerelease=found["pre"], build=found["build"])


def _bad_identifier(part: str) -> bool:
    return len(part) > 1 and part.isdigit() and part[0] == "0"


@dataclass(frozen=True, slots=True)
class _Pattern:
    """The right side of a term. `parts` counts the numbers that were written: 0 for `*`, 3 for `1.2.3`."""

    version: Version
    parts: int

    @property
    def numbers(self) -> tuple[int, ...]:
        return (self.version.major, self.version.minor, self.version.patch)[: self.parts]

    def covers(self, version: Version) -> bool:
        return (version.major, version.minor, version.patch)[: self.parts] == self.numbers


def _equal(version: Version, pattern: _Pattern) -> bool:
    return _tilde(version, pattern) if pattern.parts < 3 else version.compare(pattern.version) == 0


def _not_equal(version: Version, pattern: _Pattern) -> bool:
    if pattern.parts < 3:
        return not pattern.covers(version)
    return version.compare(pattern.version) != 0


def _greater(version: Version, pattern: _Pattern) -> bool:
    """`>1` begins at 2.0.0, `>1.2` at 1.3.0: everything a short pattern covers is not greater than it."""
    return version.compare(pattern.version) > 0 and (pattern.parts in (0, 3) or not pattern.covers(version))


def _at_most(version: Version, pattern: _Pattern) -> bool:
    if pattern.parts == 0:
        return True
    return version.compare(pattern.version) <= 0 or (pattern.parts < 3 and pattern.covers(version))


def _tilde(version: Version, pattern: _Pattern) -> bool:
    if version.compare(pattern.version) < 0:
        return False
    if pattern.parts in (0, 3) and pattern.version.to_tuple()[:3] == (0, 0, 0):
        return True
    fixed = pattern.numbers[:2]
    return (version.major, version.minor)[: len(fixed)] == fixed


def _caret(version: Version, pattern: _Pattern) -> bool:
    """Free to the right of the first number that is not zero, or of the last one written."""
    if version.compare(pattern.version) < 0:
        return False
    fixed = 1
    while fixed < pattern.parts and not pattern.numbers[fixed - 1]:
        fixed += 1
    fixed = min(fixed, pattern.parts)
    return (version.major, version.minor, version.patch)[:fixed] == pattern.numbers[:fixed]


_CHECKS: dict[str, Callable[[Version, _Pattern], bool]] = {
    "": _equal,
    "=": _equal,
    "!=": _not_equal,
    ">": _greater,
    ">=": lambda version, pattern: version.compare(pattern.version) >= 0,
    "=>": lambda version, pattern: version.compare(pattern.version) >= 0,
    "<": lambda version, pattern: version.compare(pattern.version) < 0,
    "<=": _at_most,
    "=<": _at_most,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}


@dataclass(frozen=True, slots=True)
class _Group:
    terms: tuple[tuple[str, _Pattern], ...]
    prereleases: bool

    def admits(self, version: Version) -> bool:
        if version.prerelease and not self.prereleases:
            return False
        return all(_CHECKS[operator](version, pattern) for operator, pattern in self.terms)


@dataclass(frozen=True, slots=True)
class VersionRange:
    """A parsed range: groups joined by `||`."""

    text: str
    groups: tuple[_Group, ...]

    def admits(self, version: Version) -> bool:
        return any(group.admits(version) for group in self.groups)


def parse_range(text: str) -> VersionRange:
    """Parse a range. Raises InvalidRange with a sentence for the user."""
    if len(text) > _MAX_TEXT:
        raise InvalidRange(f"a version range has at most {_MAX_TEXT} characters")
    groups = tuple(_parse_group(part, text) for part in text.split("||"))
    return VersionRange(text, groups)


def _parse_group(part: str, whole: str) -> _Group:
    rest = _HYPHEN.sub(r">=\1 <=\2", part).strip()
    terms: list[tuple[str, _Pattern]] = []
    while True:
        found = _TERM.match(rest)
        if found is None:
            raise InvalidRange(f'"{whole}" is no version range')
        terms.append((found["operator"], _pattern_of(found)))
        rest = rest[found.end() :]
        if not rest:
            return _Group(tuple(terms), any(pattern.version.prerelease for _, pattern in terms))
        gap = _BETWEEN.match(rest)
        if gap is None:
            raise InvalidRange(f'"{whole}" is no version range')
        rest = rest[gap.end() :]


def _pattern_of(found: re.Match[str]) -> _Pattern:
    numbers: list[int] = []
    for name in ("major", "minor", "patch"):
        if found[name] is None or found[name] in "xX*":
            break
        numbers.append(int(found[name]))
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return _Pattern(Version(major, minor, patch, prerelease=found["pre"]), len(numbers))


def highest(names: Iterable[str], wanted: VersionRange, prefix: str = "") -> str | None:
    """The name of the highest version a range admits, or None.

    Only names that begin with `prefix` count and are compared without it; the answer is the whole name. Names
    that are no versions are skipped; of equal versions the name first in byte order wins.
    """
    best: tuple[Version, str] | None = None
    for name in names:
        if not name.startswith(prefix):
            continue
        version = parse_version(name[len(prefix) :])
        if version is None or not wanted.admits(version):
            continue
        if best is None or (order := version.compare(best[0])) > 0:
            best = (version, name)
        elif order == 0 and name.encode() < best[1].encode():
            best = (best[0], name)
    return best[1] if best else None
