"""Texts of strangers that a database refuses: NUL and halves of characters (PostgreSQL; security-and-reliability.md D8)."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from django.db import DataError
from django.utils import timezone

from hub.models import Event
from hub.reconcile import concluding, reconcile
from hub.reconcile.frame import Frame
from hub.services import commits
from tests import gitserver
from tests.flow import faults
from tests.flow.conftest import World
from tests.flow.faults import NAMESPACE, config

WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}
WIDGET = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one", "namespace": "shop"}}
STALLED = {"conditions": [{"type": "Stalled", "status": "True", "reason": "x", "message": "a\0b"}]}


def storable(text: str) -> bool:
    """Whether PostgreSQL takes it, also when the test runs on SQLite."""
    text.encode()
    return "\0" not in text


def test_an_object_may_say_anything_of_its_health(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.kube.create(WIDGETS)
    world.commit({"deploy/w.yaml": json.dumps(WIDGET)})
    app = world.run(world.application(sync_policy=faults.AUTOMATED))
    world.kube.apply({**WIDGET, "status": STALLED}, manager="controller")
    world.run(app)
    said = app.resources.get(kind="Widget").health_message
    assert "a\ufffdb" in said
    assert storable(app.health_message)
    assert storable(str(app.memory))


@pytest.mark.parametrize("odd", [b"deploy/\xff.yaml", b"deploy/\xc3("])
def test_a_path_that_is_no_utf8_is_told_and_ends_no_pass(world: World, odd: bytes) -> None:
    repo = world.repository_path
    blob = gitserver.raw_object(repo, "blob", b"../../../etc/passwd")
    folder = gitserver.git(
        repo, "hash-object", "-t", "tree", "-w", "--stdin", "--literally",
        input=b"120000 " + odd.rpartition(b"/")[2] + b".yaml\0" + bytes.fromhex(blob),
    ).strip()  # fmt: skip
    root = gitserver.raw_object(repo, "tree", b"40000 deploy\0" + bytes.fromhex(folder))
    gitserver.raw_commit(repo, root)
    app = world.application()
    world.poll()
    faults.one_pass(app)
    assert faults.codes(app) == {"OutOfBoundsPath"}
    assert all(storable(message) for message in faults.conditions(app))


def test_what_a_failed_pass_made_is_not_stored_with_its_failure(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.commit({"deploy/c.yaml": config("one")})
    app = world.run(world.application())

    def refused(frame: Frame, again: datetime, lost_passes: int = 0) -> None:
        frame.app.conditions = [{"type": "ComparisonError", "code": "x", "message": "\udcff", "since": ""}]
        raise DataError("the database refuses this text")

    monkeypatch.setattr(concluding, "save_application", refused)
    with pytest.raises(DataError):
        reconcile(app.id)
    assert faults.codes(app) == {"internal"}
    assert app.lease_until is None


def test_a_commit_may_say_anything(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    repo = world.repository_path
    tree = gitserver.git(repo, "rev-parse", "main^{tree}").strip()
    raw = f"tree {tree}\nauthor A\udc80 <a@x> 1700000000 +0000\ncommitter B <b@x> 1700000000 +0000\n\nodd \0 text\n"
    sha = gitserver.git(
        repo, "hash-object", "-t", "commit", "-w", "--stdin", "--literally",
        input=raw.encode("utf-8", "surrogateescape"),
    ).strip()  # fmt: skip
    gitserver.git(repo, "update-ref", "refs/heads/main", sha)
    app = world.run(world.application())
    (said,) = commits.describe(app, [{"sha": app.revisions[0]}])
    assert said["message"] == "odd \ufffd text"
    Event.objects.create(key="stored", name="x", occurred_at=timezone.now(), data=said)
    assert Event.objects.get(key="stored").data == said
