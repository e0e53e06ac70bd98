"""No way around consent: selections, heals, pins, deletions and supersession meet the same gate (notifications.md 8)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import hub.reconcile.operating as operating
from hub.errors import HubError
from hub.models import Application, ApprovalRequest, Event, User
from hub.services import applications, approvals, operations
from tests.flow import consent
from tests.flow.conftest import DANA, World
from tests.flow.consent import leads
from tests.hub import factories
from tests.hub.approvals import person, policy

__all__ = ["leads"]
NAMESPACE = (
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n"
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: elsewhere}\n"
)
CONFIG = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, labels: {part: %s}}\ndata: {colour: %s}\n"
)
OTHER = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {colour: %s}\n"
AUTOMATED = {"automated": {"prune": True, "self_heal": True}}


@pytest.fixture
def blue(world: World, leads: tuple[User, User]) -> Application:
    """An automated application that is synced to blue."""
    world.commit(
        {
            "deploy/ns.yaml": NAMESPACE,
            "deploy/config.yaml": CONFIG % ("a", "blue"),
            "deploy/other.yaml": OTHER % "blue",
        }
    )
    app = world.application(sync_policy=AUTOMATED)
    return world.run(app)


def test_a_sync_of_chosen_labels_does_not_open_the_gate_for_the_rest(
    world: World, blue: Application, leads: tuple[User, User]
) -> None:
    """Consent to a part is not consent to the Revision: automation does not take the rest for a heal."""
    policy()
    world.commit({"deploy/config.yaml": CONFIG % ("a", "green"), "deploy/other.yaml": OTHER % "green"})
    world.poll()
    world.run(blue, until=consent.waits)
    world.sync(blue, labels={"part": "a"})
    world.run(blue, until=lambda a: ApprovalRequest.objects.count() == 2)
    row = consent.open_request()
    assert [entry["key"] for entry in row.plan["changes"]] == ["ConfigMap/shop/settings"]
    for user in leads:
        consent.vote(user, row)
    world.run(blue, until=lambda a: a.operation_phase == "Succeeded")
    world.run(
        blue,
        until=lambda a: ApprovalRequest.objects.count() == 3 or consent.colour(world, "other") == "green",
    )
    assert (consent.colour(world), consent.colour(world, "other")) == ("green", "blue")


def test_a_heal_does_not_prune_what_nobody_consented_to(
    world: World, blue: Application, leads: tuple[User, User]
) -> None:
    """A sync without pruning needs no consent to prunes; the heal after it may not delete what it left."""
    policy(scope={"kinds": ["prune"]})
    world.commit({"deploy/other.yaml": None})
    world.poll()
    world.run(blue, until=consent.waits)
    world.sync(blue, prune=False)
    world.run(blue, until=lambda a: a.operation_phase == "Succeeded")
    world.kube.patch("v1", "ConfigMap", "settings", {"data": {"colour": "pink"}}, "shop")
    world.run(blue, until=lambda a: consent.colour(world) == "blue")
    world.run(blue)
    assert consent.colour(world, "other") == "blue", "nobody consented to its deletion"


def test_a_refused_rollback_leaves_no_pin(world: World, blue: Application, leads: tuple[User, User]) -> None:
    world.commit({"deploy/config.yaml": CONFIG % ("a", "red")})
    world.poll()
    world.run(blue)
    policy(scope={"kinds": ["rollback"]})
    operations.rollback(DANA, blue, 1)
    world.run(blue, until=consent.waits)
    row = consent.open_request()
    approvals.decide(
        person(leads[0]), leads[0], row.number, decision="reject", digest=row.digest, reason="no"
    )
    world.run(blue, until=lambda a: a.operation_phase == "Failed")
    world.run(blue)
    assert (consent.colour(world), blue.pin) == ("red", {})
    world.sync(blue)
    world.run(blue, until=lambda a: a.operation_phase == "Succeeded")
    assert consent.colour(world) == "red"


def test_a_sync_to_a_pinned_state_is_the_rollback(
    world: World, blue: Application, leads: tuple[User, User]
) -> None:
    """Who asks for a rollback and then for a sync gets no rollback without the consent to it."""
    world.commit({"deploy/config.yaml": CONFIG % ("a", "red")})
    world.poll()
    world.run(blue)
    policy(scope={"kinds": ["rollback"]})
    operations.rollback(DANA, blue, 1)
    world.run(blue, until=consent.waits)
    world.sync(blue)
    world.run(
        blue,
        until=lambda a: (
            a.operation_phase == "Succeeded" or a.operations.first().wait.get("code") == "approval"
        ),
    )
    assert consent.colour(world) == "red"


def test_who_asked_for_a_deletion_may_not_approve_it(
    world: World, blue: Application, leads: tuple[User, User]
) -> None:
    policy(scope={"kinds": ["delete"]})
    applications.request_deletion(person(leads[0]), blue, "cascade")
    world.run(blue, until=consent.waits)
    with pytest.raises(approvals.ApprovalRefused) as refused:
        consent.vote(leads[0], consent.open_request())
    assert refused.value.code == "self"


def test_a_rejected_deletion_is_not_asked_for_again(
    world: World, blue: Application, leads: tuple[User, User]
) -> None:
    policy(scope={"kinds": ["delete"]})
    applications.request_deletion(DANA, blue, "cascade")
    world.run(blue, until=consent.waits)
    row = consent.open_request()
    approvals.decide(
        person(leads[0]), leads[0], row.number, decision="reject", digest=row.digest, reason="no"
    )
    for _ in range(5):
        world.run(blue, until=lambda a: True)
    assert ApprovalRequest.objects.count() == 1
    assert consent.colour(world) == "blue"


def test_a_newer_plan_that_needs_no_consent_ends_what_was_asked(
    world: World, blue: Application, leads: tuple[User, User]
) -> None:
    policy(scope={"kinds": ["prune"]})
    world.commit({"deploy/other.yaml": None})
    world.poll()
    world.run(blue, until=consent.waits)
    first = consent.open_request()
    world.commit({"deploy/other.yaml": OTHER % "green"})
    world.poll()
    world.run(blue, until=lambda a: consent.colour(world, "other") == "green")
    first.refresh_from_db()
    assert first.state == "superseded"


def test_a_superseded_broken_glass_is_told(world: World, blue: Application) -> None:
    policy(break_glass=["user:alice"])
    alice = factories.user("alice", "owner", world.project)
    world.commit({"deploy/config.yaml": CONFIG % ("a", "green")})
    world.poll()
    world.run(blue, until=consent.waits)
    row = consent.open_request()
    approvals.break_glass(
        person(alice),
        alice,
        row.number,
        digest=row.digest,
        reason="x",
        ticket="y",
        proof_at=datetime.now(UTC),
    )
    world.commit({"deploy/config.yaml": CONFIG % ("a", "red")})
    world.poll()
    world.run(blue, until=lambda a: ApprovalRequest.objects.count() == 2)
    row.refresh_from_db()
    assert (row.state, row.superseded_by) == ("superseded", consent.open_request())
    assert Event.objects.filter(name="approval-superseded", data__approval__request=row.number).exists()
    assert consent.colour(world) == "blue"


def test_another_destination_voids_the_consent(
    world: World, blue: Application, leads: tuple[User, User]
) -> None:
    policy()
    world.commit({"deploy/config.yaml": CONFIG % ("a", "green")})
    world.poll()
    world.run(blue, until=consent.waits)
    first = consent.open_request()
    for user in leads:
        consent.vote(user, first)
    doc = applications.document(blue)
    doc["destination"]["namespace"] = "elsewhere"
    applications.update(DANA, blue, doc)
    world.run(blue, until=lambda a: ApprovalRequest.objects.count() == 2)
    first.refresh_from_db()
    assert first.state == "superseded"
    assert consent.colour(world) == "blue"


def test_a_question_is_handed_on_to_the_operation_that_takes_its_place(
    world: World, blue: Application, leads: tuple[User, User]
) -> None:
    """The same plan, another request: the votes stay, and the question ends with the operation that waits now."""
    policy()
    world.commit({"deploy/config.yaml": CONFIG % ("a", "green")})
    world.poll()
    world.run(blue, until=consent.waits)
    row = consent.open_request()
    consent.vote(leads[0], row)
    second = world.sync(blue, prune=True, reason="now, please")
    world.run(blue, until=lambda a: a.operations.first().wait.get("code") == "approval")
    row.refresh_from_db()
    assert (row.asked_for, row.state, ApprovalRequest.objects.count()) == (second.id, "pending", 1)
    assert "1 of 2" in blue.operations.first().message
    operations.terminate(DANA, blue)
    world.run(blue, until=lambda a: a.operation_phase == "Failed")
    row.refresh_from_db()
    assert row.state == "cancelled"


def test_what_has_begun_is_not_superseded(
    world: World, blue: Application, leads: tuple[User, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that comes while the first Step is carried out finds an operation that runs, not one that waits."""
    policy()
    world.commit({"deploy/config.yaml": CONFIG % ("a", "green")})
    world.poll()
    world.run(blue, until=consent.waits)
    for user in leads:
        consent.vote(user, consent.open_request())
    said: list[str] = []
    carry_out = operating.carry_out

    def meddle(connection: Any, step: Any) -> Any:
        if step.name != "dry_run" and not said:
            try:
                operations.request(DANA, blue, {"dry_run": True})
                said.append("superseded")
            except HubError as error:
                said.append(error.code)
        return carry_out(connection, step)

    monkeypatch.setattr(operating, "carry_out", meddle)
    world.run(blue, until=lambda a: a.operation_phase == "Succeeded")
    assert said == ["operation_running"]
    assert (consent.colour(world), ApprovalRequest.objects.get().state) == ("green", "done")


