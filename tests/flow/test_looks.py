"""When somebody looks again, and what a look may believe (sync-semantics.md 3.11, 3.12, 4.2, 7.1, 7.4, 9.2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.core.plan.steps import Outcome, Step
from hub.models import Application, Repository
from hub.reconcile import operating
from hub.services import applications, leases, looks, operations, polling
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import AUTOMATED, NAMESPACE, config, deployment, one_pass, quick_gate
from tests.flow.test_faults_examples import endless_job


def test_a_write_whose_answer_was_lost_is_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The object is there: no look may call it missing because nobody heard the answer."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.application(sync_policy={"automated": {}})
    real = operating.carry_out

    def lost(connection: object, step: Step) -> list[Outcome]:
        outcomes = real(connection, step)  # type: ignore[arg-type]
        if step.name != "apply":
            return outcomes
        return [
            replace(each, ok=False, object=None, code="timeout", message="no answer", permanent=False)
            for each in outcomes
        ]

    with monkeypatch.context() as patch:
        patch.setattr(operating, "carry_out", lost)
        world.run(app, until=lambda app: bool(faults.names(world)))
        row = app.resources.get(name="one")
        assert (row.reason, row.health) != ("missing", "Missing"), row.message
    world.run(app)
    assert app.sync_status == "Synced"


def test_a_superseded_operation_is_closed_by_its_owner_alone(world: World) -> None:
    """A pass that lost its lease ends nothing: the operation is in other hands."""
    app = world.application()
    operation = world.sync(app)
    old = leases.claim(app.id)
    assert old is not None
    leases.release(old)
    new = leases.claim(app.id)
    assert new is not None
    with pytest.raises(leases.LeaseLost):
        operations.close_superseded(operation, old)
    operation.refresh_from_db()
    assert operation.phase == "Queued"
    operations.close_superseded(operation, new)
    operation.refresh_from_db()
    assert operation.phase == "Superseded"
    leases.release(new)


def test_a_kept_status_is_looked_at_when_its_grace_ends(world: World) -> None:
    """The status says as of when it is, and the look that ends the grace is in the row."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.run(world.application(sync_policy=AUTOMATED))
    assert app.sync_status == "Synced"
    seen_at = app.status_at
    with quick_gate():
        world.kube.faults.add("drop")
        one_pass(app)
    app.refresh_from_db()
    assert (app.sync_status, app.status_at) == ("Synced", seen_at)
    assert app.next_look_at is not None
    assert app.next_look_at <= timezone.now() + timedelta(seconds=31)


def test_a_new_application_does_not_wait_for_the_next_poll(world: World) -> None:
    """Its path came with a commit that nobody has listed yet: creating it asks the repository (7.1 level 3)."""
    world.kube.create(NAMESPACE)
    world.commit({"old/c.yaml": config("old")})
    world.poll()
    far = timezone.now() + timedelta(hours=1)
    Repository.objects.update(next_poll_at=far, checked_at=timezone.now() - timedelta(minutes=1))
    world.commit({"deploy/c.yaml": config("one")})
    app = world.application(sync_policy=AUTOMATED)
    assert world.repository.id in polling.due()
    one_pass(app)
    assert "PathNotFound" in faults.codes(app)
    for repository in polling.due():
        polling.poll(repository)
    assert world.run(app).sync_status == "Synced"


def test_many_new_applications_of_one_repository_ask_for_one_poll(world: World) -> None:
    world.commit({"deploy/c.yaml": config("one")})
    world.poll()
    for name in ("a", "b", "c"):
        world.application(name)
    assert polling.due() == []
    world.repository.refresh_from_db()
    assert world.repository.next_poll_at is not None
    assert world.repository.next_poll_at <= timezone.now() + timedelta(seconds=5)


def test_a_repository_that_backs_off_is_not_asked_by_a_change(world: World) -> None:
    far = timezone.now() + timedelta(hours=1)
    Repository.objects.update(next_poll_at=far, failures=3, checked_at=timezone.now() - timedelta(minutes=1))
    world.application()
    world.repository.refresh_from_db()
    assert world.repository.next_poll_at == far


