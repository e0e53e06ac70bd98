"""Carrying out a Step: one Outcome per Action, and the repeats that sync-semantics.md 4.1 allows."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.core.manifests import OPERATION_ANNOTATION, TRACKING_ANNOTATION, ResourceKey
from clusters.core.plan.steps import Action, Outcome, Step
from clusters.services import carry_out
from tests.clusters.conftest import Clock
from tests.clusters.faults import FaultServer, Reply, status

KEY = ResourceKey("", "ConfigMap", "shop", "settings")
PATH = "/api/v1/namespaces/shop/configmaps/settings"
WEB = ResourceKey("apps", "Deployment", "shop", "web")
WEB_PATH = "/apis/apps/v1/namespaces/shop/deployments/web"
TRACKING = "shop:/ConfigMap:shop/settings"


def config_map(name: str = "settings", **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop", "annotations": annotations},
        "data": {"a": "1"},
    }


def deployment(**container: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "x", **container}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "b"}},
        "spec": {"template": {"spec": {"containers": containers}}},
    }


def typed(*lines: str) -> Reply:
    """The 500 of server-side apply for a body that does not fit the schema (api-server-facts.md 4)."""
    head = "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment):"
    text = f"{head} {lines[0]}" if len(lines) == 1 else f"{head} errors:\n  " + "\n  ".join(lines)
    return Reply(500, status(500, "", text))


def do(server: FaultServer, *actions: Action, stop: bool = True) -> list[Outcome]:
    return carry_out(server.connection(), Step("apply", "test", (actions,), stop))


def one(server: FaultServer, verb: Any, key: ResourceKey = KEY, body: Any = None, **more: Any) -> Outcome:
    (outcome,) = do(server, Action(verb, key, body, **more))
    return outcome


def test_members_of_a_group_do_not_stop_each_other_and_later_groups_are_not_started(
    server: FaultServer,
) -> None:
    other = ResourceKey("", "ConfigMap", "shop", "other")
    server.script("PATCH", PATH, Reply(403, status(403, "Forbidden", "no")))
    groups = ((Action("apply", KEY, config_map()), Action("apply", other, config_map("other"))),)
    later = (Action("apply", other, config_map("other")),)
    outcomes = carry_out(server.connection(), Step("apply", "t", (*groups, later)))
    assert [(outcome.ok, outcome.code, outcome.permanent) for outcome in outcomes] == [
        (False, "forbidden", True),
        (True, "", False),
    ]
    server.script("PATCH", PATH, Reply(403, status(403, "Forbidden", "no")))
    outcomes = carry_out(server.connection(), Step("apply", "t", (*groups, later), stop_on_failure=False))
    assert [outcome.ok for outcome in outcomes] == [False, True, True]


def test_changed_says_whether_the_resource_version_moved(server: FaultServer) -> None:
    first = one(server, "apply", body=config_map())
    assert first.object is not None
    version = first.object["metadata"]["resourceVersion"]
    assert first.changed
    assert not one(server, "apply", body=config_map(), resource_version=version).changed
    other = {**config_map(), "data": {"a": "2"}}
    assert one(server, "apply", body=other, resource_version=version).changed


def test_a_conflict_is_repeated_three_times_and_then_told(server: FaultServer) -> None:
    conflict = Reply(409, status(409, "Conflict", "the object has been modified"))
    server.script("PATCH", PATH, *[conflict] * 3)
    assert one(server, "apply", body=config_map()).ok
    server.script("PATCH", PATH, *[conflict] * 4)
    outcome = one(server, "apply", body=config_map())
    assert (outcome.ok, outcome.code, outcome.permanent) == (False, "conflict", False)


def test_a_field_conflict_of_an_apply_without_force_is_final(server: FaultServer) -> None:
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "x"', "field": ".data.a"}
    server.script("PATCH", PATH, Reply(409, status(409, "Conflict", "Apply failed", causes=[cause])))
    outcome = one(server, "apply", body=config_map(), force=False)
    assert (outcome.code, outcome.permanent) == ("conflict", True)
    assert server.count("PATCH", PATH) == 1
    assert server.seen[-1].query["force"] == "false"


def test_c3_undeclared_fields_are_dropped_only_with_validate_false(server: FaultServer) -> None:
    body = deployment(imagePullPolcy="Always", more={"x": 1})
    body["metadata"]["labls"] = {}
    first = typed(
        ".metadata.labls: field not declared in schema",
        '.spec.template.spec.containers[name="c"].imagePullPolcy: field not declared in schema',
    )
    second = typed('.spec.template.spec.containers[name="c"].more: field not declared in schema')
    server.script("PATCH", WEB_PATH, first, second)
    outcome = one(server, "apply", WEB, body, strict=False)
    assert outcome.ok
    assert outcome.warnings == (
        ".metadata.labls is not in the cluster's schema and was left out",
        '.spec.template.spec.containers[name="c"].imagePullPolcy is not in the cluster\'s schema and was left out',
        '.spec.template.spec.containers[name="c"].more is not in the cluster\'s schema and was left out',
    )
    assert server.seen[-1].body == deployment()
    assert server.seen[-1].query["fieldValidation"] == "Ignore"
    assert "labls" in body["metadata"], "the caller's body is not touched"

    server.script("PATCH", WEB_PATH, first)
    outcome = one(server, "apply", WEB, body)
    assert (outcome.ok, outcome.code, outcome.permanent) == (False, "undeclared_field", True)


def test_c3_undeclared_fields_are_given_up_after_ten_rounds(server: FaultServer) -> None:
    body = deployment(**{f"x{number}": 1 for number in range(12)})
    for number in range(12):
        server.script(
            "PATCH",
            WEB_PATH,
            typed(f'.spec.template.spec.containers[name="c"].x{number}: field not declared in schema'),
        )
    outcome = one(server, "apply", WEB, body, strict=False)
    assert outcome.code == "undeclared_field"
    assert server.count("PATCH", WEB_PATH) == 11


def test_e37_duplicate_env_still_applies(server: FaultServer) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "A", "value": "3"}]
    where = '.spec.template.spec.containers[name="c"].env'
    server.script("PATCH", WEB_PATH, typed(f'{where}: duplicate entries for key [name="A"]'))
    outcome = one(server, "apply", WEB, deployment(env=env))
    assert outcome.ok
    assert outcome.warnings == (f'{where}[name="A"] is given more than once: the last entry is applied',)
    sent = server.seen[-1].body["spec"]["template"]["spec"]["containers"][0]["env"]
    assert sent == [{"name": "B", "value": "2"}, {"name": "A", "value": "3"}]


def test_c3_a_defaulted_field_that_is_in_the_way_is_owned_first_then_let_go(server: FaultServer) -> None:
    live = deployment()
    live["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}
    server.put(WEB_PATH, live)
    body = deployment()
    body["spec"]["strategy"] = {"type": "Recreate"}
    cause = {
        "field": "spec.strategy.rollingUpdate",
        "reason": "FieldValueForbidden",
        "message": "may not be specified when strategy `type` is 'Recreate'",
    }
    server.script("PATCH", WEB_PATH, Reply(422, status(422, "Invalid", "invalid", causes=[cause])))
    assert one(server, "apply", WEB, body).ok
    sent = [seen.body["spec"]["strategy"] for seen in server.seen if seen.method == "PATCH"]
    assert sent == [{"type": "Recreate"}, live["spec"]["strategy"], {"type": "Recreate"}]


def test_c14_a_changed_definition_excuses_undeclared_fields_for_five_seconds(
    server: FaultServer, clock: Clock
) -> None:
    crds = ("customresourcedefinitions", "CustomResourceDefinition", False)
    server.kinds["apiextensions.k8s.io", "v1"] = [crds]
    server.kinds["ex.io", "v1"] = [("widgets", "Widget", True)]
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.ex.io"},
        "spec": {"group": "ex.io", "names": {"kind": "Widget"}},
    }
    widget = {
        "apiVersion": "ex.io/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": "shop"},
        "spec": {},
    }
    definition = Action("apply", ResourceKey("apiextensions.k8s.io", crds[1], "", "widgets.ex.io"), crd)
    use = Action("apply", ResourceKey("ex.io", "Widget", "shop", "w"), widget)
    path = "/apis/ex.io/v1/namespaces/shop/widgets/w"
    server.script("PATCH", path, *[typed(".spec.new: field not declared in schema")] * 3)
    outcomes = carry_out(server.connection(), Step("apply", "t", ((definition,), (use,))))
    assert [outcome.ok for outcome in outcomes] == [True, True]
    assert clock.slept == [0.1] * 3
    clock.now += 5
    server.script("PATCH", path, typed(".spec.new: field not declared in schema"))
    (outcome,) = do(server, use)
    assert outcome.code == "undeclared_field"


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [({OPERATION_ANNOTATION: "7.1"}, (True, "")), ({OPERATION_ANNOTATION: "6.1"}, (False, "already_exists"))],
)
def test_an_existing_hook_is_ours_only_with_the_same_operation(
    server: FaultServer, annotations: dict[str, str], expected: tuple[bool, str]
) -> None:
    server.put(PATH, config_map(**annotations))
    outcome = one(server, "create", body=config_map(**{OPERATION_ANNOTATION: "7.1"}))
    assert (outcome.ok, outcome.code) == expected
    assert not outcome.changed


def test_h9_a_create_whose_reply_was_lost_finds_its_object(server: FaultServer, clock: Clock) -> None:
    body = config_map(**{OPERATION_ANNOTATION: "7.1"})
    server.script("POST", "/api/v1/namespaces/shop/configmaps", Reply(drop=True))
    server.put(PATH, body)
    assert one(server, "create", body=body).ok
    assert server.count("POST", "/api/v1/namespaces/shop/configmaps") == 1


def test_h9_a_create_that_never_arrived_is_sent_again(server: FaultServer, clock: Clock) -> None:
    server.script("POST", "/api/v1/namespaces/shop/configmaps", Reply(drop=True))
    assert one(server, "create", body=config_map(**{OPERATION_ANNOTATION: "7.1"})).ok
    assert server.count("POST", "/api/v1/namespaces/shop/configmaps") == 2


def test_replace_reads_the_version_and_reads_it_anew_after_a_conflict(server: FaultServer) -> None:
    version = server.put(PATH, config_map())["metadata"]["resourceVersion"]
    server.script("PUT", PATH, Reply(409, status(409, "Conflict", "the object has been modified")))
    assert one(server, "replace", body=config_map(), resource_version="1").ok
    sent = [seen.body["metadata"]["resourceVersion"] for seen in server.seen if seen.method == "PUT"]
    assert sent == ["1", version]


def test_replace_creates_what_is_absent(server: FaultServer) -> None:
    assert one(server, "replace", body=config_map()).ok
    assert PATH in server.objects


def test_a_delete_of_something_absent_is_done_and_changed_nothing(server: FaultServer) -> None:
    outcome = one(server, "delete")
    assert (outcome.ok, outcome.changed, outcome.object) == (True, False, None)


def test_a_prune_looks_right_before_and_carries_the_uid_it_saw(server: FaultServer) -> None:
    uid = server.put(PATH, config_map(**{TRACKING_ANNOTATION: TRACKING}))["metadata"]["uid"]
    assert one(server, "delete", must_carry=TRACKING).ok
    assert server.seen[-1].body["preconditions"] == {"uid": uid}
    assert PATH not in server.objects


@pytest.mark.parametrize("options", [{"must_carry": TRACKING}, {"must_carry": "other", "uid": "another"}])
def test_a_prune_leaves_what_is_no_longer_ours(server: FaultServer, options: dict[str, str]) -> None:
    server.put(PATH, config_map(**{TRACKING_ANNOTATION: "other"}))
    outcome = one(server, "delete", **options)
    assert (outcome.ok, outcome.code, outcome.permanent) == (False, "not_ours", True)
    assert server.count("DELETE", PATH) == 0


def test_c8_a_prune_whose_object_was_replaced_in_between_is_not_ours(server: FaultServer) -> None:
    server.put(PATH, config_map())
    text = "the UID in the precondition (a) does not match the UID in record (b)"
    server.script("DELETE", PATH, Reply(409, status(409, "Conflict", text)))
    assert one(server, "delete", uid="a").code == "not_ours"
    assert server.count("DELETE", PATH) == 1


def test_an_object_that_is_being_deleted_is_not_deleted_again(server: FaultServer) -> None:
    obj = config_map(**{TRACKING_ANNOTATION: TRACKING})
    obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    server.put(PATH, obj)
    outcome = one(server, "delete", must_carry=TRACKING)
    assert (outcome.ok, outcome.changed) == (True, False)
    assert server.count("DELETE", PATH) == 0


def test_get_of_something_absent_says_not_found(server: FaultServer) -> None:
    outcome = one(server, "get")
    assert (outcome.ok, outcome.code, outcome.object) == (False, "not_found", None)


def test_move_fields_unites_entries_and_repeats_after_a_conflict(server: FaultServer) -> None:
    obj = config_map()
    entry = {"operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    obj["metadata"]["managedFields"] = [
        {**entry, "manager": "kubectl-client-side-apply", "fieldsV1": {"f:data": {"f:a": {}}}},
    ]
    server.put(PATH, obj)
    server.script("PATCH", PATH, Reply(409, status(409, "Conflict", "the object has been modified")))
    outcome = one(server, "move_fields", managers=("kubectl-client-side-apply",))
    assert outcome.ok and outcome.changed
    patches = [seen for seen in server.seen if seen.method == "PATCH"]
    assert len(patches) == 2
    assert patches[1].headers["Content-Type"] == "application/json-patch+json"
    assert patches[1].body[0]["value"] == [
        {**entry, "manager": "gitops-hub", "operation": "Apply", "fieldsV1": {"f:data": {"f:a": {}}}}
    ]
    assert patches[1].body[1]["path"] == "/metadata/resourceVersion"


def test_move_fields_without_anything_to_move_sends_nothing(server: FaultServer) -> None:
    server.put(PATH, config_map())
    outcome = one(server, "move_fields", managers=("kubectl-client-side-apply",))
    assert (outcome.ok, outcome.changed) == (True, False)
    assert server.count("PATCH", PATH) == 0


def test_c4_no_value_of_a_secret_comes_back_in_a_message(server: FaultServer) -> None:
    key = ResourceKey("", "Secret", "shop", "s")
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "shop"},
        "data": {"a": "c2VudGluZWwtb25l", "b": {"x": "sentinel-two"}, "c": 12345},
    }
    told = "a: expected string, got &value.valueUnstructured{Value:map[x:sentinel-two]}\n  .data.c: expected string, got &value.valueUnstructured{Value:12345}"
    for text in (
        f"failed to create typed patch object (shop/s; /v1, Kind=Secret): errors:\n  .data.{told}",
        'admission webhook "w" denied the request: sentinel-one and c2VudGluZWwtb25l are weak',
    ):
        server.script("PATCH", "/api/v1/namespaces/shop/secrets/s", Reply(403, status(403, "", text)))
        message = one(server, "apply", key, body).message
        assert not any(part in message for part in ("sentinel", "c2VudGluZWwtb25l", "12345")), message
    assert "denied the request" in message


def test_a_cluster_that_cannot_be_reached_gives_an_outcome_per_action(
    server: FaultServer, clock: Clock
) -> None:
    connection = server.connection(server="http://127.0.0.1:1")
    outcomes = carry_out(connection, Step("apply", "t", ((Action("apply", KEY, config_map()),),)))
    assert [(outcome.ok, outcome.code) for outcome in outcomes] == [(False, "unavailable")]
