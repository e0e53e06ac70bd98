"""Diff: what differs, whether it counts, and how it is shown.

May live here: comparisons of plain objects, ignore rules, Baselines, the status tables of sync-semantics.md 6 and 7.
May not: asking a server, deciding what to do about a difference (`plan`), a clock, Django.

Public interface:

- Rules: `IgnoreRules(rules, jq).for_object(key) -> ObjectRules`; `rules_from_spec(entries, origin)`, `system_rules(settings)`,
  `autoscaler_rules(manifest, scale_targets(scalers))`, `join_rules(...)`; `ObjectRules.problems` are the expressions that this process does not evaluate (a ComparisonError each).
- After an apply: `baseline_of(answer, sent, desired_hash, key=, rules=) -> Baseline` with `to_bytes`, `from_bytes`,
  `is_void`, `admission`; `strict_changes`. On an event: `drift(baseline, live, key=, rules=) -> Drift | None`; `renewed(baseline, answer)`.
- Without a Baseline: `compare(target, live, rules, options=, old_leaves=, show_ignored=) -> Comparison`.
- What to send: `body_to_send(manifest, live, rules, replace=) -> Body`.
- Status: `resource_status(ResourceFacts) -> ResourceVerdict`, `application_status(verdicts, error=)`, `may_prune`,
  `may_prune_everything`, `keeps_status`.
- For people: `Masker`, `masked_diff(differences, masker, secret=) -> [DiffLine]`.
- Below them: `leaf_set`, `leaf_set_of_manifest`, `project`, `projection_hash`, `changes`.
"""

from __future__ import annotations

from clusters.core.diff.autoscaling import autoscaler_rule as autoscaler_rule
from clusters.core.diff.autoscaling import autoscaler_rules as autoscaler_rules
from clusters.core.diff.autoscaling import scale_targets as scale_targets
from clusters.core.diff.baseline import Admission as Admission
from clusters.core.diff.baseline import Baseline as Baseline
from clusters.core.diff.baseline import Drift as Drift
from clusters.core.diff.baseline import baseline_of as baseline_of
from clusters.core.diff.baseline import drift as drift
from clusters.core.diff.baseline import renewed as renewed
from clusters.core.diff.baseline import strict_changes as strict_changes
from clusters.core.diff.direct import CompareOptions as CompareOptions
from clusters.core.diff.direct import Comparison as Comparison
from clusters.core.diff.direct import compare as compare
from clusters.core.diff.documents import NO_RESOURCE_RULES as NO_RESOURCE_RULES
from clusters.core.diff.documents import ResourceRules as ResourceRules
from clusters.core.diff.documents import read_argocd_resources as read_argocd_resources
from clusters.core.diff.evaluate import Unevaluated as Unevaluated
from clusters.core.diff.leaves import LeafSet as LeafSet
from clusters.core.diff.leaves import leaf_set as leaf_set
from clusters.core.diff.leaves import leaf_set_of_manifest as leaf_set_of_manifest
from clusters.core.diff.masks import DiffLine as DiffLine
from clusters.core.diff.masks import Masker as Masker
from clusters.core.diff.masks import masked_diff as masked_diff
from clusters.core.diff.projection import ABSENT as ABSENT
from clusters.core.diff.projection import Change as Change
from clusters.core.diff.projection import changes as changes
from clusters.core.diff.projection import project as project
from clusters.core.diff.projection import projection_hash as projection_hash
from clusters.core.diff.projection import secret_mark as secret_mark
from clusters.core.diff.rules import NO_RULES as NO_RULES
from clusters.core.diff.rules import IgnoreRule as IgnoreRule
from clusters.core.diff.rules import IgnoreRules as IgnoreRules
from clusters.core.diff.rules import ObjectRules as ObjectRules
from clusters.core.diff.rules import RuleProblem as RuleProblem
from clusters.core.diff.rules import compile_rules as compile_rules
from clusters.core.diff.rules import join_rules as join_rules
from clusters.core.diff.rules import rules_from_spec as rules_from_spec
from clusters.core.diff.rules import system_rules as system_rules
from clusters.core.diff.status import ApplicationVerdict as ApplicationVerdict
from clusters.core.diff.status import PruneVerdict as PruneVerdict
from clusters.core.diff.status import ResourceFacts as ResourceFacts
from clusters.core.diff.status import ResourceVerdict as ResourceVerdict
from clusters.core.diff.status import application_status as application_status
from clusters.core.diff.status import keeps_status as keeps_status
from clusters.core.diff.status import may_prune as may_prune
from clusters.core.diff.status import may_prune_everything as may_prune_everything
from clusters.core.diff.status import resource_status as resource_status
from clusters.core.diff.unwritten import Body as Body
from clusters.core.diff.unwritten import body_to_send as body_to_send
from clusters.core.diff.walk import Difference as Difference
