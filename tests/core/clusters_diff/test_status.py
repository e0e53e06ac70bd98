"""The decision table of sync-semantics.md 7.2 and partial knowledge (7.3, 7.4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from clusters.core.diff import (
    ResourceFacts,
    ResourceVerdict,
    application_status,
    keeps_status,
    may_prune,
    may_prune_everything,
    resource_status,
)

NOW = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("facts", "status", "reason", "affects"),
    [
        (ResourceFacts(kind_class="hook"), None, "", False),
        (ResourceFacts(kind_class="skip", live=False), None, "", False),
        (ResourceFacts(kind_class="ignored"), None, "", False),
        (ResourceFacts(kind_class="copy", wanted=False), None, "", False),
        (ResourceFacts(comparison_error="x", changed=True), "Unknown", "not_comparable", True),
        (ResourceFacts(reachable=False), "Unknown", "unreachable", True),
        (ResourceFacts(complete=False, live=False), "Unknown", "incomplete", True),
        (ResourceFacts(permitted=False), "Unknown", "not_permitted", False),
        (ResourceFacts(run_once_finished=True, live=False), "Synced", "completed", False),
        (ResourceFacts(run_once_finished=True, live=True), "Synced", "", True),
        (ResourceFacts(live=False), "OutOfSync", "missing", True),
        (ResourceFacts(wanted=False), "OutOfSync", "extra", True),
        (ResourceFacts(wanted=False, ignore_extraneous=True), "OutOfSync", "extra", False),
        (ResourceFacts(wanted=False, live=False), None, "", False),
        (ResourceFacts(shared_with="application b"), "Synced", "shared", True),
        (ResourceFacts(shared_with="application b", changed=True), "OutOfSync", "shared", True),
        (ResourceFacts(deleting=True, changed=True), "Synced", "deleting", True),
        (ResourceFacts(changed=True), "OutOfSync", "changed", True),
        (ResourceFacts(), "Synced", "", True),
    ],
)
def test_row(facts, status, reason, affects):
    verdict = resource_status(facts)
    assert (verdict.status, verdict.reason, verdict.affects) == (status, reason, affects)


def test_e53_finished_job_stays_synced():
    verdict = resource_status(ResourceFacts(run_once_finished=True, live=False))
    assert (verdict.status, verdict.reason) == ("Synced", "completed")
    assert application_status([verdict]).status == "Synced"


def test_e33_automation_leaves_shared_resources_alone():
    verdict = resource_status(ResourceFacts(shared_with="application a", changed=True))
    assert not verdict.automation_acts
    assert "application a" in verdict.message


def verdicts(*facts: ResourceFacts) -> list[ResourceVerdict]:
    return [resource_status(fact) for fact in facts]


def test_the_application_follows_the_worst_and_counts_reasons():
    out = ResourceFacts(changed=True)
    assert application_status(verdicts(ResourceFacts())).status == "Synced"
    mixed = application_status(verdicts(ResourceFacts(), out, out, ResourceFacts(live=False)))
    assert (mixed.status, mixed.reasons) == ("OutOfSync", {"changed": 2, "missing": 1})
    assert application_status(verdicts(out, ResourceFacts(reachable=False))).status == "Unknown"
    assert application_status([]).status == "Synced"


def test_what_does_not_affect_the_application_is_still_counted():
    calm = application_status(
        verdicts(ResourceFacts(wanted=False, ignore_extraneous=True), ResourceFacts(permitted=False))
    )
    assert (calm.status, calm.reasons) == ("Synced", {"extra": 1, "not_permitted": 1})


def test_row_10_speaks_of_the_application():
    assert application_status([], namespace_differs=True).reasons == {"namespace": 1}
    assert application_status([], hooks_differ=True).status == "OutOfSync"
    failed = application_status(verdicts(ResourceFacts()), error="InvalidManifest: x")
    assert (failed.status, failed.messages) == ("Unknown", ("InvalidManifest: x",))


def test_e29_incomplete_list_prunes_nothing():
    assert may_prune("ConfigMap", complete=False, desired_set_loaded=True, tracked=True).message == (
        "listing of ConfigMap is incomplete"
    )
    assert not may_prune("ConfigMap", complete=True, desired_set_loaded=False, tracked=True).allowed
    assert not may_prune("ConfigMap", complete=True, desired_set_loaded=True, tracked=False).allowed
    assert may_prune("ConfigMap", complete=True, desired_set_loaded=True, tracked=True).allowed


def test_e30_empty_render_does_not_wipe():
    facts = {"desired": 0, "managed_live": 3}
    refused = may_prune_everything(**facts, allow_empty=False, manual_and_confirmed=False)
    assert (refused.allowed, refused.message) == (False, "would delete all resources")
    assert may_prune_everything(**facts, allow_empty=True, manual_and_confirmed=False).allowed
    assert may_prune_everything(**facts, allow_empty=False, manual_and_confirmed=True).allowed


@pytest.mark.parametrize(
    ("seconds", "source", "user", "kept"),
    [
        (179, True, False, True),
        (180, True, False, False),
        (10, True, True, False),
        (29, False, False, True),
        (30, False, True, False),
    ],
)
def test_e59_errors_that_may_pass_keep_the_status_for_a_while(seconds, source, user, kept):
    since = NOW - timedelta(seconds=seconds)
    assert keeps_status(since, NOW, source=source, user_refresh=user) is kept
