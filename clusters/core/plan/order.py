"""The order of tasks: sort key, dependency bubble, prune waves (sync-semantics.md 2.4 to 2.6). Pure list work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from clusters.core.hooks import PHASES
from clusters.core.manifests import ResourceKey
from clusters.core.plan.model import Task

_KINDS = """Namespace NetworkPolicy ResourceQuota LimitRange PodSecurityPolicy PodDisruptionBudget ServiceAccount Secret
SecretList ConfigMap StorageClass PersistentVolume PersistentVolumeClaim CustomResourceDefinition ClusterRole
ClusterRoleList ClusterRoleBinding ClusterRoleBindingList Role RoleList RoleBinding RoleBindingList Service DaemonSet
Pod ReplicationController ReplicaSet Deployment HorizontalPodAutoscaler StatefulSet Job CronJob IngressClass Ingress
APIService"""
KIND_RANK = {kind: rank for rank, kind in enumerate(_KINDS.split())}
_LAST = len(KIND_RANK)
PHASE_RANK = {phase: rank for rank, phase in enumerate(PHASES)}
CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")


def sort_key(task: Task) -> tuple[int, int, int, str, str, str, str]:
    """`(phase, wave, kind rank, name, namespace, group)`, and the kind, so that a plan has one order only."""
    key = task.key
    rank = KIND_RANK.get(key.kind, _LAST)
    return (PHASE_RANK[task.phase], task.wave, rank, key.name, key.namespace, key.group, key.kind)


def reverse_waves(waves: Sequence[int]) -> dict[int, int]:
    """The distinct waves, first for last: {0, 1, 5} becomes {5, 1, 0}.

    >>> reverse_waves([5, 0, 1, 1])
    {0: 5, 1: 1, 5: 0}
    """
    ordered = sorted(set(waves))
    return dict(zip(ordered, reversed(ordered), strict=True))


def place_prunes(tasks: Sequence[Task]) -> list[Task]:
    """Deletions run in reverse of creation; `PruneLast` comes after all of the Sync phase (2.6)."""
    mapping = reverse_waves([t.wave for t in tasks if t.action == "prune"])
    swapped = [replace(t, wave=mapping[t.wave]) if t.action == "prune" else t for t in tasks]
    last = 1 + max((t.wave for t in swapped if t.phase == "Sync" and t.active), default=0)
    return [
        replace(t, wave=max(1, last)) if t.action == "prune" and t.options.prune_last else t for t in swapped
    ]


def bubble(tasks: Sequence[Task], served_by: Mapping[ResourceKey, tuple[str, str]]) -> list[Task]:
    """Namespaces, then CRDs, move right before the first task that needs them and take its phase and wave (2.5).

    `tasks` are sorted; `served_by` maps the key of each desired CRD to the (group, kind) it brings.
    """
    homes: dict[str, int] = {}
    for index, task in enumerate(tasks):
        if task.active and task.action != "prune" and task.key.namespace:
            homes.setdefault(task.key.namespace, index)
    needed = {
        index: homes[task.key.name]
        for index, task in enumerate(tasks)
        if _moves(task) and task.key[:2] == ("", "Namespace") and homes.get(task.key.name, index) < index
    }
    result = _moved(tasks, needed)
    if not served_by:
        return result
    first: dict[tuple[str, str], int] = {}
    for index, task in enumerate(result):
        if task.active and task.action != "prune":
            first.setdefault((task.key.group, task.key.kind), index)
    needed = {
        index: first.get(served_by[task.key], index)
        for index, task in enumerate(result)
        if _moves(task) and task.key in served_by and first.get(served_by[task.key], index) < index
    }
    return _moved(result, needed)


def _moves(task: Task) -> bool:
    return task.active and task.action != "prune"


def _moved(tasks: Sequence[Task], needed: Mapping[int, int]) -> list[Task]:
    """`needed`: index of a task to the index it goes before; several before one keep their order."""
    if not needed:
        return list(tasks)
    before: dict[int, list[int]] = {}
    for index, dependent in sorted(needed.items()):
        before.setdefault(dependent, []).append(index)
    result: list[Task] = []
    for index, task in enumerate(tasks):
        for moved in before.get(index, ()):
            result.append(moved_task(tasks[moved], task))
        if index not in needed:
            result.append(task)
    return result


def moved_task(task: Task, dependent: Task) -> Task:
    """The task in the place of the one that needs it; its id follows its phase."""
    return replace(task, phase=dependent.phase, wave=dependent.wave, id=task_id(dependent.phase, task.key))


def task_id(phase: str, key: ResourceKey) -> str:
    return "/".join((phase, *key))
