"""Deletion: options, preconditions, finalizers, owners (C8, C13, section 3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.contract.client import Api, Body, condition, entry, eventually


def config(name: str = "c", **metadata: Any) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": {"a": "1"},
    }


def deployment(name: str = "d") -> Body:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "nginx:1"}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def job(
    name: str = "j", finalizers: tuple[str, ...] = (), marks: dict[str, str] | None = None, **spec: Any
) -> Body:
    template = {
        "metadata": {"annotations": marks or {}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x:1"}]},
    }
    metadata: Body = {"name": name}
    if finalizers:
        metadata["finalizers"] = list(finalizers)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"template": template, **spec},
    }


def owned(owner: Body, name: str, **reference: Any) -> Body:
    held = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"]}
    return config(name, ownerReferences=[{**held, "uid": owner["metadata"]["uid"], **reference}])


def test_a_deletion_answers_with_a_status_and_a_second_one_is_not_found(api: Api) -> None:
    made = api.applied(config())
    gone = api.delete(config())
    assert gone.status == 200
    assert gone.body["kind"] == "Status"
    assert gone.body["status"] == "Success"
    assert gone.body["details"]["uid"] == made["metadata"]["uid"]
    assert api.delete(config()).status == 404


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"uid": "0000"}, "the UID in the precondition (0000)"),
        ({"resourceVersion": "1"}, "the ResourceVersion in"),
    ],
)
def test_c8_preconditions_refuse_another_object(api: Api, wanted: Body, says: str) -> None:
    api.applied(config())
    answer = api.delete(config(), {"preconditions": wanted})
    assert answer.status == 409
    assert answer.body["reason"] == "Conflict"
    assert says in answer.body["message"]
    assert api.get(config()).status == 200


def test_c8_preconditions_that_hold_delete(api: Api) -> None:
    metadata = api.applied(config())["metadata"]
    wanted = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    assert api.delete(config(), {"preconditions": wanted}).status == 200


def test_the_query_is_ignored_beside_a_body(api: Api) -> None:
    api.applied(config())
    assert api.delete(config(), dryRun="All").status == 200
    assert api.get(config()).status == 200
    assert api.delete(config(), {"dryRun": ["All"]}).status == 200
    assert api.get(config()).status == 200
    assert api.delete(config(), {}, dryRun="All").status == 200
    assert api.get(config()).status == 404


def test_an_unknown_propagation_is_422(api: Api) -> None:
    api.applied(config())
    answer = api.delete(config(), {"propagationPolicy": "Nope"})
    assert answer.status == 422
    assert "propagationPolicy" in answer.body["message"]


def test_a_finalizer_keeps_the_object_until_it_is_gone(api: Api) -> None:
    api.applied(config(finalizers=["example.com/keep"]))
    first = api.delete(config())
    assert first.status == 200
    assert first.body["metadata"]["deletionTimestamp"]
    assert first.body["metadata"]["deletionGracePeriodSeconds"] == 0
    second = api.delete(config())
    assert second.status == 200
    assert second.body["metadata"]["deletionTimestamp"] == first.body["metadata"]["deletionTimestamp"]
    assert api.patch(config(), {"metadata": {"labels": {"still": "writable"}}}).status == 200
    refused = api.patch(config(), {"metadata": {"finalizers": ["example.com/keep", "example.com/more"]}})
    assert refused.status == 422
    assert "no new finalizers can be added" in refused.body["message"]
    guarded = [
        {"op": "test", "path": "/metadata/finalizers/0", "value": "example.com/keep"},
        {"op": "remove", "path": "/metadata/finalizers/0"},
    ]
    assert api.patch(config(), guarded, "json").status == 200
    assert api.get(config()).status == 404


def test_applying_without_our_finalizer_lets_a_deleted_object_go(api: Api) -> None:
    api.applied(config(finalizers=["example.com/keep"]))
    api.delete(config())
    assert api.apply(config()).status == 200
    eventually(lambda: api.get(config()).status == 404)


def test_dependents_go_in_the_background(api: Api) -> None:
    owner = api.applied(config("owner"))
    api.applied(owned(owner, "child"))
    api.delete(config("owner"), {"propagationPolicy": "Background"})
    assert api.get(config("owner")).status == 404
    eventually(lambda: api.get(config("child")).status == 404)


def test_a_foreground_deletion_waits_for_blocking_dependents(api: Api) -> None:
    owner = api.applied(config("owner"))
    child = owned(owner, "child", blockOwnerDeletion=True)
    child["metadata"]["finalizers"] = ["example.com/keep"]
    api.applied(child)
    marked = api.delete(config("owner"), {"propagationPolicy": "Foreground"}).body
    assert "foregroundDeletion" in marked["metadata"]["finalizers"]
    eventually(lambda: api.live(config("child"))["metadata"].get("deletionTimestamp"))
    assert api.get(config("owner")).status == 200
    api.patch(config("child"), {"metadata": {"finalizers": None}})
    eventually(lambda: api.get(config("owner")).status == 404)
    assert api.get(config("child")).status == 404


def test_orphans_stay_and_lose_their_owner(api: Api) -> None:
    owner = api.applied(config("owner"))
    api.applied(owned(owner, "child"))
    api.delete(config("owner"), {"propagationPolicy": "Orphan"})
    eventually(lambda: api.get(config("owner")).status == 404)
    eventually(lambda: "ownerReferences" not in api.live(config("child"))["metadata"])


def test_a_dependent_of_two_owners_stays_with_the_other(api: Api) -> None:
    one, two = api.applied(config("one")), api.applied(config("two"))
    child = owned(one, "child")
    child["metadata"]["ownerReferences"] += owned(two, "child")["metadata"]["ownerReferences"]
    api.applied(child)
    api.delete(config("one"))
    eventually(lambda: len(api.live(config("child"))["metadata"]["ownerReferences"]) == 1)
    api.delete(config("two"))
    eventually(lambda: api.get(config("child")).status == 404)


def test_an_object_whose_owner_never_was_is_collected(api: Api) -> None:
    ghost = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ghost", "uid": "no-such-uid"}}
    assert api.create(owned(ghost, "child")).status == 201
    eventually(lambda: api.get(config("child")).status == 404, 40)


def test_a_deployment_takes_its_pods_along(api: Api) -> None:
    api.applied(deployment())
    pods = {"apiVersion": "v1", "kind": "Pod", "metadata": {}}
    eventually(lambda: api.list(pods, labelSelector="app=d").body["items"])
    api.delete(deployment(), {"propagationPolicy": "Foreground"})
    eventually(lambda: api.get(deployment()).status == 404)
    assert api.list(pods, labelSelector="app=d").body["items"] == []


def test_c13_our_finalizer_keeps_a_finished_job_with_a_time_to_live(api: Api) -> None:
    body = job(finalizers=("gitops-hub.io/hook-finalizer",), ttlSecondsAfterFinished=0)
    assert api.create(body).status == 201
    done = eventually(
        lambda: (lambda o: o if o["metadata"].get("deletionTimestamp") else None)(api.live(body))
    )
    assert condition(done, "Complete")["status"] == "True"
    assert done["status"]["succeeded"] == 1
    assert done["status"]["completionTime"]

    def gone_once_released() -> bool:
        found = api.get(body)
        if found.status == 404:
            return True
        # The garbage collector takes its own finalizer away meanwhile; one that it took cannot be put back (422).
        left = [f for f in found.body["metadata"].get("finalizers", ()) if not f.endswith("/hook-finalizer")]
        api.patch(body, {"metadata": {"finalizers": left}})
        return False

    eventually(gone_once_released)


def test_a_namespace_takes_everything_along_and_refuses_new_objects(api: Api) -> None:
    name = f"{api.namespace}-b"
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    assert api.create(space).status == 201
    held = config(namespace=name, finalizers=["example.com/keep"])
    api.applied(held)
    dying = api.delete(space).body
    assert dying["status"]["phase"] == "Terminating"
    refused = api.apply(config("late", namespace=name))
    assert refused.status == 403
    assert refused.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    assert "because it is being terminated" in refused.body["message"]
    assert api.patch(held, {"data": {"a": "2"}}).status == 200
    api.patch(held, {"metadata": {"finalizers": None}})
    eventually(lambda: api.get(space).status == 404, 60)


def test_a_collection_is_deleted_by_label(api: Api) -> None:
    api.applied(config("a", labels={"x": "1"}))
    api.applied(config("b"))
    path = api.path(config(), collection=True)
    assert api.request("DELETE", path, labelSelector="x=1").status == 200
    eventually(lambda: api.get(config("a")).status == 404)
    assert api.get(config("b")).status == 200


def moved(live: Body, *managers: str) -> list[Body]:
    """managedFields with the entries of `managers` as one Apply entry of ours."""
    fields: Body = {}
    kept = []
    for held in live["metadata"]["managedFields"]:
        if held["manager"] in managers:
            fields |= held["fieldsV1"]
        else:
            kept.append(held)
    ours = {"manager": "gitops-hub", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    return [*kept, {**ours, "time": "2026-01-01T00:00:00Z", "fieldsV1": fields}]


def test_c2_moved_fields_are_removed_by_the_next_apply(api: Api) -> None:
    body = config() | {"data": {"a": "1", "old": "x"}}
    body["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    assert api.create(body, fieldManager="kubectl-client-side-apply").status == 201
    assert api.applied(config())["data"] == {"a": "1", "old": "x"}
    live = api.live(config())
    patch = [
        {
            "op": "replace",
            "path": "/metadata/managedFields",
            "value": moved(live, "kubectl-client-side-apply", "gitops-hub"),
        },
        {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
    ]
    done = api.patch(config(), patch, "json")
    assert done.status == 200
    assert [e["manager"] for e in done.body["metadata"]["managedFields"]] == ["gitops-hub"]
    after = api.applied(config())
    assert after["data"] == {"a": "1"}
    assert "annotations" not in after["metadata"]


def test_c2_a_stale_version_is_a_conflict_and_a_failed_test_is_422(api: Api) -> None:
    api.applied(config())
    stale = [{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}]
    assert api.patch(config(), stale, "json").status == 409
    test = api.patch(config(), [{"op": "test", "path": "/data/a", "value": "no"}], "json")
    assert test.status == 422
    assert test.body["message"] == "the server rejected our request due to an error in our request"


def test_c2_of_several_entries_with_one_key_the_last_wins(api: Api) -> None:
    live = api.applied(config())
    ours = live["metadata"]["managedFields"][0]
    other = {**ours, "fieldsV1": {"f:data": {"f:z": {}}}}
    patch = [{"op": "replace", "path": "/metadata/managedFields", "value": [ours, other]}]
    done = api.patch(config(), patch, "json").body
    assert [e["fieldsV1"] for e in done["metadata"]["managedFields"]] == [{"f:data": {"f:z": {}}}]


def test_c2_an_object_without_managed_fields_gets_before_first_apply(api: Api) -> None:
    api.create(config(), fieldManager="someone")
    bare = api.patch(config(), [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}], "json")
    assert "managedFields" not in bare.body["metadata"]
    applied = api.applied(config(labels={"x": "y"}))
    before = entry(applied, "before-first-apply", "Update")
    assert before is not None
    assert before["fieldsV1"] == {"f:data": {".": {}, "f:a": {}}}


def test_a_post_of_ours_leaves_an_update_entry(api: Api) -> None:
    made = api.create(config(), fieldManager="gitops-hub").body
    owned_by_us = entry(made, "gitops-hub", "Update")
    assert owned_by_us is not None
    assert owned_by_us["fieldsV1"] == {"f:data": {".": {}, "f:a": {}}}


def test_a_put_that_changes_nothing_keeps_the_version(api: Api) -> None:
    made = api.applied(config())
    again = api.replace({k: v for k, v in made.items() if k != "status"})
    assert again.status == 200
    assert again.rv == made["metadata"]["resourceVersion"]
    unconditional = config() | {"data": {"a": "2"}}
    assert api.replace(unconditional).body["data"] == {"a": "2"}


def test_an_edit_takes_the_field_it_changes(api: Api) -> None:
    api.applied(config())
    edited = api.patch(config(), {"data": {"a": "9", "b": "1"}}, fieldManager="kubectl-edit").body
    editor = entry(edited, "kubectl-edit", "Update")
    assert editor is not None
    assert editor["fieldsV1"] == {"f:data": {"f:a": {}, "f:b": {}}}
    assert entry(edited, "gitops-hub", "Apply") is None


def test_patches_of_all_three_formats(api: Api) -> None:
    api.applied(config())
    assert api.patch(config(), {"data": {"b": "2"}}, "strategic").body["data"] == {"a": "1", "b": "2"}
    assert api.patch(config(), {"data": {"b": None}}).body["data"] == {"a": "1"}
    added = api.patch(config(), [{"op": "add", "path": "/metadata/labels", "value": {}}], "json")
    assert added.status == 200
    marked = [{"op": "add", "path": "/metadata/annotations", "value": {"x/y": "1"}}]
    assert api.patch(config(), marked, "json").body["metadata"]["annotations"] == {"x/y": "1"}
    changed = [{"op": "replace", "path": "/metadata/annotations/x~1y", "value": "2"}]
    assert api.patch(config(), changed, "json").body["metadata"]["annotations"] == {"x/y": "2"}


def test_a_strategic_patch_merges_lists_by_key(api: Api) -> None:
    api.applied(deployment())
    containers: list[Body] = [{"name": "c", "image": "nginx:2"}, {"name": "side", "image": "x:1"}]
    patch: Body = {"spec": {"template": {"spec": {"containers": containers}}}}
    spec = api.patch(deployment(), patch, "strategic").body["spec"]["template"]["spec"]
    assert sorted((c["name"], c["image"]) for c in spec["containers"]) == [("c", "nginx:2"), ("side", "x:1")]
    containers[:] = [{"name": "side", "$patch": "delete"}]
    spec = api.patch(deployment(), patch, "strategic").body["spec"]["template"]["spec"]
    assert [c["name"] for c in spec["containers"]] == ["c"]