def test_a_manual_operation_asks_git_when_it_ends(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.run(world.application())
    far = timezone.now() + timedelta(hours=1)
    Repository.objects.update(next_poll_at=far, checked_at=timezone.now() - timedelta(minutes=1))
    faults.ended(world, world.sync(app))
    assert world.repository.id in polling.due()


def test_a_stalled_operation_says_so_and_gives_way_to_a_newer_commit(world: World) -> None:
    """StallAfter: the Condition names what did not change; the next revision supersedes (3.11, 3.12)."""
    world.kube.create(NAMESPACE)
    world.kube.faults.add("not_ready")
    world.commit({"deploy/c.yaml": deployment("api") + config("two", wave="1")})
    policy = {**AUTOMATED, "sync_options": ["StallAfter=1s"]}
    app = world.application(sync_policy=policy)

    def stalled(app: Application) -> bool:
        return bool(faults.conditions(app, "Stalled"))

    world.run(app, until=stalled, passes=400)
    assert "api did not change for" in faults.conditions(app, "Stalled")[0]
    first = app.operations.get()
    world.kube.faults.clear()
    world.commit({"deploy/c.yaml": config("two", "2", wave="1")})
    world.poll()
    world.run(app, until=lambda app: app.operations.count() > 1)
    first.refresh_from_db()
    assert first.phase == "Superseded", (first.phase, first.message)
    assert "stalled" in first.message


def test_a_deletion_approved_by_annotation_prunes(world: World) -> None:
    """Written after the operation began: it confirms. An older one does not (4.2)."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("keep") + config("extra", options="Prune=confirm")})
    app = world.application()
    world.run(app)
    faults.ended(world, world.sync(app))
    world.commit({"deploy/c.yaml": config("keep")})
    world.poll()
    world.run(app)

    def approve(at: str) -> None:
        document = applications.document(app) | {"annotations": {"argocd.argoproj.io/deletion-approved": at}}
        applications.update(DANA, app, document)

    approve((timezone.now() - timedelta(hours=1)).isoformat())
    operation = faults.waits_for(world, world.sync(app, prune=True), "prune_confirmation")
    assert faults.names(world) == ["extra", "keep"]
    approve((timezone.now() + timedelta(seconds=1)).isoformat())
    faults.ended(world, operation)
    assert (operation.phase, faults.names(world)) == ("Succeeded", ["keep"])


def test_a_failed_sync_is_tried_again_when_the_namespace_that_it_named_appears(world: World) -> None:
    """9.2: nobody has to push a commit or click; until then the failed attempt is not repeated."""
    world.commit({"deploy/c.yaml": config("one")})
    app = world.application(sync_policy={"automated": {}, "retry": {"limit": 0}})
    world.run(app, until=lambda app: "SyncError" in {c["type"] for c in app.conditions})
    for _ in range(3):
        one_pass(app)
    app.refresh_from_db()
    assert app.operations.count() == 1
    assert app.gate["reason"].startswith("already attempted")
    assert app.next_look_at is not None
    assert app.next_look_at <= timezone.now() + timedelta(seconds=31)
    world.kube.create(NAMESPACE)
    world.run(app, until=lambda app: app.sync_status == "Synced")
    assert [row.phase for row in app.operations.order_by("number")] == ["Failed", "Succeeded"]


def test_a_failed_sync_is_tried_again_when_the_kind_that_it_named_is_served(world: World) -> None:
    world.kube.create(NAMESPACE)
    widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w, namespace: shop}\n---\n"
    world.commit({"deploy/c.yaml": widget})
    app = world.application(sync_policy={"automated": {}, "retry": {"limit": 0}})
    world.run(app, until=lambda app: "SyncError" in {c["type"] for c in app.conditions})
    world.kube.create(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {
                    "kind": "Widget",
                    "plural": "widgets",
                    "singular": "widget",
                    "listKind": "WidgetList",
                },
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"type": "object"}},
                    }
                ],
            },
        }
    )
    world.run(app, until=lambda app: app.sync_status == "Synced")
    assert [row.phase for row in app.operations.order_by("number")] == ["Failed", "Succeeded"]


@pytest.mark.parametrize("more", ["", "hook"], ids=["ends", "waits"])
def test_a_look_that_was_asked_for_during_a_pass_hides_no_operation(
    world: World, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    """A poll ends while the first pass applies: the row still says what became of the operation of that pass."""
    world.kube.create(NAMESPACE)
    hook = faults.job("migrate", hook="PreSync") if more else ""
    world.commit({"deploy/c.yaml": config("one") + hook})
    app = world.application(sync_policy=AUTOMATED)
    real = operating.carry_out

    def asked(connection: object, step: Step) -> list[Outcome]:
        looks.ask([app.id], level=2)
        return real(connection, step)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(operating, "carry_out", asked)
        world.run(app, until=lambda app: app.operations.exists())
    app.refresh_from_db()
    assert app.operation_phase == app.operations.get().phase
    assert app.next_look_at is not None
    assert app.next_look_at <= timezone.now()
    world.run(app)
    assert (app.operation_phase, app.operations.get().phase) == ("Succeeded", "Succeeded")


def test_a_sync_that_was_asked_for_during_a_pass_is_loaded_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.run(world.application())
    first = world.sync(app)
    real = operating.carry_out

    def asked(connection: object, step: Step) -> list[Outcome]:
        outcomes = real(connection, step)  # type: ignore[arg-type]
        first.refresh_from_db()
        if not app.operations.filter(number__gt=first.number).exists():
            type(first).objects.filter(id=first.id).update(phase="Succeeded")
            world.sync(app, prune=True)
            type(first).objects.filter(id=first.id).update(phase="Running")
        return outcomes

    with monkeypatch.context() as patch:
        patch.setattr(operating, "carry_out", asked)
        one_pass(app)
    app.refresh_from_db()
    assert app.operation_phase == "Queued"
    world.run(app)
    assert {row.phase for row in app.operations.all()} == {"Succeeded"}


def test_a_timer_that_ran_out_during_an_operation_asks_for_no_pass_after_the_other(world: World) -> None:
    """The half hour of a slow retry ends while somebody's sync waits for a hook: the next look is not at once."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/all.yaml": config("one") + endless_job("before", hook="PreSync")})
    app = world.run(world.application())
    faults.waits_for(world, world.sync(app), "hook")
    app.refresh_from_db()
    app.memory["timer"] = (timezone.now() - timedelta(seconds=1)).isoformat()
    Application.objects.filter(id=app.id).update(memory=app.memory)
    faults.one_pass(app)
    app.refresh_from_db()
    assert app.next_look_at > timezone.now()
    assert "timer" not in app.memory
