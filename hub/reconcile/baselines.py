"""Baselines: what our own applies left behind, kept per resource; and the bodies we send (sync-semantics.md 4.4, 6.3)."""

from __future__ import annotations

import json

from django.conf import settings

import hub.reconcile.autoscalers as autoscalers
from clusters.core.diff import (
    Baseline,
    IgnoreRules,
    ObjectRules,
    baseline_of,
    body_to_send,
    join_rules,
    rules_from_spec,
    strict_changes,
)
from clusters.core.diff.baseline import CHANGED
from clusters.core.fields import LEFT_OUT
from clusters.core.manifests import Manifest, ResourceKey, key_of
from clusters.core.plan.steps import Outcome
from clusters.services import jq_places
from hub.core import specs
from hub.models import ResourceStatus
from hub.reconcile.frame import Frame
from hub.reconcile.work import Work

MOST_ADMITTED = 20
MASK = "++++++++"
_WRITES = frozenset({"apply", "create", "replace"})


def rules_of(frame: Frame, manifest: Manifest) -> ObjectRules:
    """Ignore rules of the Application, its Project and the hub that speak of this manifest's object, and its autoscaler's."""
    return join_rules(_all(frame).for_object(key_of(manifest)), autoscalers.rules_for(frame, manifest))


def names_managers(frame: Frame) -> bool:
    """Whether any rule ignores by field manager."""
    return any(rule.managers for rule in _all(frame).rules)


def _all(frame: Frame) -> IgnoreRules:
    held: IgnoreRules | None = frame.caches.get("rules")
    if held is None:
        held = frame.caches["rules"] = IgnoreRules(
            (
                *rules_from_spec(frame.app.ignore_differences, "application"),
                *rules_from_spec(
                    specs.to_argo(frame.app.project.rules.get("ignore_differences") or []), "project"
                ),
                *frame.resource_rules.ignore,
            ),
            jq_places,
        )
    return held


def of_row(row: ResourceStatus | None) -> Baseline | None:
    """The Baseline of a resource, None when it has none that can be read."""
    if row is None or not row.baseline:
        return None
    try:
        return Baseline.from_bytes(bytes(row.baseline))
    except ValueError:
        return None


def admitted(frame: Frame, key: ResourceKey, manifest: Manifest) -> tuple[list[dict[str, object]], bool]:
    """What the server or a webhook changed when our apply was admitted, and whether that counts (6.3).

    It counts with `gitops-hub.io/compare: strict`, or IncludeMutationWebhook=true on the Application (6.4); else it is
    only shown.
    """
    baseline = of_row(frame.rows.get(key))
    if baseline is None or not baseline.admission:
        return [], False
    lines: list[dict[str, object]] = [
        {
            "path": path,
            "desired": _shown(ours),
            "live": _shown(theirs),
            "note": note,
            "ignored_by": "",
        }
        for path, ours, theirs, note in baseline.admission[:MOST_ADMITTED]
    ]
    options = str(frame.app.annotations.get("argocd.argoproj.io/compare-options") or "").split(",")
    everywhere = "IncludeMutationWebhook=true" in [option.strip() for option in options]
    changed = any(line["note"] == CHANGED for line in lines)
    return lines, (everywhere and changed) or bool(strict_changes(baseline, manifest))


def _shown(value: object) -> str:
    """A value as the diff shows it; the HMAC of a secret is no more than its mask."""
    secret = isinstance(value, str) and value.startswith("hmac:")
    return MASK if secret else json.dumps(value, sort_keys=True)[:1000]


def keep(frame: Frame, work: Work, outcome: Outcome) -> None:
    """Store what an apply answered as the Baseline of its resource; hooks have none."""
    action, answer = outcome.action, outcome.object
    desired = work.desired
    if action.verb not in _WRITES or answer is None or desired is None or action.key not in desired.by_key:
        return
    if action.field_manager != "gitops-hub":
        return
    desired_hash = desired.hashes[action.key]
    baseline = baseline_of(
        answer,
        action.body,
        desired_hash,
        key=frame.mask_key,
        rules=rules_of(frame, desired.by_key[action.key]),
        sensitive_annotations=settings.HUB_SENSITIVE_ANNOTATIONS,
        operation_id=str(work.operation.number),
        from_manifest=action.verb != "apply",
        left_out=[text.removesuffix(LEFT_OUT) for text in outcome.warnings if text.endswith(LEFT_OUT)],
    )
    metadata = answer["metadata"]
    work.kept.add(action.key)
    row = frame.rows.get(action.key)
    if row is not None and row.completed_at is not None and row.uid != metadata.get("uid", ""):
        frame.change(action.key, completed_at=None)  # that was the Job before this one
    frame.change(
        action.key,
        version=answer["apiVersion"].rpartition("/")[2],
        desired_hash=desired_hash,
        baseline=baseline.to_bytes(),
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        wave=desired.classes[action.key].wave,
        drift=[],
        **_adoption(frame, work, outcome),
    )


def _adoption(frame: Frame, work: Work, outcome: Outcome) -> dict[str, bool]:
    """An object taken over from no GitOps owner is remembered: its prune waits for a person (4.3)."""
    row = frame.rows.get(outcome.action.key)
    task = work.plan.by_id.get(outcome.action.task_id) if work.plan else None
    fresh = task is not None and task.reason == "adopts existing object" and not (row and row.baseline)
    return {"adopted": True} if fresh else {}


def unwritten(frame: Frame, work: Work, manifest: Manifest) -> ObjectRules:
    """Rules whose paths are not ours to write: the autoscaler's, with RespectIgnoreDifferences all (4.4)."""
    if work.plan is not None and work.plan.options.respect_ignore_differences:
        return rules_of(frame, manifest)
    return autoscalers.rules_for(frame, manifest)


def partly_written(frame: Frame, work: Work) -> set[ResourceKey]:
    """What is still to be written and has paths that are not: who owns those must be known before (4.4)."""
    if work.plan is None or work.progress is None or work.desired is None:
        return set()
    wanted = work.desired.by_key
    tasks = [task for batch in work.plan.batches for task in batch.tasks]
    return {
        task.key
        for task in tasks
        if task.key in wanted and not task.hook and work.progress.of(task).state == "pending"
        if (rules := unwritten(frame, work, wanted[task.key])).paths or rules.managers
    }


def body(frame: Frame, work: Work, manifest: Manifest, live: Manifest | None) -> Manifest:
    """What is sent for a manifest: as Git has it, without the paths that are not ours to write."""
    rules = unwritten(frame, work, manifest)
    if live is None or not (rules.paths or rules.managers) or work.plan is None:
        return manifest
    key = key_of(manifest)
    tasks = (task for batch in work.plan.batches for task in batch.tasks)
    put = any(task.action == "replace" for task in tasks if task.key == key)
    return body_to_send(manifest, live, rules, replace=put).manifest
