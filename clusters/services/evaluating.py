"""What user-written programs say, for the hall: one evaluator per language and process, each in a killable child."""

from __future__ import annotations

from django.conf import settings

from clusters.core.diff import Masker, Unevaluated
from clusters.core.health import NO_RULE, Health, NoRule, RuleBook, assess
from clusters.core.manifests import Manifest
from clusters.evaluators import CelHealth, CustomHealth, ExpressionFailed, JqPaths, LuaHealth

Place = tuple[str | int, ...]
# Children start on first use; a fork starts its own.
_lua, _cel, _jq = LuaHealth(), CelHealth(), JqPaths()


def assess_health(obj: Manifest, rules: RuleBook | None = None, *, is_hook: bool = False) -> Health | None:
    """Health of a live object: by its custom rule if `rules` has one for its kind, else by the built-in ones.

    A rule that fails or cannot be read makes this object Unknown with the reason (8.2); nothing is raised. A rule sees
    masks in place of secret values: its message, and that of its failure, are shown to everybody (6.6).
    """
    custom: Health | NoRule | None = NO_RULE
    if rules:
        masked = Masker(settings.HUB_SENSITIVE_ANNOTATIONS).object(obj)
        custom = CustomHealth(rules, _lua, _cel).verdict(masked)
    return assess(obj, is_hook=is_hook, custom=custom)


def jq_places(expression: str, obj: Manifest) -> tuple[Place, ...]:
    """The places of `obj` that a jq expression yields. Raises Unevaluated when it fails, is killed, or has no child:
    then nothing of it may be ignored (sync-semantics.md 6.2)."""
    try:
        return _jq.paths(expression, obj)
    except ExpressionFailed as failure:
        raise Unevaluated(failure.message) from None
