"""The gate on a real API server and on the sandbox: what sync-semantics.md 4.1 promises, and what it rests on."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from clusters import errors, kube, live
from clusters.core.connection import Connection
from clusters.core.manifests import MANAGED_BY_LABEL, TRACKING_ANNOTATION, ResourceKey, key_of
from clusters.core.plan.steps import Action, Outcome, Step
from clusters.kube import metrics
from clusters.sandbox import Sandbox
from clusters.services import carry_out

HUB = "hub1"
REAL = [pytest.param("real", marks=pytest.mark.live)] if os.environ.get("HUB_LIVE") == "1" else []
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"


@dataclass
class Arranger:
    """Requests by somebody who is not the hub."""

    connection: Connection

    def request(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.connection.server + path, data=data, method=method)
        request.add_header("Authorization", f"Bearer {self.connection.token}")
        request.add_header("Content-Type", content_type)
        tls = ssl.create_default_context(cadata=self.connection.ca_pem or None)
        with urllib.request.urlopen(request, timeout=30, context=tls) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Connection]:
    with Sandbox(ready_after=0.02) as made:
        cluster = made.cluster("gate")
        yield Connection(identity="gate", server=cluster.server, token=cluster.token, allow_loopback=True)
        kube.shutdown()


@pytest.fixture(params=["sandbox", *REAL])
def cluster(request: pytest.FixtureRequest) -> Iterator[Connection]:
    if request.param == "sandbox":
        connection: Connection = request.getfixturevalue("sandbox")
    else:
        plane = request.getfixturevalue("control_plane")
        connection = Connection(
            identity=plane.url,
            server=plane.url,
            ca_pem=plane.ca_pem,
            token=plane.hub_token,
            allow_loopback=True,
        )
    yield connection
    live.set_listener(None)
    live.unwatch_cluster(connection.identity)


@pytest.fixture
def others(cluster: Connection) -> Arranger:
    return Arranger(cluster)


@pytest.fixture
def namespace(others: Arranger) -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    others.request("POST", "/api/v1/namespaces", body)
    yield name
    with contextlib.suppress(urllib.error.HTTPError):
        others.request("DELETE", f"/api/v1/namespaces/{name}")


def do(cluster: Connection, *actions: Action) -> list[Outcome]:
    return carry_out(cluster, Step("apply", "test", (actions,)))


def act(cluster: Connection, verb: Any, body: dict[str, Any], **more: Any) -> Outcome:
    (outcome,) = do(cluster, Action(verb, key_of(body), body, **more))
    return outcome


def config_map(namespace: str, name: str = "settings", owner: str = "shop", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {MANAGED_BY_LABEL: HUB},
            "annotations": {TRACKING_ANNOTATION: f"{owner}:/ConfigMap:{namespace}/{name}"},
        },
        "data": data or {"a": "1"},
    }


def workload(namespace: str, kind: str = "Deployment", **spec: Any) -> dict[str, Any]:
    pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    service = {"serviceName": "web"} if kind == "StatefulSet" else {}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": pod,
            **service,
            **spec,
        },
    }


def until(what: Callable[[], Any], deadline: float = 20.0) -> Any:
    end = time.monotonic() + deadline
    while not (found := what()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


# --- writing ---------------------------------------------------------------------------------------------------
def test_c1_an_apply_that_changes_nothing_keeps_the_version(cluster: Connection, namespace: str) -> None:
    first = act(cluster, "apply", workload(namespace))
    assert first.ok and first.object is not None
    version = first.object["metadata"]["resourceVersion"]
    again = until(lambda: _settled(cluster, workload(namespace), version))
    assert not again.changed


def _settled(cluster: Connection, body: dict[str, Any], version: str) -> Outcome | None:
    """The outcome of an apply between two writes of the controller."""
    seen = kube.get(cluster, key_of(body))["metadata"]["resourceVersion"]
    outcome = act(cluster, "apply", body, resource_version=seen)
    return None if outcome.changed else outcome


@pytest.mark.parametrize(
    ("manager", "method"),
    [("kubectl-client-side-apply", "POST"), ("gitops-hub", "POST"), ("argocd-controller", "APPLY")],
)
def test_e35_adoption_moves_fields(
    cluster: Connection, others: Arranger, namespace: str, manager: str, method: str
) -> None:
    before = config_map(namespace, f="from before", keep="1")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    if method == "POST":
        others.request("POST", f"{path}?fieldManager={manager}", before)
    else:
        others.request(
            "PATCH",
            f"{path}/settings?fieldManager={manager}&force=true",
            before,
            content_type=APPLY,
        )
    wanted = config_map(namespace, keep="2")
    key = key_of(wanted)
    plain = act(cluster, "apply", wanted)
    assert plain.object is not None
    assert "f" in plain.object["data"], "without the move the old field stays"
    managers = ("kubectl-client-side-apply", "argocd-controller")
    (moved,) = do(cluster, Action("move_fields", key, managers=managers))
    assert moved.ok and moved.changed, moved.message
    after = act(cluster, "apply", wanted)
    assert after.object is not None
    assert after.object["data"] == {"keep": "2"}
    entries = [(entry["manager"], entry["operation"]) for entry in after.object["metadata"]["managedFields"]]
    assert entries == [("gitops-hub", "Apply")]
    (nothing,) = do(cluster, Action("move_fields", key, managers=managers))
    assert nothing.ok and not nothing.changed


def test_c2_the_united_entry_has_the_fields_of_all(
    cluster: Connection, others: Arranger, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    others.request("POST", f"{path}?fieldManager=argocd-controller", config_map(namespace, a="1", b="1"))
    others.request(
        "PATCH",
        f"{path}/settings?fieldManager=argocd-controller&force=true",
        config_map(namespace, c="1"),
        content_type=APPLY,
    )
    key = key_of(config_map(namespace))
    (moved,) = do(cluster, Action("move_fields", key, managers=("argocd-controller",)))
    assert moved.object is not None
    after = act(cluster, "apply", config_map(namespace, z="1"))
    assert after.object is not None
    assert after.object["data"] == {"z": "1"}


def test_e37_duplicate_env_still_applies(cluster: Connection, namespace: str) -> None:
    body = workload(namespace)
    body["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "2"},
        {"name": "A", "value": "3"},
    ]
    outcome = act(cluster, "apply", body)
    assert outcome.ok, outcome.message
    assert outcome.object is not None
    container = outcome.object["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "B", "value": "2"}, {"name": "A", "value": "3"}]
    assert 'containers[name="c"].env[name="A"]' in outcome.warnings[0]


def test_duplicate_ports_with_a_defaulted_key_part_still_apply(cluster: Connection, namespace: str) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80, "protocol": "TCP"}]},
    }
    outcome = act(cluster, "apply", body)
    assert outcome.ok, outcome.message
    assert outcome.object is not None
    assert [port["name"] for port in outcome.object["spec"]["ports"]] == ["b"]


def test_c3_undeclared_fields_go_with_validate_false_and_are_final_without(
    cluster: Connection, namespace: str
) -> None:
    body = workload(namespace)
    body["metadata"]["labls"] = {"a": "b"}
    body["spec"]["template"]["spec"]["containers"][0] |= {"imagePullPolcy": "Always", "x.y/z": 1}
    body["spec"]["foo"] = [1]
    body["bar"] = {"a": {"b": "c"}}
    refused = act(cluster, "apply", body)
    assert (refused.ok, refused.code, refused.permanent) == (False, "undeclared_field", True)
    outcome = act(cluster, "apply", body, strict=False)
    assert outcome.ok, outcome.message
    named = {warning.partition(" is not")[0] for warning in outcome.warnings}
    assert named == {
        ".metadata.labls",
        '.spec.template.spec.containers[name="c"].imagePullPolcy',
        '.spec.template.spec.containers[name="c"].x.y/z',
        ".spec.foo",
        ".bar",
    }


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("Deployment", "strategy", {"type": "Recreate"}),
        ("StatefulSet", "updateStrategy", {"type": "OnDelete"}),
    ],
)
def test_c3_a_defaulted_field_that_forbids_the_new_value_is_let_go(
    cluster: Connection, namespace: str, kind: str, field: str, value: dict[str, Any]
) -> None:
    assert act(cluster, "apply", workload(namespace, kind)).ok
    dry = act(cluster, "apply", workload(namespace, kind, **{field: value}), dry_run=True)
    assert dry.ok, dry.message
    outcome = act(cluster, "apply", workload(namespace, kind, **{field: value}))
    assert outcome.ok, outcome.message
    assert outcome.object is not None
    assert outcome.object["spec"][field] == value


def test_e39_immutable_names_the_field(cluster: Connection, namespace: str) -> None:
    assert act(cluster, "apply", workload(namespace)).ok
    changed = workload(namespace)
    changed["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    changed["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    outcome = act(cluster, "apply", changed)
    assert (outcome.code, outcome.permanent) == ("immutable", True)
    assert "spec.selector" in outcome.message
    assert len(outcome.message) <= 500


def test_an_apply_without_force_refuses_to_take_what_appeared_meanwhile(
    cluster: Connection, others: Arranger, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps?fieldManager=somebody"
    others.request("POST", path, config_map(namespace, a="theirs"))
    outcome = act(cluster, "apply", config_map(namespace, a="ours"), force=False)
    assert (outcome.ok, outcome.code, outcome.permanent) == (False, "conflict", True)


def test_c4_a_refused_secret_shows_no_value(cluster: Connection, namespace: str) -> None:
    for data in (
        {"a": 12345678, "b": {"x": "sentinel"}},
        {"a": "sentinel not base64"},
        {"bad key!": "c2VudGluZWw="},
    ):
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s", "namespace": namespace},
            "data": data,
        }
        outcome = act(cluster, "apply", body)
        assert (outcome.ok, outcome.code, outcome.permanent) == (False, "invalid", True), outcome
        for part in ("sentinel", "12345678", "c2VudGluZWw"):
            assert part not in outcome.message
        assert outcome.message


def test_a_dry_run_changes_nothing(cluster: Connection, namespace: str) -> None:
    body = config_map(namespace)
    assert act(cluster, "apply", body, dry_run=True).ok
    with pytest.raises(errors.NotFound):
        kube.get(cluster, key_of(body))
    assert act(cluster, "apply", body).ok
    assert act(cluster, "delete", body, dry_run=True).ok
    assert kube.get(cluster, key_of(body))["data"] == {"a": "1"}


def test_c8_a_prune_needs_the_tracking_id_and_the_uid(cluster: Connection, namespace: str) -> None:
    body = config_map(namespace)
    tracking = body["metadata"]["annotations"][TRACKING_ANNOTATION]
    assert act(cluster, "apply", body).ok
    assert act(cluster, "delete", body, must_carry="other").code == "not_ours"
    assert act(cluster, "delete", body, uid="5f0c2d6e-0000-0000-0000-000000000000").code == "not_ours"
    gone = act(cluster, "delete", body, must_carry=tracking)
    assert gone.ok and gone.changed
    again = act(cluster, "delete", body, must_carry=tracking)
    assert again.ok and not again.changed


def test_a_replace_creates_then_replaces_with_the_live_version(cluster: Connection, namespace: str) -> None:
    assert act(cluster, "replace", config_map(namespace, a="1")).ok
    outcome = act(cluster, "replace", config_map(namespace, b="2"), resource_version="1")
    assert outcome.ok, outcome.message
    assert outcome.object is not None
    assert outcome.object["data"] == {"b": "2"}


def test_a_create_in_a_terminating_namespace_passes_later(
    cluster: Connection, others: Arranger, namespace: str
) -> None:
    keeper = config_map(namespace, "keeper")
    keeper["metadata"]["finalizers"] = ["example.org/keep"]
    assert act(cluster, "apply", keeper).ok
    others.request("DELETE", f"/api/v1/namespaces/{namespace}")
    outcome = act(cluster, "apply", config_map(namespace, "late"))
    assert (outcome.code, outcome.permanent) == ("namespace_terminating", False)
    strip = [{"op": "remove", "path": "/metadata/finalizers"}]
    (stripped,) = do(cluster, Action("patch", key_of(keeper), strip))
    assert stripped.ok, stripped.message


def test_c14_a_definition_and_its_first_object_in_one_step(cluster: Connection, namespace: str) -> None:
    group = f"{namespace}.example.org"
    key = ResourceKey("apiextensions.k8s.io", "CustomResourceDefinition", "", f"widgets.{group}")

    def definition(**properties: Any) -> dict[str, Any]:
        spec = {"type": "object", "properties": {"a": {"type": "string"}, **properties}}
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": key.name},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        }

    def widget(**spec: str) -> dict[str, Any]:
        metadata = {"name": "w", "namespace": namespace}
        return {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": metadata, "spec": spec}

    use_it = Action("apply", ResourceKey(group, "Widget", namespace, "w"), widget(a="1"))
    step = Step("apply", "t", ((Action("apply", key, definition()),), (use_it,)))
    outcomes = carry_out(cluster, step)
    assert [(outcome.ok, outcome.message) for outcome in outcomes] == [(True, ""), (True, "")]
    use_new = Action("apply", ResourceKey(group, "Widget", namespace, "w"), widget(a="1", b="2"))
    changed = definition(b={"type": "string"})
    outcomes = carry_out(cluster, Step("apply", "t", ((Action("apply", key, changed),), (use_new,))))
    assert [(outcome.ok, outcome.message) for outcome in outcomes] == [(True, ""), (True, "")]
    do(cluster, Action("delete", key))


# --- seeing ----------------------------------------------------------------------------------------------------
class Events:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def __call__(self, identity: str, event: str, key: ResourceKey, obj: dict[str, Any] | None) -> None:
        if event != "WRITTEN":  # no news: what later events are compared with
            self.told.append((event, f"{key.namespace}/{key.name}"))


def watching(cluster: Connection, kinds: list[tuple[str, str]]) -> Events:
    events = Events()
    live.set_listener(events)
    live.watch_cluster(cluster, HUB, kinds)
    until(lambda: all(one.healthy for one in live.freshness(cluster.identity).values()))
    events.told.clear()
    return events


def test_a_watched_cluster_answers_from_memory_and_tells_changes_by_others(
    cluster: Connection, others: Arranger, namespace: str
) -> None:
    assert act(cluster, "apply", config_map(namespace)).ok
    key = key_of(config_map(namespace))
    events = watching(cluster, [("", "ConfigMap")])
    calls = metrics.total(cluster.identity)
    state = live.live_state(cluster, hub_id=HUB, kinds=[("", "ConfigMap")], keys=[key], owner="shop")
    assert state.objects[key]["data"] == {"a": "1"}
    assert metrics.total(cluster.identity) == calls
    path = f"/api/v1/namespaces/{namespace}/configmaps/settings"
    others.request("PATCH", path, {"data": {"a": "by hand"}}, content_type=MERGE)
    until(lambda: ("MODIFIED", f"{namespace}/settings") in events.told)
    state = live.live_state(cluster, hub_id=HUB, kinds=[], keys=[key])
    assert state.objects[key]["data"] == {"a": "by hand"}


def test_c7_a_stripped_label_reads_as_deleted_and_one_get_shows_the_object(
    cluster: Connection, others: Arranger, namespace: str
) -> None:
    assert act(cluster, "apply", config_map(namespace)).ok
    key = key_of(config_map(namespace))
    events = watching(cluster, [("", "ConfigMap")])
    path = f"/api/v1/namespaces/{namespace}/configmaps/settings"
    strip = {"metadata": {"labels": {MANAGED_BY_LABEL: None}}}
    others.request("PATCH", path, strip, content_type=MERGE)
    until(lambda: ("DELETED", f"{namespace}/settings") in events.told)
    state = live.live_state(cluster, hub_id=HUB, kinds=[], keys=[key])
    assert key in state.objects and not state.absent


def test_the_events_of_our_own_applies_are_not_told(cluster: Connection, namespace: str) -> None:
    events = watching(cluster, [("", "ConfigMap")])
    for number in range(30):
        bodies = [config_map(namespace, f"c{index}", a=str(number)) for index in range(8)]
        outcomes = do(cluster, *(Action("apply", key_of(body), body) for body in bodies))
        assert all(outcome.ok and outcome.changed for outcome in outcomes)
        state = live.live_state(cluster, hub_id=HUB, kinds=[], keys=[key_of(body) for body in bodies])
        assert all(state.objects[key_of(body)]["data"] == body["data"] for body in bodies)
    other = config_map(namespace, "last")
    kube.apply(cluster, key_of(other), other)
    until(lambda: ("ADDED", f"{namespace}/last") in events.told)
    assert [one for one in events.told if one[1].startswith(f"{namespace}/c")] == []


def test_a_listed_cluster_and_a_watched_one_show_the_same(cluster: Connection, namespace: str) -> None:
    do(
        cluster,
        *(Action("apply", key_of(body), body) for body in [config_map(namespace, f"c{n}") for n in range(7)]),
    )
    kinds = [("", "ConfigMap"), ("apps", "Deployment")]
    listed = live.live_state(cluster, hub_id=HUB, kinds=kinds, keys=[])
    watching(cluster, kinds)
    watched = live.live_state(cluster, hub_id=HUB, kinds=kinds, keys=[])
    assert watched.watched == set(kinds) and listed.watched == frozenset()
    assert listed.complete == watched.complete
    assert listed.objects == watched.objects
    assert len([key for key in listed.objects if key.namespace == namespace]) == 7
