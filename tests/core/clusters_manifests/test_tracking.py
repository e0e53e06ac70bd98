"""Whose object is it (sync-semantics.md 5)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.core.manifests import (
    ARGOCD_TRACKING_ANNOTATION,
    MANAGED_BY_LABEL,
    TRACKING_ANNOTATION,
    ResourceKey,
    key_of,
    managed_by,
    owner_of,
    parse_tracking_id,
    stamp,
    tracking_id,
)


def service(**metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", **metadata},
    }


def owner(live: dict[str, Any], **options: Any) -> Any:
    return owner_of(live, application="a", hub_id="h1", **options)


def test_the_id_has_the_form_of_argo_cd():
    assert tracking_id("a", key_of(service()), "x") == "a:/Service:shop/web"
    assert tracking_id("ns_a", ResourceKey("rbac.io", "ClusterRole", "", "system:x"), "shop") == (
        "ns_a:rbac.io/ClusterRole:shop/system:x"
    )


@pytest.mark.parametrize(
    "text", ["", "a", "a:/Service", "a:Service:shop/web", "a:/:shop/web", ":/Service:shop/web", "a:/S:x"]
)
def test_a_text_that_is_no_tracking_id(text):
    assert parse_tracking_id(text) is None


names = st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True)


@given(
    names,
    st.just("") | names,
    st.from_regex(r"[A-Z][a-z]{0,9}", fullmatch=True),
    names,
    st.from_regex(r"[a-z:.]{1,20}", fullmatch=True),
)
def test_what_was_written_is_read(application, group, kind, namespace, name):
    parts = parse_tracking_id(tracking_id(application, ResourceKey(group, kind, namespace, name), "x"))
    assert parts == (application, group, kind, namespace, name)


def test_stamping_leaves_the_manifest_alone():
    before = service(labels={"x": "y"})
    stamped = stamp(before, "a", "h1", "shop")
    assert before == service(labels={"x": "y"})
    assert stamped["metadata"]["labels"] == {"x": "y", MANAGED_BY_LABEL: "h1"}
    assert owner(stamped).kind == "ours"
    assert managed_by(stamped, "a", "h1")


def test_nobody_owns_a_plain_object():
    assert owner(service()).kind == "none"
    assert owner(service(labels={MANAGED_BY_LABEL: "h1"})).kind == "none"


def test_e31_without_its_label_it_is_still_ours():
    live = stamp(service(), "a", "h1")
    del live["metadata"]["labels"]
    assert owner(live).kind == "ours"


def test_e32_a_self_referencing_argo_cd_id_is_foreign():
    live = service(annotations={ARGOCD_TRACKING_ANNOTATION: "web:/Service:shop/web"})
    assert (owner(live).kind, owner(live).label) == ("argocd", "Argo CD application web")
    copied = service(annotations={ARGOCD_TRACKING_ANNOTATION: "web:/Service:shop/other"})
    assert owner(copied).kind == "none"


def test_e33_another_application_or_hub_is_named():
    other = owner(stamp(service(), "b", "h1"))
    assert (other.kind, other.application) == ("other_application", "b")
    elsewhere = owner(stamp(service(), "a", "h2"))
    assert (elsewhere.kind, elsewhere.label) == ("other_hub", "hub h2")
    assert owner(service(labels={MANAGED_BY_LABEL: "h2"})).kind == "other_hub"


def test_h22_an_application_of_this_name_in_another_hub_owns_its_objects():
    theirs = stamp(service(), "a", "h2")
    assert not managed_by(theirs, "a", "h1")
    assert owner(theirs).kind == "other_hub"


def test_e34_replicaset_copy_is_not_managed():
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "shop"},
    }
    annotations = stamp(deployment, "a", "h1")["metadata"]["annotations"]
    replicaset = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "api-1", "namespace": "shop", "annotations": annotations},
    }
    assert not managed_by(replicaset, "a", "h1")
    assert owner(replicaset).kind == "copy"
    copy = stamp(service(), "a", "h1")
    copy["metadata"]["namespace"] = "elsewhere"
    assert not managed_by(copy, "a", "h1")


def test_cluster_scoped_objects_match_without_namespace():
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}
    live = stamp(namespace, "a", "h1", "shop")
    assert live["metadata"]["annotations"][TRACKING_ANNOTATION] == "a:/Namespace:shop/x"
    assert owner(live).kind == "ours"


def test_a_move_to_another_group_is_no_copy_when_a_target_says_so():
    old = {
        "apiVersion": "extensions/v1beta1",
        "kind": "Ingress",
        "metadata": {"name": "i", "namespace": "shop"},
    }
    live = stamp({**old, "apiVersion": "networking.k8s.io/v1"}, "a", "h1")
    live["apiVersion"] = "extensions/v1beta1"
    assert owner(live).kind == "copy"
    assert owner(live, target=ResourceKey("networking.k8s.io", "Ingress", "shop", "i")).kind == "ours"


def test_argo_cds_field_manager_alone_asks_for_confirmation():
    live = service(managedFields=[{"manager": "argocd-controller", "operation": "Update"}])
    assert owner(live).kind == "argocd_label"
