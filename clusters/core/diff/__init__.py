"""Diff: what differs, whether it counts, and how it is shown.

May live here: comparisons of plain objects, ignore rules, Baselines, the status tables of sync-semantics.md 6 and 7.
May not: asking a server, deciding what to do about a difference (`plan`), a clock, Django.
"""

from __future__ import annotations

from clusters.core.diff.baseline import Admission as Admission
from clusters.core.diff.baseline import Baseline as Baseline
from clusters.core.diff.baseline import Drift as Drift
from clusters.core.diff.baseline import baseline_of as baseline_of
from clusters.core.diff.baseline import drift as drift
from clusters.core.diff.baseline import renewed as renewed
from clusters.core.diff.compare import Difference as Difference
from clusters.core.diff.leaves import LeafSet as LeafSet
from clusters.core.diff.leaves import leaf_set as leaf_set
from clusters.core.diff.leaves import leaf_set_of_manifest as leaf_set_of_manifest
from clusters.core.diff.projection import ABSENT as ABSENT
from clusters.core.diff.projection import Change as Change
from clusters.core.diff.projection import changes as changes
from clusters.core.diff.projection import project as project
from clusters.core.diff.projection import projection_hash as projection_hash
from clusters.core.diff.rules import NO_RULES as NO_RULES
from clusters.core.diff.rules import IgnoreRule as IgnoreRule
from clusters.core.diff.rules import IgnoreRules as IgnoreRules
from clusters.core.diff.rules import ObjectRules as ObjectRules
from clusters.core.diff.rules import RuleProblem as RuleProblem
from clusters.core.diff.rules import autoscaler_rule as autoscaler_rule
from clusters.core.diff.rules import compile_rules as compile_rules
from clusters.core.diff.rules import rules_from_spec as rules_from_spec
