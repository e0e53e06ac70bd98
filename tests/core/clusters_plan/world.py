"""A cluster as a dict and a clock as a number: enough of the API to walk plans without a server.

Every progress and every plan goes through JSON between two steps, so each test is also a test of a killed worker.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from clusters.core.discovery import Discovery, KindInfo
from clusters.core.health import assess
from clusters.core.manifests import Manifest, ResourceKey, key_of, stamp
from clusters.core.plan import (
    Action,
    Observed,
    Outcome,
    PlanFacts,
    PlanRequest,
    Progress,
    Step,
    SyncPlan,
    Verdict,
    Wait,
    advance,
    build_plan,
    index_desired,
    parse_sync_options,
    record,
    results,
    wanted_keys,
)

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
APP, HUB = "shop", "h1"
HOOK, WAVE = "argocd.argoproj.io/hook", "argocd.argoproj.io/sync-wave"
POLICY = "argocd.argoproj.io/hook-delete-policy"
OPTIONS = "argocd.argoproj.io/sync-options"

_NAMESPACED = {
    ("", "ConfigMap"): "v1",
    ("", "Secret"): "v1",
    ("", "Service"): "v1",
    ("", "ServiceAccount"): "v1",
    ("", "PersistentVolumeClaim"): "v1",
    ("", "Pod"): "v1",
    ("apps", "Deployment"): "v1",
    ("batch", "Job"): "v1",
    ("networking.k8s.io", "Ingress"): "v1",
    ("example.com", "Widget"): "v1",
}
_CLUSTER = {("", "Namespace"): "v1", ("apiextensions.k8s.io", "CustomResourceDefinition"): "v1"}


def kinds(*, without: Iterable[tuple[str, str]] = ()) -> dict[tuple[str, str], KindInfo]:
    found = {}
    for table, namespaced in ((_NAMESPACED, True), (_CLUSTER, False)):
        for (group, kind), version in table.items():
            if (group, kind) not in set(without):
                found[group, kind] = KindInfo(group, version, kind, kind.lower() + "s", namespaced)
    return found


def obj(
    kind: str, name: str, *, group: str = "", namespace: str = "shop", wave: Any = None, **more: Any
) -> Manifest:
    group = group or {
        "Deployment": "apps",
        "Job": "batch",
        "Ingress": "networking.k8s.io",
        "Widget": "example.com",
    }.get(kind, "")
    annotations = dict(more.pop("annotations", {}))
    if wave is not None:
        annotations[WAVE] = str(wave)
    metadata: dict[str, Any] = {"name": name, "annotations": annotations}
    if kind not in ("Namespace", "CustomResourceDefinition"):
        metadata["namespace"] = namespace
    return {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind, "metadata": metadata, **more}


def config(name: str, wave: Any = None, **more: Any) -> Manifest:
    return obj("ConfigMap", name, wave=wave, data={"a": "1"}, **more)


def deployment(name: str, wave: Any = None, **more: Any) -> Manifest:
    spec = {"replicas": 1, "template": {"spec": {"containers": [{"name": "c", "image": f"{name}:1"}]}}}
    return obj("Deployment", name, wave=wave, spec=more.pop("spec", spec), **more)


def hook(name: str, phase: str, policy: str = "", kind: str = "Job", **more: Any) -> Manifest:
    annotations = {HOOK: phase, **({POLICY: policy} if policy else {}), **more.pop("annotations", {})}
    spec = {"template": {"spec": {"containers": [{"name": "c", "image": "job:1"}]}}}
    return obj(kind, name, annotations=annotations, **({"spec": spec} if kind == "Job" else {}), **more)


class World:
    """The fake cluster and its clock."""

    def __init__(self) -> None:
        self.objects: dict[ResourceKey, Manifest] = {}
        self.now = START
        self.version = 0
        self.log: list[tuple[str, str]] = []
        self.created: list[str] = []
        self.faults: list[str] = []
        self.refusals: dict[tuple[str, ResourceKey], tuple[str, str, bool]] = {}
        self.discovery = Discovery(kinds())
        self.on_apply: Callable[[Manifest], None] = lambda _obj: None
        self.put(obj("Namespace", "shop"))
        self.log.clear()

    # -- the hands of other people and controllers
    def put(self, manifest: Manifest) -> ResourceKey:
        key = key_of(manifest)
        self._store(key, copy.deepcopy(manifest))
        return key

    def put_managed(self, manifest: Manifest, app: str = APP) -> ResourceKey:
        return self.put(stamp(manifest, app, HUB, "shop"))

    def _store(self, key: ResourceKey, manifest: Manifest) -> None:
        self.version += 1
        metadata = manifest["metadata"]
        metadata.setdefault("uid", f"uid-{self.version}")
        metadata.setdefault("generation", 1)
        metadata["resourceVersion"] = str(self.version)
        self.objects[key] = manifest

    def touch(self, key: ResourceKey, **changes: Any) -> None:
        """A new version of an object (a dict swap, so that earlier looks keep what they saw)."""
        manifest = copy.deepcopy(self.objects[key])
        manifest.update(changes)
        self._store(key, manifest)

    def remove(self, key: ResourceKey) -> None:
        self.objects.pop(key, None)

    def ready(self, name: str, namespace: str = "shop") -> None:
        key = ResourceKey("apps", "Deployment", namespace, name)
        generation = self.objects[key]["metadata"]["generation"]
        status = {
            "replicas": 1,
            "updatedReplicas": 1,
            "availableReplicas": 1,
            "observedGeneration": generation,
        }
        self.touch(key, status={**status, "readyReplicas": 1})

    def degrade(self, name: str) -> None:
        key = ResourceKey("apps", "Deployment", "shop", name)
        generation = self.objects[key]["metadata"]["generation"]
        bad = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
        self.touch(key, status={"observedGeneration": generation, "conditions": [bad]})

    def end_job(self, name: str, *, good: bool = True) -> None:
        key = ResourceKey("batch", "Job", "shop", name)
        kind = "Complete" if good else "Failed"
        self.touch(key, status={"conditions": [{"type": kind, "status": "True", "message": f"job {kind}"}]})
        ttl = (self.objects[key].get("spec") or {}).get("ttlSecondsAfterFinished")
        if ttl == 0:
            self._delete(key)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def refuse(
        self, verb: str, key: ResourceKey, code: str = "forbidden", message: str = "denied", permanent=True
    ):
        self.refusals[verb, key] = (code, message, permanent)

    # -- the API
    def carry_out(self, step: Step) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for group in step.groups:
            found = [self._one(action) for action in group]
            outcomes += found
            if step.stop_on_failure and not all(o.ok for o in found):
                break
        return outcomes

    def _one(self, action: Action) -> Outcome:
        name = f"dry {action.verb}" if action.dry_run else action.verb
        self.log.append((name, str(action.key)))
        for verb in (name, action.verb):
            if (verb, action.key) in self.refusals and (verb == name or not action.dry_run):
                code, message, permanent = self.refusals[verb, action.key]
                return Outcome(action, False, code=code, message=message, permanent=permanent)
        fault = self.faults.pop(0) if self.faults else "none"
        if fault == "refused":
            return Outcome(action, False, code="unavailable", message="try later")
        live = self.objects.get(action.key)
        if action.dry_run:
            outcome = Outcome(action, True, copy.deepcopy(action.body or live), changed=False)
        else:
            outcome = getattr(self, f"_{action.verb}_")(action, live)
        if fault == "lost":
            return Outcome(action, False, code="unavailable", message="no answer")
        return outcome

    def _create_(self, action: Action, live: Manifest | None) -> Outcome:
        if live is not None:
            return Outcome(action, False, code="already_exists", message="exists", permanent=True)
        self._store(action.key, copy.deepcopy(action.body))
        self.created.append(str(action.key))
        self.on_apply(self.objects[action.key])
        return Outcome(action, True, copy.deepcopy(self.objects[action.key]))

    def _apply_(self, action: Action, live: Manifest | None) -> Outcome:
        if live is None:
            return self._create_(action, live)
        if not action.force:
            return Outcome(
                action, False, code="conflict", message="conflict with another manager", permanent=True
            )
        return self._update(action, live)

    def _replace_(self, action: Action, live: Manifest | None) -> Outcome:
        if live is None:
            return Outcome(action, False, code="not_found", permanent=True)
        if action.resource_version != live["metadata"]["resourceVersion"]:
            return Outcome(action, False, code="conflict", message="stale")
        return self._update(action, live)

    def _update(self, action: Action, live: Manifest) -> Outcome:
        after = {**copy.deepcopy(live), **copy.deepcopy(action.body)}
        kept = {k: v for k, v in live["metadata"].items() if k not in ("annotations", "labels")}
        after["metadata"] = {**kept, **copy.deepcopy(action.body["metadata"])}
        same = after == live
        if not same:
            if {k: v for k, v in after.items() if k != "metadata"} != {
                k: v for k, v in live.items() if k != "metadata"
            }:
                after["metadata"]["generation"] = live["metadata"]["generation"] + 1
            self._store(action.key, after)
            self.on_apply(self.objects[action.key])
        return Outcome(action, True, copy.deepcopy(self.objects[action.key]), changed=not same)

    def _delete_(self, action: Action, live: Manifest | None) -> Outcome:
        if live is None:
            return Outcome(action, False, code="not_found", permanent=True)
        if action.uid and action.uid != live["metadata"]["uid"]:
            return Outcome(action, False, code="conflict", message="uid", permanent=True)
        carried = (live["metadata"].get("annotations") or {}).get("gitops-hub.io/tracking-id")
        if action.must_carry and carried != action.must_carry:
            return Outcome(action, False, code="not_ours", permanent=True)
        self._delete(action.key)
        held = self.objects.get(action.key)
        return Outcome(action, True, copy.deepcopy(held) if held else None)

    def _delete(self, key: ResourceKey) -> None:
        live = self.objects[key]
        if live["metadata"].get("finalizers"):
            after = copy.deepcopy(live)
            after["metadata"]["deletionTimestamp"] = self.now.isoformat()
            self._store(key, after)
        else:
            del self.objects[key]

    def _patch_(self, action: Action, live: Manifest | None) -> Outcome:
        if live is None:
            return Outcome(action, False, code="not_found", permanent=True)
        after = copy.deepcopy(live)
        for op in action.body:
            parts = [part.replace("~1", "/") for part in op["path"].strip("/").split("/")]
            node: Any = after
            for part in parts[:-1]:
                node = node[int(part)] if isinstance(node, list) else node[part]
            at: Any = int(parts[-1]) if isinstance(node, list) else parts[-1]
            if op["op"] == "test" and node[at] != op["value"]:
                return Outcome(action, False, code="invalid", message="test failed", permanent=True)
            if op["op"] == "remove":
                del node[at]
        self._store(action.key, after)
        metadata = after["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            del self.objects[action.key]
            return Outcome(action, True, after)
        return Outcome(action, True, copy.deepcopy(after))

    def _move_fields_(self, action: Action, live: Manifest | None) -> Outcome:
        assert live is not None
        after = copy.deepcopy(live)
        after["metadata"]["managedFields"] = [{"manager": "gitops-hub", "operation": "Apply"}]
        self._store(action.key, after)
        return Outcome(action, True, copy.deepcopy(after))

    def has(self, text: str) -> bool:
        return any(str(key) == text for key in self.objects)

    def get(self, text: str) -> Manifest:
        return next(manifest for key, manifest in self.objects.items() if str(key) == text)

    def written(self, *verbs: str) -> list[str]:
        """The keys of requests in order, dry runs left out."""
        wanted = verbs or ("apply", "create", "replace", "delete")
        return [key for verb, key in self.log if verb in wanted]


def is_hook_health(manifest: Manifest, is_hook: bool) -> Any:
    return assess(manifest, is_hook=is_hook)


class Run:
    """One operation on a World; `walk` is one pass."""

    def __init__(self, world: World, desired: Sequence[Manifest], *options: str, **more: Any) -> None:
        self.world = world
        self.desired = [stamp(m, APP, HUB, "shop") for m in desired]
        facts = more.pop("facts", {})
        self.observed_more: dict[str, Any] = more.pop("observed", {})
        values = {"prune": True, "revisions": ("9f2c1d0aaaa",), "operation": "41", **more}
        self.request = PlanRequest(
            application=APP,
            hub_id=HUB,
            namespace="shop",
            started_at=world.now,
            options=parse_sync_options(list(options))[0],
            **values,
        )
        self.facts_more = facts
        self.plan = self.build()
        self.progress = Progress.begin(world.now)
        self.verdict: Verdict | None = None
        self.steps: list[str] = []

    def build(self, **changes: Any) -> SyncPlan:
        self.request = replace(self.request, **changes)
        live: dict[ResourceKey, Manifest | None] = dict(copy.deepcopy(self.world.objects))
        facts = PlanFacts(
            **{"desired": self.desired, "live": live, "discovery": self.world.discovery, **self.facts_more}
        )
        plan = build_plan(self.request, facts)
        again = SyncPlan.from_json(json.loads(json.dumps(plan.to_json())))
        assert again == plan
        return again

    def retry(self) -> None:
        self.plan = self.build(attempt=self.plan.attempt + 1)
        self.progress = self.progress.next_attempt(self.world.now)

    def look(self) -> Observed:
        live = {
            key: copy.deepcopy(self.world.objects.get(key)) for key in wanted_keys(self.plan, self.progress)
        }
        values: dict[str, Any] = {
            "desired": index_desired(self.desired),
            "live": live,
            "health": is_hook_health,
            "discovery": self.world.discovery,
        }
        return Observed(**{**values, **self.observed_more})

    def decide(self) -> Verdict:
        self.progress, verdict = advance(self.plan, self.progress, self.look(), self.world.now)
        again = Progress.from_json(json.loads(json.dumps(self.progress.to_json())))
        assert again == self.progress
        self.progress = again
        return verdict

    def step(self) -> Verdict:
        """One decision, and the Step if it is one."""
        verdict = self.decide()
        self.verdict = verdict
        if isinstance(verdict, Step):
            self.steps.append(verdict.name)
            outcomes = self.world.carry_out(verdict)
            self.progress = record(self.plan, self.progress, verdict, outcomes, self.world.now)
        return verdict

    def walk(self) -> Verdict:
        """One pass: until it would have to wait."""
        for _ in range(300):
            verdict = self.step()
            if not isinstance(verdict, Step):
                return verdict
        raise AssertionError("the pass does not end")

    def walk_timers(self) -> Verdict:
        """Passes that follow timers, but no event."""
        for _ in range(100):
            verdict = self.walk()
            if not isinstance(verdict, Wait) or verdict.until is None:
                return verdict
            if verdict.until > self.world.now + timedelta(seconds=5):
                return verdict
            self.world.now = max(verdict.until, self.world.now + timedelta(milliseconds=1))
        raise AssertionError("timers do not end")

    def observe_with(self, **more: Any) -> Run:
        self.observed_more.update(more)
        return self

    def result(self, text: str) -> Any:
        return next(r for r in results(self.plan, self.progress) if str(r.key) == text)

    def order(self) -> list[str]:
        return [f"{t.key.kind}/{t.key.name}" for t in self.plan.tasks]
