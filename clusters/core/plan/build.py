"""`build_plan`: pairing, task rules, ownership, hook decisions, prune guards (sync-semantics.md 2, 4.3, 5.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from clusters.core.health.reading import dig
from clusters.core.hooks import (
    Classified,
    HookFacts,
    classify,
    decide_hook,
    generated_name,
    hook_timeout,
    images_of,
    operation_mark,
    runs_to_completion,
)
from clusters.core.manifests import FIELD_MANAGER, Manifest, ResourceKey, key_of
from clusters.core.plan.model import Finding, InvalidTask, NamespaceWish, SyncPlan, Task, TaskAction
from clusters.core.plan.options import ResourceOptions, resource_options
from clusters.core.plan.order import CRD, bubble, place_prunes, sort_key, task_id
from clusters.core.plan.owning import judge_owner
from clusters.core.plan.prunes import prune_tasks
from clusters.core.plan.request import PlanFacts, PlanRequest, source_of
from clusters.core.plan.selection import Selection

NEVER_DELETED = frozenset({("", "Namespace"), CRD, ("", "PersistentVolume"), ("", "PersistentVolumeClaim")})
_NAMESPACE = ("", "Namespace")


def build_plan(request: PlanRequest, facts: PlanFacts) -> SyncPlan:
    """The plan of one attempt. Pure and deterministic; nothing in it says what was already done.

    Invalid tasks do not raise: they stand in `SyncPlan.invalid`, and `next_step` ends the operation with them. Raises
    ValueError for a text in `request.resources` that is not of its form; doors check it with `Choice.parse`.
    """
    return _Builder(request, facts).build()


class _Builder:
    """Collects tasks and findings of one plan; lives only as long as `build_plan` runs."""

    def __init__(self, request: PlanRequest, facts: PlanFacts) -> None:
        self.request, self.facts = request, facts
        self.selection = Selection.of(request)
        self.tasks: list[Task] = []
        self.invalid: list[InvalidTask] = [InvalidTask(key, text) for key, text in facts.invalid]
        self.findings: list[Finding] = []
        self.warnings: list[str] = []
        self.served_by = _served_by(facts.desired)
        self.brought = frozenset(self.served_by.values())
        self.wish = self._namespace_wish()
        self.new_namespaces = self._new_namespaces()

    def build(self) -> SyncPlan:
        request = self.request
        for manifest in self.facts.desired:
            self._add(manifest)
        prunes, findings = prune_tasks(request, self.facts, self.selection)
        self.tasks += prunes
        self.findings += findings
        if request.kind == "sync":
            for choice in self.selection.unmet(task.key for task in self.tasks):
                text = f"nothing of this application is {choice}"
                self.invalid.append(InvalidTask(ResourceKey("", choice, "", ""), text, "nothing_chosen"))
        ordered = sorted(place_prunes(self.tasks), key=sort_key)
        tasks = bubble(ordered, self.served_by)
        return SyncPlan(
            operation=request.operation,
            application=request.application,
            hub_id=request.hub_id,
            namespace=request.namespace,
            started_at=request.started_at,
            kind=request.kind,
            attempt=request.attempt,
            revisions=request.revisions,
            options=request.options,
            request=_request_json(request),
            identity=dict(request.identity),
            tasks=tuple(tasks),
            invalid=tuple(sorted(self.invalid, key=lambda t: (t.message, t.key))),
            namespace_wish=self.wish,
            findings=tuple(self.findings),
            warnings=tuple(self.warnings),
            dry_run=request.dry_run,
            migration_manager=request.migration_manager,
        )

    def _add(self, manifest: Manifest) -> None:
        found = classify(manifest)
        key = key_of(manifest)
        if found.kind in ("skip", "ignored"):
            if found.unknown:
                text = f"hook {', '.join(found.unknown)} is not known; the object is not applied"
                self.findings.append(Finding("UnknownHook", str(key), text))
            return
        self.warnings += [f"{key}: {text}" for text in found.warnings]
        if found.kind == "hook":
            if self.selection.takes_hooks:
                self.tasks += self._hook_tasks(manifest, key, found)
        elif self._is_asked(key) and self.selection.chooses(key, manifest):
            self.tasks.append(self._resource_task(manifest, key, found.wave))

    def _is_asked(self, key: ResourceKey) -> bool:
        """A prune applies nothing; a takeover only what somebody else owns."""
        if self.request.kind != "takeover":
            return self.request.kind != "prune"
        live = self.facts.live.get(key)
        return live is not None and judge_owner(live, key, replace(self.request, kind="sync"), self.facts)[1]

    def _resource_task(self, manifest: Manifest, key: ResourceKey, wave: int) -> Task:
        live = self.facts.live.get(key)
        options, warnings = resource_options(self.request.options, manifest, live)
        self.warnings += [f"{key}: {text}" for text in warnings]
        if self.request.force and not options.force:
            options = replace(options, force=True)
        action = self._action(key, options)
        task = Task(
            id=task_id("Sync", key),
            key=key,
            phase="Sync",
            wave=wave,
            action=action,
            source=source_of(manifest),
            api_version=manifest["apiVersion"],
            live_uid=_uid(live),
            in_place=action == "apply" and live is not None and self._in_place(key, options),
            local_only=self._local_only(key),
            options=options,
        )
        if not key.name:
            hint = "generateName is for hooks only: give the object a name"
            self.invalid.append(InvalidTask(key, f"{key} has no name; {hint}"))
        self._check(task, options)
        return self._owned(task, live)

    def _action(self, key: ResourceKey, options: ResourceOptions) -> TaskAction:
        """4.2: Force with Replace deletes and creates at every full sync, but not what may never be deleted."""
        full = self.request.kind != "self-heal" and not self.selection.partial
        if options.recreate and full and key[:2] not in NEVER_DELETED:
            return "recreate"
        return "replace" if options.replace else "apply"

    def _in_place(self, key: ResourceKey, options: ResourceOptions) -> bool:
        if self.request.apply_all or self.request.options.apply_out_of_sync_only is False:
            return False
        return key in self.facts.in_place and not options.replace and not options.force

    def _local_only(self, key: ResourceKey) -> bool:
        """Objects whose namespace or CRD this plan creates get local checks only (3.3)."""
        if key.namespace in self.new_namespaces:
            return True
        return self.facts.discovery.find(key.group, key.kind) is None

    def _check(self, task: Task, options: ResourceOptions) -> None:
        key, discovery = task.key, self.facts.discovery
        refused = self.facts.violations.get(key)
        if refused:
            self.invalid.append(InvalidTask(key, refused, "ProjectPolicyViolation"))
        info = discovery.find(key.group, key.kind)
        version = task.api_version.rpartition("/")[2]
        served = info is not None and (not info.versions or version in info.versions)
        if served or (key.group, key.kind) in self.brought or options.skip_dry_run_on_missing:
            return
        if info is None and key.group in discovery.broken_groups:
            self.warnings.append(f"{key}: discovery of {key.group} failed, the kind is taken as served")
            return
        kind = f"{key.group}/{key.kind}" if key.group else key.kind
        suffix = "" if info is None else f" in version {version}"
        message = f"the cluster does not serve {kind}{suffix}"
        self.invalid.append(InvalidTask(key, message, "kind_not_served", retryable=True))

    def _owned(self, task: Task, live: Manifest | None) -> Task:
        """5.3: what becomes of a target whose live object is somebody's."""
        if live is None:
            done = self.facts.completed.get(task.key)
            if done and task.action == "apply" and not self.request.apply_all:
                return replace(task, action="leave", code="Unchanged", reason=done)
            return task
        text, shared = judge_owner(live, task.key, self.request, self.facts)
        if not shared:
            return replace(task, reason=text) if text else task
        self.findings.append(Finding("SharedResource", str(task.key), text))
        return replace(task, action="leave", code="SharedSkipped", reason=text, in_place=False)

    def _hook_tasks(self, manifest: Manifest, key: ResourceKey, found: Classified) -> Iterator[Task]:
        request, source = self.request, source_of(manifest)
        options, warnings = resource_options(request.options, manifest)
        timeout, more = hook_timeout(manifest, request.options.hook_timeout, request.longest_hook)
        choice = decide_hook(manifest, self._hook_facts(source))
        self.warnings += [f"{key}: {text}" for text in (*warnings, *more, *choice.warnings)]
        for phase in found.phases:
            name = key.name or generated_name(
                str((manifest["metadata"]).get("generateName") or ""),
                (request.revisions or ("",))[0],
                phase,
                request.started_at,
                request.attempt,
            )
            final = key._replace(name=name)
            live = self.facts.live.get(final)
            task = Task(
                id=task_id(phase, final),
                key=final,
                phase=phase,
                wave=found.wave,
                action="run_hook",
                source=source,
                api_version=manifest["apiVersion"],
                live_uid=_uid(live),
                local_only=self._local_only(final),
                hook=True,
                ends=runs_to_completion(manifest),
                policies=tuple(sorted(found.policies)),
                mark=operation_mark(request.operation, request.attempt, phase, len(found.phases)),
                fingerprint=choice.fingerprint,
                images=tuple(images_of(manifest)),
                timeout=timeout,
                reason=choice.reason,
                options=options,
            )
            late = request.options.helm_hooks == "helm" and not found.runs_in(
                phase, installed=self.facts.installed
            )
            if late:
                when = "before the first sync only" if self.facts.installed else "after the first sync only"
                yield replace(task, action="skip_hook", code="HookSkipped", reason=f"Helm runs it {when}")
            elif choice.action == "run":
                self._check(task, options)
                yield self._owned(task, live)
            else:
                code = "HookSkipped" if choice.action == "skip" else "HookBlocked"
                yield replace(task, action="skip_hook", code=code)

    def _hook_facts(self, source: str) -> HookFacts:
        request, facts = self.request, self.facts
        return HookFacts(
            operation=request.operation,
            attempt=request.attempt,
            last=facts.hooks.get(source),
            desired=facts.desired,
            files=facts.files,
            rollback=request.kind == "rollback",
            run_all=request.run_all_hooks or (request.options.hooks_on_self_heal == "always" and self._heals),
            skip_all=request.skip_hooks,
            choice=facts.hook_choices.get(source, ""),
        )

    @property
    def _heals(self) -> bool:
        return self.request.kind == "self-heal"

    def _namespace_wish(self) -> NamespaceWish | None:
        request = self.request
        key = ResourceKey("", "Namespace", "", request.namespace)
        managed = request.namespace_metadata
        wanted = request.options.create_namespace or managed is not None
        if not wanted or not request.namespace or any(key_of(m) == key for m in self.facts.desired):
            return None
        return NamespaceWish(
            request.namespace,
            create=request.options.create_namespace,
            labels=dict((managed or {}).get("labels") or {}),
            annotations=dict((managed or {}).get("annotations") or {}),
            manager=request.namespace_manager if managed is not None else FIELD_MANAGER,
            stale=request.namespace_stale,
        )

    def _new_namespaces(self) -> frozenset[str]:
        live = self.facts.live
        names = [key_of(m) for m in self.facts.desired if m.get("kind") == "Namespace"]
        new = {key.name for key in names if key[:2] == _NAMESPACE and live.get(key) is None}
        if self.wish and self.wish.create and live.get(ResourceKey(*_NAMESPACE, "", self.wish.name)) is None:
            new.add(self.wish.name)
        return frozenset(new)


def _served_by(desired: object) -> dict[ResourceKey, tuple[str, str]]:
    found = {}
    for manifest in desired if isinstance(desired, list | tuple) else ():
        if manifest.get("kind") == CRD[1] and key_of(manifest).group == CRD[0]:
            group, kind = dig(manifest, "spec", "group"), dig(manifest, "spec", "names", "kind")
            found[key_of(manifest)] = (str(group or ""), str(kind or ""))
    return found


def _uid(live: Manifest | None) -> str:
    return str(((live or {}).get("metadata") or {}).get("uid") or "")


def _request_json(request: PlanRequest) -> dict[str, object]:
    """What was asked, as the digest and the card show it; only what was set."""
    names = ("prune", "dry_run", "force", "apply_all", "skip_hooks", "run_all_hooks", "resources", "labels")
    found: dict[str, object] = {name: value for name in names if (value := getattr(request, name))}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
