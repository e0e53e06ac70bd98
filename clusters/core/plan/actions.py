"""The request that each task needs: bodies, deletions, finalizers, adoption (sync-semantics.md 3.7, 4.1, 4.2, 5.4)."""

from __future__ import annotations

from typing import Any

from clusters.core.hooks import HOOK_FINALIZERS, hook_body
from clusters.core.manifests import (
    ARGOCD_FIELD_MANAGER,
    ARGOCD_INSTALLATION_ANNOTATION,
    ARGOCD_TRACKING_ANNOTATION,
    FIELD_MANAGER,
    LAST_APPLIED_ANNOTATION,
    OPERATION_ANNOTATION,
    Manifest,
    ResourceKey,
    metadata_map,
)
from clusters.core.plan.build import NEVER_DELETED
from clusters.core.plan.model import NamespaceWish, Task
from clusters.core.plan.observed import Situation
from clusters.core.plan.settle import finalizers, uid_of
from clusters.core.plan.steps import Action

FORMER_KEYS = (ARGOCD_TRACKING_ANNOTATION, ARGOCD_INSTALLATION_ANNOTATION, LAST_APPLIED_ANNOTATION)
KUBECTL_MANAGERS = frozenset({"kubectl-client-side-apply", "before-first-apply"})


def body_of(situation: Situation, task: Task) -> Manifest:
    """The object to send. Raises LookupError if the caller did not pass the manifest of this plan again."""
    manifest = situation.observed.desired.get(task.source)
    if manifest is None:
        raise LookupError(f"the desired manifest {task.source} of the plan was not passed")
    if task.hook:
        return hook_body(manifest, task.key.name, task.mark, task.fingerprint)
    return situation.observed.prepare(manifest, situation.live(task))


def write_action(situation: Situation, task: Task, *, dry_run: bool = False) -> Action:
    """POST, PUT or server-side apply, as the task says. What is believed absent is applied without force (5.4)."""
    held, live = situation.of(task), situation.live(task)
    common: dict[str, Any] = {
        "key": task.key,
        "body": body_of(situation, task),
        "api_version": task.api_version,
        "dry_run": dry_run,
        "strict": task.options.validate,
        "task_id": task.id,
    }
    if task.hook and task.ends:
        return Action("create", **common)
    if task.action == "replace":
        if live is None:
            return Action("create", **common)
        version = str((live.get("metadata") or {}).get("resourceVersion") or "")
        return Action("replace", resource_version=version, **common)
    # The version seen before tells the gate whether the apply changed anything (3.5 item 1).
    seen = str((live.get("metadata") or {}).get("resourceVersion") or "") if live is not None else ""
    force = live is not None or not held.known_absent or task.hook
    return Action("apply", force=force, resource_version=seen, **common)


def needs_delete(situation: Situation, task: Task) -> bool:
    """Whether the object that is there must be gone before this task creates its own (3.3 d)."""
    held, live = situation.of(task), situation.live(task)
    if live is None or task.key[:2] in NEVER_DELETED:
        return False
    if task.hook:
        if metadata_map(live, "annotations").get(OPERATION_ANNOTATION) == task.mark:
            return False
        return task.ends or "BeforeHookCreation" in task.policies
    if held.recreate:
        return uid_of(live) == held.old_uid
    return task.action == "recreate" and bool(task.live_uid) and uid_of(live) == task.live_uid


def delete_action(
    situation: Situation, task: Task, live: Manifest | None, *, must_carry: str = "", dry_run: bool = False
) -> Action:
    return Action(
        "delete",
        task.key,
        api_version=task.api_version,
        dry_run=dry_run,
        propagation=situation.plan.options.propagation,
        uid=uid_of(live) or task.live_uid,
        must_carry=must_carry,
        task_id=task.id,
    )


def strip_action(task: Task, live: Manifest | None) -> Action | None:
    """Takes hook finalizers off by value; the test makes a changed list a refusal instead of a wrong removal."""
    if live is None:
        return None
    names = finalizers(live)
    found = [index for index, name in enumerate(names) if name in HOOK_FINALIZERS]
    if not found:
        return None
    body: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": uid_of(live)}]
    for index in reversed(found):
        path = f"/metadata/finalizers/{index}"
        body += [{"op": "test", "path": path, "value": names[index]}, {"op": "remove", "path": path}]
    return Action("patch", task.key, body=body, api_version=task.api_version, task_id=task.id)


def managers_to_move(
    live: Manifest | None, *, migrate: bool, takeover: bool, more: str = ""
) -> tuple[str, ...]:
    """Field managers whose entries must become ours before our apply can remove a field (4.1 [C2])."""
    entries = ((live or {}).get("metadata") or {}).get("managedFields") or ()
    found = []
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("subresource"):
            continue
        manager, update = str(entry.get("manager") or ""), entry.get("operation") == "Update"
        kubectl = migrate and update and (manager in KUBECTL_MANAGERS or (bool(more) and manager == more))
        ours = update and manager == FIELD_MANAGER
        theirs = takeover and manager == ARGOCD_FIELD_MANAGER
        if (kubectl or ours or theirs) and manager not in found:
            found.append(manager)
    return tuple(found)


def adopt_action(situation: Situation, task: Task) -> Action | None:
    """Moves managed fields before the first apply, once per attempt."""
    live, plan = situation.live(task), situation.plan
    if live is None or task.hook or task.action != "apply" or situation.of(task).moved:
        return None
    managers = managers_to_move(
        live,
        migrate=plan.options.migrate_fields,
        takeover=plan.kind == "takeover",
        more=plan.migration_manager,
    )
    if not managers:
        return None
    version = str((live.get("metadata") or {}).get("resourceVersion") or "")
    return Action(
        "move_fields",
        task.key,
        api_version=task.api_version,
        resource_version=version,
        uid=uid_of(live),
        managers=managers,
        task_id=task.id,
    )


def release_action(situation: Situation, task: Task) -> Action | None:
    """Takes the former owner's keys off an object that is taken over, whoever wrote them (5.3)."""
    live = situation.live(task)
    if situation.plan.kind != "takeover" or live is None:
        return None
    held = [name for name in FORMER_KEYS if name in metadata_map(live, "annotations")]
    if not held:
        return None
    body: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": uid_of(live)}]
    body += [{"op": "remove", "path": f"/metadata/annotations/{name.replace('/', '~1')}"} for name in held]
    return Action("patch", task.key, body=body, api_version=task.api_version, task_id=task.id)


def wish_action(wish: NamespaceWish, live: Manifest | None) -> Action | None:
    """Creates the destination Namespace, or brings the labels and annotations that the Application manages."""
    key = ResourceKey("", "Namespace", "", wish.name)
    metadata: dict[str, Any] = {"name": wish.name}
    metadata.update({k: v for k, v in (("labels", wish.labels), ("annotations", wish.annotations)) if v})
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    if live is None:
        if not wish.create:
            return None
        verb: Any = "create" if wish.manager in ("", FIELD_MANAGER) else "apply"
        return Action(verb, key, body=body, api_version="v1", field_manager=wish.manager or FIELD_MANAGER)
    same = all(
        metadata_map(live, name).get(k) == v
        for name, wanted in (("labels", wish.labels), ("annotations", wish.annotations))
        for k, v in wanted.items()
    )
    if same and not wish.stale:
        return None
    return Action("apply", key, body=body, api_version="v1", field_manager=wish.manager or FIELD_MANAGER)
