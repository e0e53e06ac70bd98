"""Health of live objects, one rule per kind, facts as files in tests/data/health.

May live here: rules and aggregation as pure functions. May not: running Lua or CEL (that is `clusters.evaluators`,
whose verdict comes in as an argument).
"""

from clusters.core.health.aggregation import Part, aggregate, worse
from clusters.core.health.assessment import NO_RULE, NoRule, assess
from clusters.core.health.customs import BrokenRule, CelCase, CelRule, CustomRule, LuaRule, RuleBook
from clusters.core.health.documents import read_argocd_health, read_health
from clusters.core.health.reading import STATUSES, Condition, Health, conditions

__all__ = [
    "NO_RULE",
    "STATUSES",
    "BrokenRule",
    "CelCase",
    "CelRule",
    "Condition",
    "CustomRule",
    "Health",
    "LuaRule",
    "NoRule",
    "Part",
    "RuleBook",
    "aggregate",
    "assess",
    "conditions",
    "read_argocd_health",
    "read_health",
    "worse",
]
