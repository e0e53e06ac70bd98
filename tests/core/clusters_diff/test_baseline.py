"""The Baseline and Drift (sync-semantics.md 6.3)."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.core.diff import (
    Baseline,
    IgnoreRule,
    ResourceFacts,
    baseline_of,
    compile_rules,
    drift,
    leaf_set,
    leaf_set_of_manifest,
    project,
    renewed,
    resource_status,
    strict_changes,
)
from clusters.core.diff.projection import ABSENT
from tests.core.clusters_diff.cases import KEY, answer_of, config_map, deployment, edited, managed, secret


def baseline(manifest: dict[str, Any], **options: Any) -> Baseline:
    return baseline_of(answer_of(manifest), manifest, "hash", key=KEY, **options)


def drifted(manifest: dict[str, Any], live: dict[str, Any], **options: Any) -> list[str]:
    found = drift(baseline(manifest, **options), live, key=KEY, **options)
    return [] if found is None else [str(change) for change in found.changes]


def test_what_we_sent_is_no_drift():
    for manifest in (deployment(), secret(a="eA=="), config_map(a="1")):
        assert drift(baseline(manifest), edited(answer_of(manifest)), key=KEY) is None


def test_the_same_resource_version_is_not_even_looked_at():
    live = answer_of(deployment())
    live["spec"]["replicas"] = 99
    assert drift(baseline(deployment()), live, key=KEY) is None


def test_an_edit_of_our_field_is_drift_with_old_and_new():
    live = edited(answer_of(deployment()))
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "evil"
    found = drift(baseline(deployment()), live, key=KEY)
    assert found is not None
    (change,) = found.changes
    assert str(change) == '.spec.template.spec.containers[name="web"].image'
    assert (change.old, change.new) == ("nginx:1.25", "evil")


def test_a_gone_object_is_missing():
    found = drift(baseline(deployment()), None)
    assert found is not None
    assert found.missing


def test_e42_sidecar_is_not_drift():
    live = edited(answer_of(deployment()))
    pod = live["spec"]["template"]["spec"]
    pod["containers"].insert(0, {"name": "istio-proxy", "image": "x"})
    pod["volumes"] = [{"name": "injected"}]
    live["metadata"]["annotations"] = {"autoscaling/x": "y"}
    assert drift(baseline(deployment()), live, key=KEY) is None


def test_e31_a_stripped_label_is_drift_on_that_label():
    live = edited(answer_of(deployment()))
    del live["metadata"]["labels"]["app"]
    assert drifted(deployment(), live) == [".metadata.labels.app"]


def test_e43_admission_change_is_baseline():
    manifest = deployment()
    answer = answer_of(manifest)
    answer["spec"]["template"]["spec"]["containers"][0]["image"] = "mirror/nginx:1.25"
    made = baseline_of(answer, manifest, "hash", key=KEY)
    assert drift(made, edited(answer), key=KEY) is None
    path = '.spec.template.spec.containers[name="web"].image'
    assert made.admission == ((path, "nginx:1.25", "mirror/nginx:1.25", "changed on admission"),)
    assert strict_changes(made, manifest) == ()
    manifest["metadata"]["annotations"] = {"gitops-hub.io/compare": "strict"}
    assert strict_changes(made, manifest) == made.admission
    assert resource_status(ResourceFacts(changed=bool(strict_changes(made, manifest)))).status == "OutOfSync"


def test_canonical_values_and_defaults_are_no_admission_change():
    assert baseline(deployment()).admission == ()


def test_the_order_of_our_own_items_counts_and_that_of_others_does_not():
    live = edited(answer_of(deployment()))
    env = live["spec"]["template"]["spec"]["containers"][0]["env"]
    env.insert(1, {"name": "X", "value": "others"})
    assert drifted(deployment(), live) == []
    env.reverse()
    assert drifted(deployment(), live) == ['.spec.template.spec.containers[name="web"].env[order]']


def test_a_removed_item_and_a_changed_atomic_list():
    live = edited(answer_of(deployment()))
    container = live["spec"]["template"]["spec"]["containers"][0]
    del container["env"][0]
    container["args"].append("-x")
    where = '.spec.template.spec.containers[name="web"]'
    assert sorted(drifted(deployment(), live)) == [f"{where}.args", f'{where}.env[name="A"]']


def test_sets_count_only_our_values():
    manifest = config_map(a="1")
    manifest["metadata"]["finalizers"] = ["ours"]
    live = edited(answer_of(manifest))
    live["metadata"]["finalizers"] = ["theirs", "ours"]
    assert drifted(manifest, live) == []
    live["metadata"]["finalizers"] = ["theirs"]
    assert drifted(manifest, live) == ['.metadata.finalizers[="ours"]']


def test_an_empty_granular_map_counts_by_its_presence():
    pod = deployment()["spec"]["template"]
    pod["spec"]["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    manifest = deployment(template=pod)
    live = edited(answer_of(manifest))
    live["spec"]["template"]["spec"]["volumes"][0]["emptyDir"]["sizeLimit"] = "1Gi"
    assert drifted(manifest, live) == []
    del live["spec"]["template"]["spec"]["volumes"][0]["emptyDir"]
    assert drifted(manifest, live) == ['.spec.template.spec.volumes[name="tmp"].emptyDir']


def test_an_empty_atomic_selector_counts_as_a_whole():
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny", "namespace": "shop"},
        "spec": {"podSelector": {}, "ingress": []},
    }
    live = edited(answer_of(policy))
    live["spec"]["podSelector"] = {"matchLabels": {"app": "x"}}
    live["spec"]["ingress"] = [{}]
    assert drifted(policy, live) == [".spec.podSelector", ".spec.ingress"]


def test_e44_secret_values_are_hmacs_in_the_baseline():
    manifest = secret(password="c2VjcmV0")
    manifest["metadata"]["annotations"] = {"x/token": "hunter2"}
    made = baseline_of(answer_of(manifest), manifest, "h", key=KEY, sensitive_annotations=("x/token",))
    live = edited(answer_of(manifest))
    live["data"]["password"] = "b3RoZXI="
    live["metadata"]["annotations"]["x/token"] = "hunter3"
    found = drift(made, live, key=KEY)
    told = repr(found) + repr(made) + repr(made.unpack())
    assert found is not None
    assert {str(c) for c in found.changes} == {".data.password", ".metadata.annotations.x/token"}
    assert all(c.old.startswith("hmac:") and c.new.startswith("hmac:") for c in found.changes)
    assert not any(value in told for value in ("c2VjcmV0", "b3RoZXI=", "hunter2", "hunter3"))


def test_a_secret_needs_the_hubs_key():
    with pytest.raises(ValueError, match="needs the hub's key"):
        baseline_of(answer_of(secret(a="eA==")), secret(a="eA=="), "h", key=b"")


def test_a_baseline_survives_storage():
    made = baseline(deployment())
    assert Baseline.from_bytes(made.to_bytes()) == made
    with pytest.raises(ValueError, match="unknown"):
        Baseline.from_bytes(b"\x00rubbish")
    with pytest.raises(ValueError, match="unreadable"):
        Baseline.from_bytes(b"\x01rubbish")


def test_an_older_baseline_whose_admission_has_no_note_is_read() -> None:
    made = baseline(deployment())
    old = {**dataclasses.asdict(made), "admission": [(".spec.x", 1, 2)]}
    read = Baseline.from_bytes(made.to_bytes()[:1] + msgspec.msgpack.encode(old))
    assert read.admission == ((".spec.x", 1, 2, "changed on admission"),)


def test_a_baseline_is_void_for_another_manifest_rules_or_version():
    made = baseline(deployment())
    assert not made.is_void("hash", "", "apps/v1")
    assert made.is_void("other")
    assert made.is_void("hash", "rules")
    assert made.is_void("hash", "", "apps/v2")


def test_after_a_put_the_leaf_set_comes_from_the_manifest():
    answer = answer_of(deployment())
    answer["metadata"]["managedFields"] = [managed(deployment(), operation="Update")]
    made = baseline_of(answer, deployment(), "h", key=KEY)
    live = edited(answer)
    live["spec"]["replicas"] = 3
    found = drift(made, live, key=KEY)
    assert found is not None
    assert [str(c) for c in found.changes] == [".spec.replicas"]


def test_the_derived_leaf_set_equals_the_one_the_server_lists():
    for manifest in (deployment(), config_map(a="1"), secret(a="eA==")):
        listed = leaf_set([managed(manifest)], sent=manifest)
        assert listed == leaf_set_of_manifest(manifest)


def test_a_new_serialisation_renews_the_baseline():
    live = edited(answer_of(deployment()))
    live["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "1.0"
    made = baseline(deployment())
    assert drift(made, live, key=KEY) is not None
    again = renewed(made, live, key=KEY)
    assert drift(again, edited(live, "12"), key=KEY) is None


def test_ignored_paths_are_no_drift():
    rules = compile_rules([IgnoreRule(group="apps", kind="Deployment", json_pointers=("/spec/replicas",))])
    live = edited(answer_of(deployment()))
    live["spec"]["replicas"] = 7
    assert drifted(deployment(), live, rules=rules) == []
    del live["spec"]["replicas"]
    assert drifted(deployment(), live, rules=rules) == []


def test_fields_of_an_ignored_manager_are_judged_with_managed_fields():
    rules = compile_rules([IgnoreRule(group="apps", kind="Deployment", managers=("hpa",))])
    made = baseline(deployment(), rules=rules)
    live = edited(answer_of(deployment()))
    live["spec"]["replicas"] = 7
    without_fields = copy.deepcopy(live)
    del without_fields["metadata"]["managedFields"]
    found = drift(made, without_fields, key=KEY, rules=rules)
    assert found is not None
    assert found.needs_managed_fields
    live["metadata"]["managedFields"].append(
        {"manager": "hpa", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    )
    assert drift(made, live, key=KEY, rules=rules) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)
specs = st.dictionaries(st.text("abc", min_size=1, max_size=2), json_values, min_size=1, max_size=4)


def custom(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "ex.io/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": "shop"},
        "spec": spec,
    }


@given(specs)
def test_projecting_what_we_sent_finds_no_drift(spec):
    manifest = custom(spec)
    made = baseline(manifest)
    assert drift(made, edited(answer_of(manifest)), key=KEY) is None
    assert project(manifest, leaf_set_of_manifest(manifest)) is not ABSENT


def leaf_places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        return [found for name, item in value.items() for found in leaf_places(item, (*place, name))]
    return [place]


@given(specs, st.data())
def test_any_single_edit_inside_the_leaf_set_is_found(spec, data):
    manifest = custom(spec)
    live = edited(answer_of(manifest))
    place = data.draw(st.sampled_from(leaf_places(spec)))
    holder = live["spec"]
    for name in place[:-1]:
        holder = holder[name]
    if data.draw(st.booleans()):
        del holder[place[-1]]
    else:
        holder[place[-1]] = "edited by hand"
    found = drift(baseline(manifest), live, key=KEY)
    assert found is not None
    assert ".spec." + ".".join(place) == str(found.changes[0])
    assert len(found.changes) == 1
