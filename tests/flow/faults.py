"""What the tests of faults use: manifests, a killed worker, a lease that lapsed, a second cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from clusters.core.plan.steps import Outcome, Step
from clusters.kube import tuning
from hub.models import Application, ManifestSet, Shard, SyncOperation
from hub.models.operation import UNFINISHED
from hub.reconcile import operating, reconcile, sourcing
from hub.services import leases, polling
from hub.tasks.process import Process
from tests.flow.conftest import World

AUTOMATED = {"automated": {"prune": True, "self_heal": True}}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


def note(**texts: str) -> str:
    """Annotations by short names."""
    long = {"wave": "sync-wave", "hook": "hook", "policy": "hook-delete-policy", "options": "sync-options"}
    return ", ".join(f'argocd.argoproj.io/{long[name]}: "{text}"' for name, text in texts.items())


def config(name: str, value: str = "1", namespace: str = "shop", **notes: str) -> str:
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}, "
        f"annotations: {{{note(**notes)}}}}}\ndata: {{value: '{value}'}}\n---\n"
    )


def job(name: str, more: str = "", spec: str = "", **notes: str) -> str:
    return (
        f"apiVersion: batch/v1\nkind: Job\nmetadata: {{{'' if 'generateName' in more else f'name: {name}, '}"
        f"namespace: shop, annotations: {{{note(**notes)}}}{more}}}\n"
        f"spec: {{{spec}template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: x}}]}}}}}}\n---\n"
    )


def deployment(name: str, image: str = "x:1", replicas: int = 1, more: str = "", **notes: str) -> str:
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop, "
        f"annotations: {{{note(**notes)}}}}}\nspec:\n  replicas: {replicas}\n"
        f"  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}{more}}}\n"
        f"    spec: {{containers: [{{name: c, image: '{image}'}}]}}\n---\n"
    )


class Killed(BaseException):
    """The worker is gone at this very place: nothing after it runs, nobody catches it."""


def lapse(app: Application) -> None:
    """The killed worker's lease has lapsed."""
    leases.keeper.forget()
    past = timezone.now() - timedelta(seconds=1)
    Application.objects.filter(id=app.id, lease_until__isnull=False).update(lease_until=past)


