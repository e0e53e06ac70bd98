"""Conditional hooks, their fingerprints, rollbacks (sync-semantics.md 12 rules 6 to 9), names and marks (3.7)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from clusters.core.hooks import (
    HookFacts,
    HookSuccess,
    decide_hook,
    finished_job,
    generated_name,
    hook_body,
    hook_set_digest,
    is_run_once,
    operation_mark,
)

WHEN = "gitops-hub.io/hook-run-when"


def migrate(image="shop:1", **annotations):
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "migrate",
            "namespace": "shop",
            "annotations": {"argocd.argoproj.io/hook": "PreSync", **annotations},
        },
        "spec": {"template": {"spec": {"containers": [{"name": "m", "image": image}]}}},
    }


def success_of(manifest, operation="41", revision="9f2c1d0aaaa"):
    choice = decide_hook(manifest, HookFacts(operation="x"))
    return HookSuccess(choice.fingerprint, operation, revision, ("shop:1",))


def test_e51_conditional_migration_skips():
    hook = migrate(**{WHEN: "changed: images"})
    last = success_of(hook)
    skipped = decide_hook(hook, HookFacts(operation="42", last=last))
    assert skipped.action == "skip"
    assert (
        skipped.reason
        == f"fingerprint {last.fingerprint[:6]} unchanged since operation 41 (revision 9f2c1d0)"
    )
    assert (
        decide_hook(migrate("shop:2", **{WHEN: "changed: images"}), HookFacts("42", last=last)).action
        == "run"
    )


def test_unknown_inputs_run_or_ask():
    assert decide_hook(migrate(**{WHEN: "changed"}), HookFacts("1")).action == "run"
    asked = decide_hook(
        migrate(**{WHEN: "changed", "gitops-hub.io/hook-on-unknown": "block"}), HookFacts("1")
    )
    assert asked.action == "block"
    assert (
        decide_hook(
            migrate(**{WHEN: "changed", "gitops-hub.io/hook-on-unknown": "block"}),
            HookFacts("1", choice="skip"),
        ).action
        == "skip"
    )


@pytest.mark.parametrize("wanted", ["field=Deployment/api:/spec/replicas", "label=version"])
def test_inputs_that_wait_say_so(wanted):
    choice = decide_hook(migrate(**{WHEN: f"changed: {wanted}"}), HookFacts("1"))
    assert choice.action == "run"
    assert "not supported yet" in choice.warnings[0]


def test_a_typo_in_run_when_runs_with_a_warning():
    choice = decide_hook(migrate(**{WHEN: "sometimes"}), HookFacts("1"))
    assert (choice.action, len(choice.warnings)) == ("run", 1)


def test_paths_are_the_files_that_match():
    hook = migrate(**{WHEN: "changed: paths=db/**/*.sql"})
    before = {"db/migrations/1.sql": "a", "README": "x"}
    last = HookSuccess(decide_hook(hook, HookFacts("1", files=before)).fingerprint, "1")
    same = HookFacts("2", last=last, files={**before, "README": "y"})
    assert decide_hook(hook, same).action == "skip"
    more = HookFacts("2", last=last, files={**before, "db/2.sql": "b"})
    assert decide_hook(hook, more).action == "run"


def test_images_of_another_object_are_an_input():
    api = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api"},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "api:1"}]}}},
    }
    hook = migrate(**{WHEN: "changed: images=Deployment/api/web"})
    assert decide_hook(hook, HookFacts("1", desired=(api,))).fingerprint
    assert decide_hook(hook, HookFacts("1")).code == "unknown"


def test_a_retry_does_not_repeat_its_own_success_unless_told():
    hook = migrate(**{WHEN: "changed"})
    last = success_of(hook, operation="42")
    assert decide_hook(hook, HookFacts("42", attempt=2, last=last)).action == "skip"
    again = migrate(**{WHEN: "changed", "gitops-hub.io/hook-rerun-on-retry": "true"})
    last = success_of(again, operation="42")
    assert decide_hook(again, HookFacts("42", attempt=2, last=last)).action == "run"


def test_tracking_does_not_change_a_fingerprint():
    hook = migrate(**{WHEN: "changed: self"})
    stamped = hook_body(hook, "migrate", "41.1", "abc")
    stamped["metadata"].pop("finalizers")
    assert success_of(stamped).fingerprint == success_of(hook).fingerprint


@pytest.mark.parametrize(
    ("wish", "images", "action"),
    [
        ("", ("shop:1",), "skip"),
        ("", ("shop:2",), "block"),
        ("block", ("shop:1",), "block"),
        ("run", ("shop:2",), "run"),
        ("skip", ("shop:2",), "skip"),
        ("maybe", ("shop:2",), "block"),
    ],
)
def test_hooks_on_rollback(wish, images, action):
    hook = migrate(**({"gitops-hub.io/hook-on-rollback": wish} if wish else {}))
    facts = HookFacts("9", rollback=True, last=HookSuccess("", "8", images=images))
    assert decide_hook(hook, facts).action == action


def test_e20_generate_name_is_stable():
    start = datetime.fromtimestamp(1700000000, UTC)
    names = {generated_name("smoke-", "9f2c1d0abc", "PostSync", start) for _ in range(3)}
    assert names == {"smoke-9f2c1d0-postsync-1700000000"}
    assert generated_name("smoke-", "9f2c1d0abc", "PostSync", start, 2).endswith("-1700000000-2")
    assert len(generated_name("s" * 80, "9f2c1d0abc", "PostSync", start, 2)) == 63


def test_a_generated_name_is_written_into_the_tracking_id():
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "generateName": "smoke-",
            "namespace": "shop",
            "annotations": {"gitops-hub.io/tracking-id": "shop:batch/Job:shop/"},
        },
    }
    body = hook_body(manifest, "smoke-x", operation_mark("7", 1), "")
    assert body["metadata"]["annotations"]["gitops-hub.io/tracking-id"] == "shop:batch/Job:shop/smoke-x"
    assert body["metadata"]["annotations"]["gitops-hub.io/operation"] == "7.1"
    assert body["metadata"]["finalizers"] == ["gitops-hub.io/hook-finalizer"]
    assert "generateName" not in body["metadata"]
    assert manifest["metadata"]["generateName"] == "smoke-"


def test_the_hook_set_has_one_digest():
    assert hook_set_digest([migrate()]) == hook_set_digest([{"kind": "ConfigMap", "metadata": {}}, migrate()])
    assert hook_set_digest([migrate()]) != hook_set_digest([migrate("shop:2")])


def test_run_once_jobs():
    plain = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {}}
    assert not is_run_once(plain)
    assert is_run_once({**plain, "spec": {"ttlSecondsAfterFinished": 60}})
    assert is_run_once({**plain, "metadata": {"annotations": {"gitops-hub.io/run-once": "true"}}})
    assert finished_job({**plain, "status": {"conditions": [{"type": "Complete", "status": "True"}]}})
    assert not finished_job({**plain, "status": {"conditions": [{"type": "Failed", "status": "False"}]}})
