"""The end of an Application: detach, or a deletion plan in reverse wave order with its hooks (sync-semantics.md 10).

`build_deletion` gives a SyncPlan of kind `delete` that `advance`, `record`, `wanted_keys` and `results` walk like any
other: PreDelete hooks, resources from the highest wave down, PostDelete hooks, removal of the hook objects. What stays
is in the plan with code `Kept` and the reason. A failed attempt is built anew, with `done_hooks` of the former ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from clusters.core.hooks import (
    HOOK_FINALIZERS,
    Classified,
    classify,
    generated_name,
    hook_timeout,
    operation_mark,
    runs_to_completion,
)
from clusters.core.manifests import (
    FINGERPRINT_ANNOTATION,
    MANAGED_BY_LABEL,
    OPERATION_ANNOTATION,
    TRACKING_ANNOTATION,
    Manifest,
    ResourceKey,
    key_of,
    managed_by,
    metadata_map,
)
from clusters.core.plan.actions import strip_action
from clusters.core.plan.model import SyncPlan, Task
from clusters.core.plan.options import DEFAULT_OPTIONS, SyncOptions, resource_options
from clusters.core.plan.order import CRD, KIND_RANK, task_id
from clusters.core.plan.progress import Progress
from clusters.core.plan.request import DEFAULT_BUDGET, PruneBudget, source_of
from clusters.core.plan.settle import finalizers, uid_of
from clusters.core.plan.steps import Action, Step

_PHASES = {"PreDelete": 0, "Delete": 1, "PostDelete": 2}
MOST_APPLICATIONS = 3


@dataclass(frozen=True, slots=True)
class DeletionRequest:
    """Who is deleted and how. `crds`: names of CustomResourceDefinitions that go too. `automated`: a generator or a
    parent asks, so the budget of 10.5 counts; a person has seen the list."""

    operation: str
    application: str
    hub_id: str
    namespace: str
    started_at: datetime
    attempt: int = 1
    revisions: tuple[str, ...] = ()
    options: SyncOptions = DEFAULT_OPTIONS
    propagation: Literal["", "Foreground", "Background"] = ""
    crds: frozenset[str] = frozenset()
    automated: bool = False
    identity: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeletionFacts:
    """`desired`: the manifests of the last Succeeded Revision (or, after a failure, of the newest): only their deletion
    hooks count. `violations`: the Project does not permit the object. `wanted_by`: an Application that wants it, too.
    `done_hooks`, `skipped_hooks`: `<phase>/<source>`."""

    live: Mapping[ResourceKey, Manifest | None]
    desired: Sequence[Manifest] = ()
    violations: Mapping[ResourceKey, str] = field(default_factory=dict)
    wanted_by: Mapping[ResourceKey, str] = field(default_factory=dict)
    confirmed: frozenset[ResourceKey] = frozenset()
    done_hooks: frozenset[str] = frozenset()
    skipped_hooks: frozenset[str] = frozenset()
    budget: PruneBudget = DEFAULT_BUDGET


def build_deletion(request: DeletionRequest, facts: DeletionFacts) -> SyncPlan:
    """The plan of one attempt to delete everything that the Application manages."""
    options = request.options
    if request.propagation:
        options = replace(options, propagation=request.propagation)
    tasks = [
        task
        for manifest in facts.desired
        for task in _hook_tasks(manifest, classify(manifest), request, facts)
    ]
    hooks = {task.key for task in tasks}
    objects = [
        _object_task(key, live, request, facts)
        for key, live in sorted(facts.live.items())
        if live is not None and key not in hooks and managed_by(live, request.application, request.hub_id)
        if not classify(live).deletion
    ]
    tasks += _within_budget(objects, request, facts)
    return SyncPlan(
        operation=request.operation,
        application=request.application,
        hub_id=request.hub_id,
        namespace=request.namespace,
        started_at=request.started_at,
        kind="delete",
        attempt=request.attempt,
        revisions=request.revisions,
        options=options,
        request={"crds": sorted(request.crds)} if request.crds else {},
        identity=dict(request.identity),
        tasks=tuple(sorted(tasks, key=_order)),
    )


def _order(task: Task) -> tuple[Any, ...]:
    wave = -task.wave if task.phase == "Delete" else task.wave
    return (_PHASES[task.phase], wave, KIND_RANK.get(task.key.kind, len(KIND_RANK)), task.key)


def _object_task(key: ResourceKey, live: Manifest, request: DeletionRequest, facts: DeletionFacts) -> Task:
    options, _ = resource_options(request.options, None, live)
    found = classify(live)
    task = Task(
        id=task_id("Delete", key),
        key=key,
        phase="Delete",
        wave=found.wave,
        action="prune",
        api_version=str(live.get("apiVersion") or ""),
        live_uid=uid_of(live),
        must_carry=str(metadata_map(live, "annotations").get(TRACKING_ANNOTATION) or ""),
        confirm="confirm" in (options.delete, options.prune) and key not in facts.confirmed,
        options=options,
    )
    kept = _kept(task, found, request, facts)
    return replace(task, action="leave", code="Kept", reason=kept, confirm=False) if kept else task


def _kept(task: Task, found: Classified, request: DeletionRequest, facts: DeletionFacts) -> str:
    """10.3: why an object stays, empty if it goes."""
    if task.key[:2] == CRD and task.key.name not in request.crds:
        return "CustomResourceDefinitions stay unless the request names them"
    if task.options.keep:
        return "helm.sh/resource-policy: keep"
    if task.options.delete == "false":
        return "Delete=false"
    if found.kind == "skip":
        return "argocd.argoproj.io/hook: Skip"
    if task.key in facts.wanted_by:
        return f"application {facts.wanted_by[task.key]} wants it, too"
    refused = facts.violations.get(task.key)
    return f"left: not permitted ({refused})" if refused else ""


def _within_budget(tasks: list[Task], request: DeletionRequest, facts: DeletionFacts) -> list[Task]:
    """10.5: what nobody has looked at yet needs a confirmation when it is much."""
    going = [task for task in tasks if task.action == "prune" and task.key not in facts.confirmed]
    broken = facts.budget.broken(len(going), len(tasks)) if request.automated else ""
    if not broken:
        return tasks
    return [replace(t, confirm=True, reason=broken) if t in going else t for t in tasks]


def _hook_tasks(
    manifest: Manifest, found: Classified, request: DeletionRequest, facts: DeletionFacts
) -> Iterable[Task]:
    key = key_of(manifest)
    timeout, _ = hook_timeout(manifest, request.options.hook_timeout)
    for phase in found.deletion:
        prefix = str(manifest["metadata"].get("generateName") or "")
        revision = (request.revisions or ("",))[0]
        name = key.name or generated_name(prefix, revision, phase, request.started_at, request.attempt)
        final = key._replace(name=name)
        source = source_of(manifest)
        task = Task(
            id=task_id(phase, final),
            key=final,
            phase=phase,
            wave=found.wave,
            action="run_hook",
            source=source,
            api_version=manifest["apiVersion"],
            live_uid=uid_of(facts.live.get(final)),
            hook=True,
            ends=runs_to_completion(manifest),
            policies=tuple(sorted(found.policies)),
            mark=operation_mark(request.operation, request.attempt, phase, len(found.deletion)),
            timeout=timeout,
        )
        name_of_run = f"{phase}/{source}"
        if name_of_run in facts.done_hooks:
            yield replace(
                task, action="skip_hook", code="HookSkipped", reason="succeeded in an earlier attempt"
            )
        elif name_of_run in facts.skipped_hooks:
            yield replace(task, action="skip_hook", code="HookSkipped", reason="skipped by a person")
        else:
            yield task


def done_hooks(plan: SyncPlan, progress: Progress) -> frozenset[str]:
    """`<phase>/<source>` of the deletion hooks that need not run again in the next attempt."""
    return frozenset(
        f"{task.phase}/{task.source}"
        for task in plan.tasks
        if task.hook and (task.action == "skip_hook" or progress.of(task).state == "Succeeded")
    )


def applications_need_confirmation(count: int) -> str:
    """10.5 for one cascade of generated or child Applications; empty if it needs none."""
    if count <= MOST_APPLICATIONS:
        return ""
    return f"{count} applications would be deleted, more than {MOST_APPLICATIONS}"


def detach_step(application: str, hub_id: str, live: Mapping[ResourceKey, Manifest | None]) -> Step | None:
    """The Step that takes our marks from what the Application manages; None when nothing carries them any more.

    A metadata patch, never an empty apply: that would delete every field we own (C9). Hook finalizers go first.
    """
    found = [
        (key, obj)
        for key, obj in sorted(live.items())
        if obj is not None and managed_by(obj, application, hub_id)
    ]
    strips, patches = [], []
    for key, obj in found:
        if any(name in HOOK_FINALIZERS for name in finalizers(obj)):
            task = Task(
                task_id("Delete", key), key, "Delete", 0, "leave", api_version=str(obj.get("apiVersion"))
            )
            strip = strip_action(task, obj)
            strips += [strip] if strip else []
        patches.append(_detach_action(key, obj))
    if not patches:
        return None
    groups = tuple(tuple(group) for group in (strips, patches) if group)
    return Step("detach", f"detaching {len(patches)} objects", groups, stop_on_failure=False)


def _detach_action(key: ResourceKey, live: Manifest) -> Action:
    marks = (TRACKING_ANNOTATION, OPERATION_ANNOTATION, FINGERPRINT_ANNOTATION)
    carried = metadata_map(live, "annotations")
    metadata: dict[str, Any] = {"annotations": {name: None for name in marks if name in carried}}
    if MANAGED_BY_LABEL in metadata_map(live, "labels"):
        metadata["labels"] = {MANAGED_BY_LABEL: None}
    if uid_of(live):
        metadata["uid"] = uid_of(live)
    return Action(
        "patch",
        key,
        body={"metadata": metadata},
        api_version=str(live.get("apiVersion") or ""),
        patch_type="merge",
        task_id=task_id("Delete", key),
    )
