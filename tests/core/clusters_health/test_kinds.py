"""Health by kind: each file in tests/data/health is a fact, its name ends with the expected answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clusters.core.health import NO_RULE, STATUSES, Health, assess
from clusters.core.health.known import BELOW_DOMAIN, EXACT, rule_of
from clusters.core.manifests import HOOK_FINALIZER

FACTS = sorted((Path(__file__).parents[2] / "data" / "health").glob("*.yaml"))


def load(name: str) -> dict[str, Any]:
    path = next(path for path in FACTS if path.stem == name)
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


@pytest.mark.parametrize("path", FACTS, ids=lambda path: path.stem)
def test_the_file_name_is_the_answer(path: Path) -> None:
    health = assess(yaml.safe_load(path.read_text()))
    assert (health.status.lower() if health else "none") == path.stem.rpartition("-")[2]


def test_there_are_enough_facts() -> None:
    assert len(FACTS) >= 200


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("deployment-not-available-progressing", "1 of 3 updated replicas are available"),
        ("deployment-updating-progressing", "1 of 3 replicas are updated"),
        ("deployment-old-replicas-left-progressing", "1 old replicas are still to be removed"),
        ("deployment-not-observed-progressing", "waiting for the controller to observe generation 4"),
        ("deployment-being-deleted-progressing", "Pending deletion"),
        ("deployment-deadline-exceeded-degraded", 'ReplicaSet "api-7d" has timed out progressing.'),
        ("cronjob-suspended-healthy", "CronJob is Suspended"),
        ("pod-failed-exit-code-degraded", "container smoke failed with exit code 3"),
        ("pod-failed-oom-degraded", "container smoke was OOMKilled"),
        ("pod-failed-with-message-degraded", "The node was low on resource"),
        ("pod-crash-loop-degraded", "container api: back-off 40s restarting failed container"),
        ("pod-pending-progressing", "0/3 nodes are available"),
        ("httproute-refused-by-one-degraded", "parent internal: NoMatchingListenerHostname"),
        ("gateway-listener-secret-missing-degraded", "listener https: secret tls not found"),
        ("crossplane-managed-reconcile-error-degraded", "cannot create Instance"),
        ("widget-stalled-degraded", "no paint left"),
        ("crossplane-provider-revision-unhealthy-degraded", "the deployment has 0 available replicas"),
        ("cnrm-context-errors-degraded", "the manager is not running"),
    ],
)
def test_messages_say_what_is_waited_for_or_wrong(name: str, message: str) -> None:
    health = assess(load(name))
    assert health is not None
    assert health.message == message


def test_the_annotation_never_makes_a_hook_pod_long_running() -> None:
    pod = load("pod-once-image-pull-with-annotation-degraded")
    assert assess(pod, is_hook=True) == Health("Progressing", "waiting for the containers to start")


def test_a_custom_rule_speaks_before_the_table_and_after_deletion() -> None:
    own = Health("Degraded", "by our rule")
    assert assess(load("deployment-available-healthy"), custom=own) == own
    assert assess(load("deployment-available-healthy"), custom=None) is None
    assert assess(load("deployment-available-healthy"), custom=NO_RULE) == Health("Healthy")
    assert assess(load("deployment-being-deleted-progressing"), custom=own) == Health(
        "Progressing", "Pending deletion"
    )


def test_e04_stale_health_is_not_believed() -> None:
    fresh = load("deployment-available-healthy")
    assert assess(fresh) == Health("Healthy")
    fresh["metadata"]["generation"] += 1
    health = assess(fresh)
    assert health is not None
    assert health.status == "Progressing"


def test_a_message_can_be_stored_whatever_a_controller_wrote() -> None:
    """PostgreSQL refuses NUL in a text: one status would have ended every pass of its application."""
    widget = load("widget-stalled-degraded")
    for condition in widget["status"]["conditions"]:
        condition["message"] = "no\x00paint \ud83d left"
    assert assess(widget) == Health("Degraded", "no\ufffdpaint \ufffd left")
    assert assess(widget, custom=Health("Healthy", "\x00")) == Health("Healthy", "\ufffd")


def test_an_exact_kind_comes_before_its_group_and_the_group_before_its_domain() -> None:
    assert rule_of("cert-manager.io", "Certificate") is EXACT["cert-manager.io", "Certificate"]
    assert rule_of("cert-manager.io", "Issuer") is EXACT["cert-manager.io", "*"]
    assert rule_of("pkg.crossplane.io", "Provider") is EXACT["pkg.crossplane.io", "Provider"]
    assert rule_of("pkg.crossplane.io", "Lock") is BELOW_DOMAIN["*.crossplane.io"]
    assert rule_of("nop.crossplane.io", "NopResource") is BELOW_DOMAIN["*.crossplane.io"]
    assert rule_of("crossplane.io", "Thing") is None
    assert rule_of("apps", "ControllerRevision") is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
names = st.sampled_from(
    [
        "metadata",
        "spec",
        "status",
        "conditions",
        "type",
        "reason",
        "message",
        "phase",
        "replicas",
        "observedGeneration",
        "generation",
        "annotations",
        "finalizers",
        "deletionTimestamp",
        "strategy",
        "canary",
        "blueGreen",
        "parents",
        "listeners",
        "containerStatuses",
        "state",
        "waiting",
        "terminated",
        "loadBalancer",
        "ingress",
        "sync",
        "health",
        "operationState",
        "comparedTo",
        "suspend",
        "paused",
        "workloadRef",
    ]
)
words = st.sampled_from(
    ["True", "False", "Unknown", "Ready", "Synced", "Running", "Failed", "Always", "1", HOOK_FINALIZER]
)
shaped = st.recursive(
    json_values | words | st.integers(-3, 3) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
    max_leaves=25,
)
known_kinds = st.sampled_from(
    [*EXACT, ("", "Pod"), ("example.com", "Widget"), ("kustomize.toolkit.fluxcd.io", "X")]
)


@given(known_kinds, st.dictionaries(names, shaped, max_size=6), st.booleans())
def test_assess_never_raises_and_knows_only_its_statuses(
    kind: tuple[str, str], content: dict[str, Any], is_hook: bool
) -> None:
    obj = {**content, "apiVersion": f"{kind[0]}/v2" if kind[0] else "v1", "kind": kind[1]}
    health = assess(obj, is_hook=is_hook)
    assert health is None or (health.status in STATUSES and isinstance(health.message, str))


@given(st.dictionaries(st.text(max_size=10) | names, json_values, max_size=6))
def test_assess_never_raises_on_what_is_no_object_at_all(obj: dict[str, Any]) -> None:
    health = assess(obj)
    assert health is None or health.status in STATUSES
