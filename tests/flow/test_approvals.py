"""Consent in the hall: what was approved is what is applied (notifications.md 8, 12)."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from hub.models import Application, ApprovalPolicy, ApprovalRequest, Event, Project, SyncOperation, User
from hub.services import approvals, operations
from tests.flow import consent, faults
from tests.flow.conftest import DANA, World
from tests.flow.consent import leads
from tests.hub import factories
from tests.hub.approvals import person, policy

__all__ = ["leads"]
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: %s}\n"
AUTOMATED = {"automated": {"prune": True, "self_heal": True}}


@pytest.fixture
def gated(world: World, leads: tuple[User, User]) -> Application:
    """An automated application that is synced to blue, and a policy that asks two leads from now on."""
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG % "blue"})
    app = world.application(sync_policy=AUTOMATED)
    world.run(app)
    policy()
    return app


def _push(world: World, app: Application, colour: str) -> ApprovalRequest:
    world.commit({"deploy/config.yaml": CONFIG % colour})
    world.poll()
    world.run(app, until=lambda a: consent.waits(a) and a.operation_phase == "Queued")
    return consent.open_request()


def test_a_matching_plan_waits_for_its_votes_and_then_runs(
    world: World, gated: Application, leads: tuple[User, User]
) -> None:
    row = _push(world, gated, "green")
    waiting = gated.operations.first()
    assert waiting.wait["code"] == "approval"
    assert waiting.message == f"waiting for approval of plan {row.digest[:12]}: 0 of 2 votes".removeprefix(
        "waiting for "
    )
    assert (row.asked_for, row.digest) == (waiting.id, waiting.plan_digest)
    assert row.plan["changes"] == [{"key": "ConfigMap/shop/settings", "action": "apply"}]
    assert consent.colour(world) == "blue"
    consent.vote(leads[0], row)
    world.run(gated, until=lambda a: "1 of 2" in a.operations.first().message)
    assert consent.colour(world) == "blue"
    consent.vote(leads[1], row)
    world.run(gated, until=lambda a: a.operation_phase == "Succeeded")
    row.refresh_from_db()
    assert (row.state, row.operation, consent.colour(world)) == ("done", waiting.id, "green")
    assert gated.operations.count() == 2
    ended = Event.objects.filter(name="sync-succeeded").latest("id")
    assert ended.data["approval"]["request"] == row.number


def test_approved_is_what_is_applied(world: World, gated: Application, leads: tuple[User, User]) -> None:
    """46: two votes on digest D, a commit moves the path: superseded, new request, nothing applied."""
    first = _push(world, gated, "green")
    for user in leads:
        consent.vote(user, first)
    world.commit({"deploy/config.yaml": CONFIG % "red"})
    world.poll()
    world.run(gated, until=lambda a: ApprovalRequest.objects.count() == 2 and a.operation_phase == "Queued")
    first.refresh_from_db()
    second = consent.open_request()
    assert (first.state, first.superseded_by, second.state) == ("superseded", second, "pending")
    assert second.votes.count() == 0
    assert consent.colour(world) == "blue"
    told = Event.objects.get(name="approval-superseded").data
    assert told["card"]["lines"][0] == f"Superseded by approval {second.number}: the plan changed"
    for user in leads:
        consent.vote(user, second)
    world.run(gated, until=lambda a: a.operation_phase == "Succeeded" and consent.colour(world) == "red")
    assert not SyncOperation.objects.filter(
        manifest_digest=first.plan["manifests"], phase="Succeeded"
    ).exists()


def test_a_manual_sync_follows_the_newest_commit_until_it_is_claimed(
    world: World, leads: tuple[User, User]
) -> None:
    policy()
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG % "blue"})
    app = world.application()
    world.run(app)
    world.sync(app)
    world.run(app, until=consent.waits)
    first = consent.open_request()
    world.commit({"deploy/config.yaml": CONFIG % "green"})
    world.poll()
    world.run(app, until=lambda a: ApprovalRequest.objects.count() == 2)
    first.refresh_from_db()
    assert first.state == "superseded"
    second = consent.open_request()
    assert second.asked_for == first.asked_for, "the same operation waits on"
    for user in leads:
        consent.vote(user, second)
    world.run(app, until=lambda a: a.operation_phase == "Succeeded")
    assert consent.colour(world) == "green"


def test_a_lost_role_is_seen_by_the_pass_that_would_start(
    world: World, gated: Application, leads: tuple[User, User]
) -> None:
    row = _push(world, gated, "green")
    for user in leads:
        consent.vote(user, row)
    leads[0].groups.clear()
    world.run(gated, until=lambda a: "fell" in a.operations.first().message)
    row.refresh_from_db()
    assert (row.state, row.round, consent.colour(world)) == ("pending", 2, "blue")


def test_a_rejection_ends_the_operation_and_automation_does_not_ask_again(
    world: World, gated: Application, leads: tuple[User, User]
) -> None:
    row = _push(world, gated, "green")
    approvals.decide(
        person(leads[0]), leads[0], row.number, decision="reject", digest=row.digest, reason="wrong week"
    )
    world.run(gated, until=lambda a: a.operation_phase == "Failed")
    failed = gated.operations.first()
    assert (failed.phase, failed.wait["code"]) == ("Failed", "approval_rejected")
    assert "wrong week" in failed.message
    world.run(gated)
    assert (ApprovalRequest.objects.count(), gated.operations.count()) == (1, 2)
    assert not Event.objects.filter(name="sync-failed").exists()
    world.sync(gated, prune=True)
    world.run(gated, until=consent.waits)
    assert ApprovalRequest.objects.count() == 2, "a person may ask again"


def test_self_heal_and_dry_runs_are_not_gated(world: World, gated: Application) -> None:
    world.kube.patch("v1", "ConfigMap", "settings", {"data": {"colour": "pink"}}, "shop")
    world.run(gated, until=lambda a: a.sync_status == "Synced" and consent.colour(world) == "blue")
    world.sync(gated, dry_run=True)
    world.run(gated, until=lambda a: a.operations.first().phase == "Succeeded")
    assert ApprovalRequest.objects.count() == 0


def test_an_approved_prune_list_confirms_exactly_those_objects(
    world: World, leads: tuple[User, User]
) -> None:
    """`Prune=confirm` needs no second confirmation; a drift that changes the list voids the approval."""
    careful = CONFIG.replace(
        "{name: settings}", "{name: old, annotations: {argocd.argoproj.io/sync-options: Prune=confirm}}"
    )
    world.commit(
        {"deploy/ns.yaml": NAMESPACE, "deploy/old.yaml": careful % "x", "deploy/config.yaml": CONFIG % "blue"}
    )
    app = world.application(sync_policy=AUTOMATED)
    world.run(app)
    policy(scope={"kinds": ["prune"]})
    world.commit({"deploy/old.yaml": None})
    world.poll()
    world.run(app)
    world.sync(app, prune=True)
    world.run(app, until=consent.waits)
    row = consent.open_request()
    assert [entry["key"] for entry in row.plan["prune"]] == ["ConfigMap/shop/old"]
    for user in leads:
        consent.vote(user, row)
    world.run(app, until=lambda a: a.operation_phase == "Succeeded")
    assert world.kube.get("v1", "ConfigMap", "old", "shop") is None


def test_the_author_may_not_approve_the_own_commit(
    world: World, gated: Application, leads: tuple[User, User]
) -> None:
    row = _push(world, gated, "green")
    assert row.authors, "the addresses of the commit"
    assert row.authors_complete
    leads[0].email = row.authors[0].upper()
    leads[0].save()
    with pytest.raises(approvals.ApprovalRefused) as refused:
        consent.vote(leads[0], row)
    assert refused.value.code == "author"


def test_a_freeze_outlasts_the_approval(world: World, gated: Application, leads: tuple[User, User]) -> None:
    """51: approved in a deny window that ends after its time: it waits, expires, and nothing is applied."""
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "48h", "applications": ["*"]}
    rules = {**factories.OPEN, "windows": [window]}
    row = _push(world, gated, "green")
    Project.objects.filter(id=world.project.id).update(rules=rules)
    for user in leads:
        consent.vote(user, row)
    world.run(gated, until=lambda a: a.operations.first().wait.get("code") == "window")
    row.refresh_from_db()
    assert (row.state, row.use_by, consent.colour(world)) == ("approved", None, "blue")
    ApprovalRequest.objects.filter(number=row.number).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert approvals.expire_due() == [gated.id]
    world.run(gated, until=lambda a: a.operation_phase == "Failed")
    row.refresh_from_db()
    assert (row.state, consent.colour(world)) == ("expired", "blue")
    assert gated.operations.first().wait["code"] == "approval_expired"


def test_a_broken_glass_runs_the_plan_without_its_quorum(world: World, gated: Application) -> None:
    ApprovalPolicy.objects.all().delete()
    policy(break_glass=["user:alice"])
    alice = factories.user("alice", "owner", world.project)
    row = _push(world, gated, "green")
    approvals.break_glass(
        person(alice),
        alice,
        row.number,
        digest=row.digest,
        reason="down",
        ticket="INC-1",
        proof_at=datetime.now(UTC),
    )
    world.run(gated, until=lambda a: a.operation_phase == "Succeeded")
    row.refresh_from_db()
    assert (row.state, consent.colour(world)) == ("done", "green")


def test_a_policy_that_goes_away_lets_the_operation_go(world: World, gated: Application) -> None:
    row = _push(world, gated, "green")
    ApprovalPolicy.objects.all().delete()
    world.run(gated, until=lambda a: a.operation_phase == "Succeeded")
    row.refresh_from_db()
    assert (row.state, consent.colour(world)) == ("superseded", "green")


def test_terminating_a_waiting_operation_cancels_its_request(world: World, gated: Application) -> None:
    row = _push(world, gated, "green")
    operations.terminate(DANA, gated)
    world.run(gated, until=lambda a: a.operation_phase == "Failed")
    row.refresh_from_db()
    assert row.state == "cancelled"
    assert consent.colour(world) == "blue"


def test_drift_is_healed_while_a_newer_revision_waits_for_votes(
    world: World, gated: Application, leads: tuple[User, User]
) -> None:
    """The heal restores what was approved before, runs beside the operation that waits, and leaves its request alone."""
    row = _push(world, gated, "green")
    world.kube.patch("v1", "ConfigMap", "settings", {"data": {"colour": "pink"}}, "shop")
    world.run(gated, until=lambda a: a.operations.filter(kind="self-heal", phase="Succeeded").exists())
    assert consent.colour(world) == "blue"
    assert (gated.operation_phase, gated.operations.get(kind="sync", phase="Queued").wait["code"]) == (
        "Queued",
        "approval",
    )
    row.refresh_from_db()
    assert row.state == "pending"
    for user in leads:
        consent.vote(user, row)
    world.run(gated, until=lambda a: a.operation_phase == "Succeeded")
    assert consent.colour(world) == "green"


def test_drift_is_healed_after_people_refused_the_newer_revision(
    world: World, gated: Application, leads: tuple[User, User]
) -> None:
    row = _push(world, gated, "green")
    approvals.decide(
        person(leads[0]), leads[0], row.number, decision="reject", digest=row.digest, reason="no"
    )
    world.run(gated, until=lambda a: a.operation_phase == "Failed")
    world.kube.patch("v1", "ConfigMap", "settings", {"data": {"colour": "pink"}}, "shop")
    world.run(gated, until=lambda a: a.operations.filter(kind="self-heal", phase="Succeeded").exists())
    assert consent.colour(world) == "blue"


def test_a_worker_killed_while_it_heals_beside_leaves_the_waiting_operation(
    world: World, gated: Application, leads: tuple[User, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    _push(world, gated, "green")
    for at in range(2, 60, 7):
        world.kube.patch("v1", "ConfigMap", "settings", {"data": {"colour": f"pink {at}"}}, "shop")
        faults.later(gated, 400)
        with contextlib.suppress(faults.Killed), faults.killing(monkeypatch, at):
            faults.one_pass(gated)
        faults.lapse(gated)
        for _ in range(8):
            faults.later(gated, 400)
            faults.one_pass(gated)
        assert consent.colour(world) == "blue", at
        waiting = gated.operations.filter(phase__in=["Queued", "Running", "Terminating"])
        assert [(one.kind, one.wait["code"]) for one in waiting] == [("sync", "approval")], at
    row = consent.open_request()
    for user in leads:
        consent.vote(user, row)
    world.run(gated, until=lambda a: a.operation_phase == "Succeeded")
    assert consent.colour(world) == "green"
