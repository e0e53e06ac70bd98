"""Uniting managedFields entries (sync-semantics.md 4.1, api-server-facts.md C2)."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clusters.core.fields import move_patch, union

LEAVES = st.dictionaries(st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', "."]), st.just({}), max_size=3)
TREES = st.recursive(
    LEAVES,
    lambda below: st.dictionaries(st.sampled_from(["f:a", "f:b", "f:c", "v:1"]), below, max_size=3),
    max_leaves=12,
)


def entry(manager: str, operation: str = "Update", fields: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields or {"f:data": {f"f:{manager}": {}}},
        **more,
    }


def config_map(*entries: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "x", "namespace": "shop", "resourceVersion": "7", "managedFields": list(entries)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def moved(obj: dict[str, Any], *managers: str) -> list[dict[str, Any]]:
    patch = move_patch(obj, managers)
    assert [step["path"] for step in patch] == ["/metadata/managedFields", "/metadata/resourceVersion"]
    assert patch[1]["value"] == "7", "guarded: a stale patch must answer 409"
    entries: list[dict[str, Any]] = patch[0]["value"]
    return entries


def paths(tree: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, below in tree.items():
        found |= {f"{prefix}/{name}"} | paths(below, f"{prefix}/{name}")
    return found


@given(TREES, TREES)
def test_a_union_has_exactly_the_fields_of_both(one: dict[str, Any], other: dict[str, Any]) -> None:
    before = copy.deepcopy((one, other))
    assert paths(union((one, other))) == paths(one) | paths(other)
    assert union((one, other)) == union((other, one))
    assert (one, other) == before


def test_kubectls_entry_becomes_ours() -> None:
    assert moved(config_map(entry("kubectl-client-side-apply")), "kubectl-client-side-apply") == [
        entry("gitops-hub", "Apply", {"f:data": {"f:kubectl-client-side-apply": {}}})
    ]


def test_all_moved_entries_and_our_own_become_one() -> None:
    """Of two entries of one identity the server silently keeps the last."""
    live = config_map(
        entry("gitops-hub", "Apply", {"f:data": {"f:a": {}}}, time="2026-01-02T00:00:00Z"),
        entry("argocd-controller", "Apply", {"f:data": {"f:b": {}}}, time="2026-01-03T00:00:00Z"),
        entry("argocd-controller", "Update", {"f:data": {"f:c": {}}}),
        entry("gitops-hub", "Update", {"f:data": {"f:d": {}}}),
    )
    (united,) = moved(live, "argocd-controller")
    assert (united["manager"], united["operation"]) == ("gitops-hub", "Apply")
    assert united["fieldsV1"] == {"f:data": {"f:a": {}, "f:b": {}, "f:c": {}, "f:d": {}}}
    assert united["time"] == "2026-01-03T00:00:00Z"


def test_an_update_entry_of_ours_is_moved_without_being_named() -> None:
    assert [one["operation"] for one in moved(config_map(entry("gitops-hub", "Update")))] == ["Apply"]


def test_entries_of_others_and_of_subresources_stay() -> None:
    edit, scale = entry("kubectl-edit"), entry("kubectl-client-side-apply", subresource="scale")
    entries = moved(config_map(edit, scale, entry("kubectl-client-side-apply")), "kubectl-client-side-apply")
    assert entries[1:] == [edit, scale]


def test_ownership_of_status_stays_where_it_is() -> None:
    """Else the next apply, which has no status, would remove it."""
    before = entry("before-first-apply", fields={"f:spec": {"f:a": {}}, "f:status": {"f:b": {}}})
    united, rest = moved(config_map(before), "before-first-apply")
    assert united["fieldsV1"] == {"f:spec": {"f:a": {}}}
    assert rest == {**before, "fieldsV1": {"f:status": {"f:b": {}}}}


def test_nothing_to_move_is_no_patch() -> None:
    ours = entry("gitops-hub", "Apply")
    assert move_patch(config_map(ours, entry("kubectl-edit")), ("kubectl-client-side-apply",)) == []
    assert move_patch(config_map(), ("kubectl-client-side-apply",)) == []
    bare = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "resourceVersion": "1"}}
    assert move_patch(bare, ("kubectl-client-side-apply",)) == []