def test_a_superseded_operation_claims_nothing(
    world: World, blue: Application, leads: tuple[User, User]
) -> None:
    policy()
    world.commit({"deploy/config.yaml": CONFIG % ("a", "green")})
    world.poll()
    world.run(blue, until=consent.waits)
    row = consent.open_request()
    for user in leads:
        consent.vote(user, row)
    waiting = blue.operations.first()
    world.sync(blue, dry_run=True)
    assert not approvals.claim(blue, waiting, row.digest)
    row.refresh_from_db()
    assert row.state == "approved"


def test_an_approved_plan_is_made_anew_whatever_the_operation_waited_for(
    world: World, leads: tuple[User, User]
) -> None:
    """The cluster was away when the last vote came; meanwhile a commit moved the path: nothing old is applied."""
    policy()
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG % ("a", "blue")})
    app = world.application()
    world.run(app)
    world.sync(app)
    world.run(app, until=consent.waits)
    first = consent.open_request()
    operation = app.operations.first()
    operation.wait = {**operation.wait, "code": "problem"}
    operation.save(update_fields=["wait"])
    for user in leads:
        consent.vote(user, first)
    world.commit({"deploy/config.yaml": CONFIG % ("a", "red")})
    world.poll()
    world.run(app, until=lambda a: ApprovalRequest.objects.count() == 2 or a.operation_phase == "Succeeded")
    first.refresh_from_db()
    assert (first.state, consent.colour(world)) == ("superseded", "")


