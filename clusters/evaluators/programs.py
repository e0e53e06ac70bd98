"""What the programs of users are for: health by Lua or CEL, paths by jq (sync-semantics.md 6.2, 8.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clusters.core.health import NO_RULE, STATUSES, Health, NoRule
from clusters.core.health.customs import BrokenRule, CelRule, LuaRule, RuleBook
from clusters.core.manifests import Manifest
from clusters.evaluators.sandbox import ExpressionFailed, Sandbox

Path = tuple[str | int, ...]


class LuaHealth:
    """Health scripts as Argo CD ships them: global `obj`, the chunk returns `{status, message}`."""

    def __init__(self, *, seconds: float = 1.0) -> None:
        self.sandbox = Sandbox("lua", seconds=seconds)

    def health(self, script: str, obj: Manifest) -> Health | None:
        """What the script says; None when it has no opinion. A script that fails makes the object Unknown (F18)."""
        try:
            answer = self.sandbox.ask(script, obj)
        except ExpressionFailed as failure:
            return Health("Unknown", f"the health script failed: {failure.message}")
        if answer is None:
            return None
        status, message = answer.get("status"), answer.get("message")
        if status not in STATUSES:
            return Health("Unknown", "the health script returned an invalid status")
        return Health(status, message if isinstance(message, str) else "")

    def close(self) -> None:
        self.sandbox.close()


class CelHealth:
    """Own rules: ordered cases, the first whose `when` is true wins, none means Progressing."""

    def __init__(self, *, seconds: float = 1.0) -> None:
        self.sandbox = Sandbox("cel", seconds=seconds)

    def health(self, rule: CelRule, obj: Manifest) -> Health:
        try:
            number = self.sandbox.ask([case.when for case in rule.cases], obj)
        except ExpressionFailed as failure:
            return Health("Unknown", f"the health rule failed: {failure.message}")
        if number is None:
            return Health("Progressing", "no case of the health rule applies yet")
        return Health(rule.cases[number].status, rule.cases[number].message)

    def close(self) -> None:
        self.sandbox.close()


class JqPaths:
    """Paths that a jq expression points at, for expressions beyond the bounded path language."""

    def __init__(self, *, seconds: float = 1.0) -> None:
        self.sandbox = Sandbox("jq", seconds=seconds)

    def paths(self, expression: str, obj: Manifest) -> tuple[Path, ...]:
        """Every path of `obj` that `expression` yields; none where it does not fit the object.

        Raises ExpressionFailed, naming the expression, when it is not jq or had to be killed: then the paths are
        *not* to be ignored (6.2).
        """
        named = f"jq expression {expression[:200]!r}"
        try:
            answer = self.sandbox.ask(expression, obj)
        except ExpressionFailed as failure:
            raise ExpressionFailed(f"{named}: {failure.message}") from failure
        if not isinstance(answer, list) or not all(isinstance(path, list) for path in answer):
            raise ExpressionFailed(f"{named}: it yields no paths")
        return tuple(found for path in answer for found in _plain(path, obj, named))

    def close(self) -> None:
        self.sandbox.close()


def _plain(path: list[Any], obj: Any, named: str) -> Iterator[Path]:
    """The path in names and indices: a slice (`.spec.tolerations[1:]`) is all the items that it covers."""
    plain: list[str | int] = []
    window: range | None = None  # what a slice left of the list at this place: jq counts on from there
    for step in path:
        if isinstance(step, dict):
            window = (range(len(obj) if isinstance(obj, list) else 0) if window is None else window)[
                _slice(step, named)
            ]
            continue
        if not isinstance(step, str | int):
            raise ExpressionFailed(f"{named}: it yields no paths")
        if isinstance(step, int) and isinstance(obj, list):
            places = range(len(obj)) if window is None else window
            if not -len(places) <= step < len(places):
                return
            step = places[step]
            obj = obj[step]
        else:
            obj = obj.get(step) if isinstance(obj, dict) else None
        window = None
        plain.append(step)
    for index in [()] if window is None else [(number,) for number in window]:
        yield (*plain, *index)


def _slice(step: dict[str, Any], named: str) -> slice:
    ends = [step.get("start"), step.get("end")]
    if not all(end is None or isinstance(end, int) for end in ends):
        raise ExpressionFailed(f"{named}: it yields no paths")
    return slice(*ends)


class CustomHealth:
    """The custom rules of one hub, ready to speak: its verdict is the argument `custom` of `assess`."""

    def __init__(self, rules: RuleBook, lua: LuaHealth | None = None, cel: CelHealth | None = None) -> None:
        self._rules = rules
        self._lua = lua or LuaHealth()
        self._cel = cel or CelHealth()

    def verdict(self, obj: Manifest) -> Health | NoRule | None:
        """`NO_RULE` when no rule is for this kind; None when its rule has no opinion."""
        rule = self._rules.find(obj)
        if isinstance(rule, LuaRule):
            return self._lua.health(rule.script, obj)
        if isinstance(rule, CelRule):
            return self._cel.health(rule, obj)
        if isinstance(rule, BrokenRule):
            return Health("Unknown", f"the health rule cannot be read: {rule.message}")
        return NO_RULE

    def close(self) -> None:
        self._lua.close()
        self._cel.close()
