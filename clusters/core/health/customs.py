"""Custom rules as values, and which of them is for an object (sync-semantics.md 8.3). They run elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from clusters.core.health.reading import STATUSES, text
from clusters.core.manifests import Manifest


@dataclass(frozen=True, slots=True)
class LuaRule:
    """A Lua chunk: global `obj`, returns `{status, message}`; nil or an empty table is no opinion."""

    script: str


@dataclass(frozen=True, slots=True)
class CelCase:
    """If the CEL expression `when` over `self` is true, the object has this status."""

    when: str
    status: str
    message: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"{self.status!r} is not a health status; use one of {', '.join(STATUSES)}")


@dataclass(frozen=True, slots=True)
class CelRule:
    """Ordered cases: the first that applies wins, none means Progressing."""

    cases: tuple[CelCase, ...]


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule that could not be read: objects of its kind are Unknown with this sentence, all others as ever (8.2)."""

    message: str


_MOST_KINDS = 1000
CustomRule = LuaRule | CelRule | BrokenRule


class RuleBook:
    """Rules by `<group>_<Kind>`, the core group's kinds by `<Kind>` alone; `*` and `?` make a key a glob.

    An exact key comes before a glob, an earlier glob before a later one: put settings before shipped rules.
    """

    def __init__(self, rules: Mapping[str, CustomRule]) -> None:
        self._exact = {key: rule for key, rule in rules.items() if not _is_glob(key)}
        self._globs = [(key, rule) for key, rule in rules.items() if _is_glob(key)]
        # Asked for every object of every look, and a cluster has few kinds.
        self._found: dict[tuple[str, str], CustomRule | None] = {}

    def __bool__(self) -> bool:
        return bool(self._exact or self._globs)

    def find(self, obj: Manifest) -> CustomRule | None:
        if not self._exact and not self._globs:
            return None
        asked = text(obj, "apiVersion"), text(obj, "kind")
        if asked not in self._found:
            if len(self._found) >= _MOST_KINDS:
                self._found.clear()
            self._found[asked] = self._look_up(asked[0].rpartition("/")[0], asked[1])
        return self._found.get(asked)

    def _look_up(self, group: str, kind: str) -> CustomRule | None:
        key = f"{group}_{kind}" if group else kind
        if key in self._exact:
            return self._exact[key]
        return next((rule for pattern, rule in self._globs if fnmatchcase(key, pattern)), None)


def _is_glob(key: str) -> bool:
    return any(sign in key for sign in "*?[")
