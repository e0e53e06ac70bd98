"""What a Project says about plans: guards, budgets, maxima, what windows govern (sync-semantics.md 3.12, 4.3, 10.5, 11)."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.core.hooks import hook_timeout
from clusters.core.plan import PruneBudget, SyncOptions
from clusters.core.plan.request import PROTECTED_KINDS
from hub.core.plans import governs, guard_errors, limited, protected_kinds, prune_budget

BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"timeouts": "1h"}, "timeouts"),
    ({"timeouts": {"hooks": "1h"}}, "timeouts.hooks"),
    ({"timeouts": {"hook": "soon"}}, "timeouts.hook"),
    ({"governs": "deletion"}, "governs"),
    ({"governs": ["deletions"]}, "governs"),
    ({"governs": ["terminate"]}, "governs"),
    ({"governs": [{}]}, "governs"),
]


@pytest.mark.parametrize(("rules", "path"), BROKEN)
def test_what_cannot_be_read_is_named_and_counts_as_absent(rules: dict[str, Any], path: str) -> None:
    assert list(guard_errors(rules)) == [path]
    assert protected_kinds(rules) == PROTECTED_KINDS
    assert prune_budget(rules) == PruneBudget()
    assert limited(SyncOptions(), rules) == SyncOptions()


def test_good_rules_are_read() -> None:
    rules = {
        "deletion": {"protected_kinds": [{"group": "apps", "kind": "StatefulSet"}], "budget": {"most": 3}},
        "timeouts": {"hook": "10m", "operation": "1h", "wave": "2h"},
        "governs": ["deletion"],
    }
    assert guard_errors(rules) == {}
    assert protected_kinds(rules) == {("apps", "StatefulSet")}
    assert prune_budget(rules) == PruneBudget(most=3)
    assert (governs(rules, "deletion"), governs(rules, "detach")) == (True, False)


def test_a_maximum_holds_for_what_is_off_or_longer_and_not_for_what_is_shorter() -> None:
    rules = {"timeouts": {"hook": "10m", "operation": "1h", "wave": "2h"}}
    options = limited(SyncOptions(operation_timeout=0.0, hook_timeout=7200.0, wave_timeout=60.0), rules)
    assert (options.operation_timeout, options.hook_timeout, options.wave_timeout) == (3600.0, 600.0, 60.0)


@pytest.mark.parametrize(("text", "seconds"), [("1h", 600.0), ("0s", 600.0), ("1m", 60.0)])
def test_no_annotation_exceeds_the_maximum(text: str, seconds: float) -> None:
    hook = {"metadata": {"annotations": {"gitops-hub.io/timeout": text}}}
    assert hook_timeout(hook, 7200.0, 600.0)[0] == seconds
