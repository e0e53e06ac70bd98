"""What a webhook changed when our apply was admitted (sync-semantics.md 6.3; E43)."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from clusters.core.plan.steps import Outcome, Step
from hub.models import Application
from hub.reconcile import operating
from tests.flow import faults
from tests.flow.conftest import World
from tests.flow.faults import AUTOMATED, NAMESPACE

STRICT = 'annotations: {gitops-hub.io/compare: "strict"}'


def text(more: str = "") -> str:
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: one, namespace: shop{more and ', ' + more}}}\n"
        "data: {image: 'nginx:1'}\n---\n"
    )


@pytest.fixture
def webhook(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutating webhook that rewrites our image: the answer of every apply has it already."""
    real = operating.carry_out

    def admitted(connection: object, step: Step) -> list[Outcome]:
        return [changed(each) for each in real(connection, step)]  # type: ignore[arg-type]

    def changed(outcome: Outcome) -> Outcome:
        if outcome.action.verb != "apply" or outcome.object is None or outcome.action.dry_run:
            return outcome
        patch = {"data": {"image": "mirror/nginx:1"}}
        live: dict[str, Any] = world.kube.patch("v1", "ConfigMap", "one", patch, "shop")
        answer = copy.deepcopy(outcome.object)
        answer["data"] = live["data"]
        answer["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        return replace(outcome, object=answer)

    monkeypatch.setattr(operating, "carry_out", admitted)


def lines(app: Application) -> list[dict[str, Any]]:
    return list(app.resources.get(name="one").drift)


@pytest.mark.usefixtures("webhook")
def test_e43_admission_change_is_baseline(world: World) -> None:
    """Synced, and the diff says what was changed."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": text()})
    app = world.run(world.application(sync_policy=AUTOMATED))
    world.run(app)
    assert (app.sync_status, app.operations.count()) == ("Synced", 1)
    assert [(line["path"], line["desired"], line["live"], line["note"]) for line in lines(app)] == [
        (".data.image", '"nginx:1"', '"mirror/nginx:1"', "changed on admission")
    ]


TYPO = """apiVersion: apps/v1
kind: Deployment
metadata: {name: one, namespace: shop, annotations: {argocd.argoproj.io/sync-options: "Validate=false"%s}}
spec:
  selector: {matchLabels: {app: one}}
  template:
    metadata: {labels: {app: one}}
    spec: {containers: [{name: main, image: "x:1", imagePullPolcy: Always}]}
"""


@pytest.mark.parametrize("more", ["", ', gitops-hub.io/compare: "strict"'])
def test_a_field_that_the_server_does_not_know_stays_in_the_diff(world: World, more: str) -> None:
    """With Validate=false it is left out of what is sent, and never dropped in silence (6.1)."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": TYPO % more})
    app = world.run(world.application(sync_policy=AUTOMATED))
    assert (app.sync_status, app.operations.count()) == ("Synced", 1)
    (line,) = lines(app)
    assert line["path"] == '.spec.template.spec.containers[name="main"].imagePullPolcy'
    assert (line["desired"], line["live"]) == ('"Always"', "null")
    assert line["note"] == "not in the cluster's schema"


@pytest.mark.usefixtures("webhook")
@pytest.mark.parametrize(
    ("more", "annotations"),
    [(STRICT, {}), ("", {"argocd.argoproj.io/compare-options": "IncludeMutationWebhook=true"})],
    ids=["resource", "application"],
)
def test_e43_with_compare_strict_it_is_out_of_sync_and_not_healed_for_ever(
    world: World, more: str, annotations: dict[str, str]
) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": text(more)})
    app = world.run(world.application(sync_policy=AUTOMATED, annotations=annotations))
    for _ in range(3):
        faults.one_pass(app)
    app.refresh_from_db()
    assert (app.sync_status, app.counts) == ("OutOfSync", {"changed": 1})
    assert app.resources.get().message == "was changed on admission"
    assert app.operations.count() == 1