class Countdown:
    """Counts the points of a pass (SQL statements, Steps) and kills at the `at`-th one; None never kills."""

    def __init__(self, at: int | None) -> None:
        self.at, self.points = at, 0

    def point(self) -> None:
        self.points += 1
        if self.points == self.at:
            raise Killed

    def sql(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.point()
        return execute(sql, params, many, context)

    def carry_out(self, real: Callable[..., list[Outcome]]) -> Callable[..., list[Outcome]]:
        def carried(connection: Any, step: Step) -> list[Outcome]:
            self.point()
            if self.at is not None and self.points + 1 == self.at:
                # Killed in the middle: the first actions of the Step were sent, nobody heard the answers.
                half = tuple(group[: max(1, len(group) // 2)] for group in step.groups[:1])
                real(connection, replace(step, groups=half))
            self.point()
            outcomes = real(connection, step)
            self.point()
            return outcomes

        return carried


@contextmanager
def killing(monkeypatch: pytest.MonkeyPatch, at: int | None) -> Iterator[Countdown]:
    """Passes inside the block die at their `at`-th point."""
    countdown = Countdown(at)
    with monkeypatch.context() as patch, connection.execute_wrapper(countdown.sql):
        patch.setattr(operating, "carry_out", countdown.carry_out(operating.carry_out))
        yield countdown


@contextmanager
def before_steps(look: Callable[..., object]) -> Iterator[None]:
    """Calls `look` right before each Step of an operation is carried out."""
    real = operating.carry_out

    def carried(connection: Any, step: Step) -> list[Outcome]:
        look(step)
        return real(connection, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operating, "carry_out", carried)
        yield


def one_pass(app: Application) -> str:
    """One pass in this thread, its polls included; the phase of the operation after it."""
    result = reconcile(app.id)
    for repository in result.poll:
        polling.poll(repository)
    return result.phase


def ended(world: World, operation: SyncOperation, passes: int = 200) -> SyncOperation:
    """Passes until this operation has ended."""
    app = operation.application

    def over(_: Application) -> bool:
        operation.refresh_from_db()
        return operation.phase not in UNFINISHED

    world.run(app, until=over, passes=passes)
    return operation


def waits_for(world: World, operation: SyncOperation, code: str, passes: int = 100) -> SyncOperation:
    """Passes until this operation waits for this."""
    app = operation.application

    def there(_: Application) -> bool:
        operation.refresh_from_db()
        return bool(operation.wait.get("code") == code) or operation.phase not in UNFINISHED

    world.run(app, until=there, passes=passes)
    assert operation.wait.get("code") == code, (operation.phase, operation.message, operation.wait)
    return operation


def conditions(app: Application, kind: str = "") -> list[str]:
    app.refresh_from_db()
    return [c["message"] for c in app.conditions if not kind or c["type"] == kind]


def forget_sets() -> None:
    """Everything that was rendered is lost: the rows, and what this process remembers of them."""
    ManifestSet.objects.all().delete()
    sourcing._cache._held.clear()
    sourcing._sets._held.clear()


def codes(app: Application) -> set[str]:
    app.refresh_from_db()
    return {c["code"] for c in app.conditions}


def names(world: World, kind: str = "ConfigMap", api_version: str = "v1") -> list[str]:
    """What of a kind is in namespace `shop`, without what the cluster itself puts there."""
    found = [obj["metadata"]["name"] for obj in world.kube.list(api_version, kind, "shop")]
    return sorted(name for name in found if name != "kube-root-ca.crt")


def writes(world: World) -> list[tuple[str, str, str, str]]:
    """From now on every change of the cluster's store: (kind, name, uid, what)."""
    seen: list[tuple[str, str, str, str]] = []

    def listen(table: Any, change: Any) -> None:
        obj = change.new
        what = "gone" if change.gone else "new" if change.old is None else "changed"
        seen.append((table.resource, obj["metadata"]["name"], obj["metadata"]["uid"], what))

    world.kube.run(lambda backend: backend.store.listeners.append(listen))
    return seen


@contextmanager
def quick_gate(**values: float) -> Iterator[None]:
    """Short time-outs and pauses of the Kubernetes gate."""
    numbers = {"request": 0.4, "connect": 0.4, "repeats": 1, "first_wait": 0.01, "longest_wait": 0.05}
    former = tuning.use(replace(tuning.tuning(), **(numbers | values)))  # type: ignore[arg-type]
    try:
        yield
    finally:
        tuning.use(former)


def later(app: Application, seconds: float) -> None:
    """Let time pass for what the memory of an Application keeps: every moment in it is this much older."""
    app.refresh_from_db()
    app.memory = _older(app.memory, timedelta(seconds=seconds))
    Application.objects.filter(id=app.id).update(memory=app.memory)


def _older(value: Any, by: timedelta) -> Any:
    if isinstance(value, dict):
        return {name: _older(part, by) for name, part in value.items()}
    if isinstance(value, list):
        return [_older(part, by) for part in value]
    if isinstance(value, str) and len(value) > 18 and value[4:5] == "-" and value[10:11] == "T":
        return (timezone.datetime.fromisoformat(value) - by).isoformat()  # type: ignore[attr-defined]
    return value


@contextmanager
def worker(threads: int = 2) -> Iterator[Process]:
    """A whole worker with tick and watches; the rows of the first migration are there although tables were emptied."""
    Shard.objects.bulk_create([Shard(number=number) for number in range(64)], ignore_conflicts=True)
    with Process(tick=True, threads=threads) as process:
        yield process