def test_a_refused_rollback_gives_the_earlier_pin_back(
    world: World, blue: Application, leads: tuple[User, User]
) -> None:
    for colour in ("red", "green"):
        world.commit({"deploy/config.yaml": CONFIG % ("a", colour)})
        world.poll()
        world.run(blue)
    operations.rollback(DANA, blue, 2)
    world.run(blue, until=lambda a: consent.colour(world) == "red")
    policy(scope={"kinds": ["rollback"]})
    operations.rollback(DANA, blue, 1)
    world.run(blue, until=consent.waits)
    operations.terminate(DANA, blue)
    world.run(blue, until=lambda a: a.operation_phase == "Failed")
    world.run(blue)
    assert (blue.pin["operation"], consent.colour(world)) == (2, "red")


def test_a_deletion_says_who_asked_for_it_and_what_it_is_about(world: World, blue: Application) -> None:
    policy(scope={"kinds": ["delete"]})
    applications.request_deletion(DANA, blue, "cascade")
    world.run(blue, until=consent.waits)
    row = consent.open_request()
    assert (row.requester["name"], row.kind) == ("dana", "delete")
    assert "ConfigMap/shop/settings" in [entry["key"] for entry in row.plan["prune"]]
    identity = operating.works.read(blue.operations.first()).plan.identity
    assert identity["app_uid"] == str(blue.id)
    assert identity["cluster_uid"]


def test_a_first_deployment_says_that_only_the_planned_commit_was_looked_at(
    world: World, leads: tuple[User, User]
) -> None:
    policy()
    world.commit({"deploy/ns.yaml": NAMESPACE})
    world.commit({"deploy/config.yaml": CONFIG % ("a", "blue")})
    app = world.application(sync_policy=AUTOMATED)
    world.run(app, until=consent.waits)
    row = consent.open_request()
    assert row.authors
    assert not row.authors_complete


def test_a_policy_of_a_namespace_asks_wherever_the_plan_writes(
    world: World, blue: Application, leads: tuple[User, User]
) -> None:
    """An object may name another namespace than the destination of its application."""
    policy(scope={"namespaces": ["elsewhere"]})
    world.commit({"deploy/config.yaml": CONFIG % ("a", "green")})
    world.poll()
    world.run(blue, until=lambda a: consent.colour(world) == "green")
    there = OTHER.replace("{name: other}", "{name: other, namespace: elsewhere}")
    world.commit({"deploy/there.yaml": there % "red"})
    world.poll()
    world.run(blue, until=consent.waits)
    assert consent.open_request().plan["namespaces"] == ["elsewhere"]
    assert world.kube.get("v1", "ConfigMap", "other", "elsewhere") is None


def test_a_dry_run_in_between_takes_no_votes_away(
    world: World, blue: Application, leads: tuple[User, User]
) -> None:
    policy()
    world.commit({"deploy/config.yaml": CONFIG % ("a", "green")})
    world.poll()
    world.run(blue, until=consent.waits)
    row = consent.open_request()
    consent.vote(leads[0], row)
    world.sync(blue, dry_run=True)
    world.run(blue, until=lambda a: a.operations.first().wait.get("code") == "approval")
    consent.vote(leads[1], row)
    world.run(blue, until=lambda a: consent.colour(world) == "green")
    assert ApprovalRequest.objects.count() == 1
