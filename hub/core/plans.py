"""What a Project says about a plan: which prunes it guards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusters.core.plan import PruneBudget
from clusters.core.plan.request import PROTECTED_KINDS


def protected_kinds(rules: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Kinds whose prune always waits for a person (sync-semantics.md 4.3)."""
    named = (rules.get("deletion") or {}).get("protected_kinds")
    if named is None:
        return PROTECTED_KINDS
    return frozenset((str(entry.get("group") or ""), str(entry["kind"])) for entry in named)


def prune_budget(rules: Mapping[str, Any]) -> PruneBudget:
    """How much one operation may delete without a confirmation (10.5)."""
    asked = (rules.get("deletion") or {}).get("budget") or {}
    usual = PruneBudget()
    return PruneBudget(
        most=int(asked.get("most", usual.most)),
        from_count=int(asked.get("from_count", usual.from_count)),
        percent=float(asked.get("percent", usual.percent)),
    )
