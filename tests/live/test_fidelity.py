"""Diff fidelity on the real API server: nothing differs after a sync, and every edit is seen (sync-semantics.md 6)."""

from __future__ import annotations

import base64
import copy
import json
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clusters.core.manifests import load_documents
from hub.models import Application, ResourceStatus
from tests.live.controlplane.instance import ApiError
from tests.live.edits import KEYS, Edit, Object, edits_of, healed, place_of, value_at
from tests.live.realworld import RealWorld, real_world
from tests.live.worldview import until

__all__ = ["real_world"]
pytestmark = [pytest.mark.live, pytest.mark.timeout(420)]

CORPUS = Path(__file__).parent.parent / "data" / "corpus"
EDITS = 300
ROUNDS = 4
SEED = int(os.environ.get("HUB_SEED") or 20240501)


def corpus(world: RealWorld) -> dict[str, str]:
    """The files of the corpus; what is called `corpus` in them has a name of its own in every run."""
    return {
        path.name: path.read_text().replace("corpus", world.namespace) for path in sorted(CORPUS.iterdir())
    }


def manifests(texts: dict[str, str]) -> list[Object]:
    found: list[Object] = []
    for text in texts.values():
        for document in load_documents(text.encode()).objects:
            found += document["items"] if document["kind"] == "List" else [document]
    return found


def synced(app: Application) -> None:
    """The last operation succeeded, everything is Synced, with zero differences but those that a rule ignores."""
    operation = app.operations.first()
    assert operation is not None
    lines = [
        f"{row['kind']}/{row['name']} {row['state']} {row['message'][:300]}"
        for row in operation.results
        if row["state"] not in {"Succeeded", "Running"}
    ]
    lines += [
        f"{row.kind}/{row.name} {row.status} {row.reason} {row.message} {row.drift}"
        for row in app.resources.all()
        if row.status != "Synced" or [line for line in row.drift if not line["ignored_by"]]
    ]
    found = "\n".join([operation.message, *lines])
    assert (operation.phase, app.sync_status, len(lines)) == ("Succeeded", "Synced", 0), found


def last_writes(world: RealWorld, objects: list[Object]) -> dict[str, str]:
    """When the hub wrote each object for the last time, and what it owns: its entries in managedFields."""
    found = {}
    for manifest in objects:
        live = world.read(manifest)
        assert live is not None, manifest
        fields = live["metadata"]["managedFields"]
        found[world.path(manifest)] = repr([entry for entry in fields if entry["manager"] == "gitops-hub"])
    return found


class Kubectl:
    """How objects came into being before the hub saw them; each with fields that Git lacks."""

    def __init__(self, world: RealWorld, verb: str) -> None:
        self.world, self.verb = world, verb

    def first(self, objects: list[Object]) -> None:
        """Definitions and namespaces before the rest, as kubectl needs it."""
        early = [o for o in objects if o["kind"] in {"Namespace", "CustomResourceDefinition"}]
        self._run([o for o in early if o["metadata"]["name"] != self.world.namespace])
        until(lambda: all(self._served(o) for o in early if o["kind"] == "CustomResourceDefinition"))
        self._run([with_extras(o) for o in objects if o not in early])

    def _served(self, crd: Object) -> bool:
        live = self.world.read(crd) or {}
        conditions = {c["type"]: c["status"] for c in live.get("status", {}).get("conditions") or ()}
        return conditions.get("Established") == "True"

    def _run(self, objects: list[Object]) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [sendable(o) for o in objects]})
        self.world.kubectl(self.verb, "--validate=false", "-f", "-", text=text)


def sendable(manifest: Object) -> Object:
    """As people have it in their files, without what only a server may write."""
    copied = copy.deepcopy(manifest)
    for name in ("resourceVersion", "uid", "generation", "selfLink", "managedFields", "creationTimestamp"):
        copied["metadata"].pop(name, None)
    return copied


def with_extras(manifest: Object) -> Object:
    """The manifest with a label, an annotation and, where its kind has them, a key or a variable more than Git."""
    changed = copy.deepcopy(manifest)
    for name in ("labels", "annotations"):
        changed["metadata"][name] = {**(changed["metadata"].get(name) or {}), "example.com/extra": "1"}
    if changed["kind"] == "ConfigMap" and not changed.get("immutable"):
        changed["data"] = {**(changed.get("data") or {}), "extra": "1"}
    if changed["kind"] in {"Deployment", "StatefulSet", "DaemonSet"}:
        container = changed["spec"]["template"]["spec"]["containers"][0]
        container["env"] = [*(container.get("env") or []), {"name": "EXTRA", "value": "1"}]
    return changed


def extras_left(world: RealWorld, objects: list[Object]) -> list[str]:
    return [world.path(o) for o in objects if "extra" in json.dumps(without_fields(world.read(o))).lower()]


def without_fields(live: Object | None) -> Object:
    assert live is not None
    return {**live, "metadata": {**live["metadata"], "managedFields": None}}


def injected(world: RealWorld, objects: list[Object]) -> int:
    """Webhooks get their caBundle as cert-manager gives it; how many."""
    bundle = base64.b64encode(world.plane.ca_pem.encode()).decode()
    count = 0
    for manifest in objects:
        for number, _ in enumerate(manifest.get("webhooks") or ()):
            path = f"/webhooks/{number}/clientConfig/caBundle"
            world.edit(manifest, [{"op": "add", "path": path, "value": bundle}], "json", "cainjector")
            count += 1
    return count


@dataclass
class Report:
    """What became of the edits."""

    seen: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    unhealed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    undetected: list[str] = field(default_factory=list)


class Editing:
    """Rounds of edits: one of each object, a look of the hub, a sync."""

    def __init__(self, world: RealWorld, app: Application, objects: list[Object], rng: random.Random) -> None:
        self.world, self.app, self.rng = world, app, rng
        self.report = Report()
        self.left: dict[str, tuple[Object, list[Edit]]] = {}
        for manifest in objects:
            live = world.read(manifest)
            assert live is not None
            self.left[world.path(manifest)] = (manifest, edits_of(manifest, live, rng))

    def round(self) -> None:
        made = [done for path in sorted(self.left) if (done := self._edit(*self.left[path])) is not None]
        self.world.run(self.app)
        rows = {(row.kind, row.name): row for row in self.app.resources.all()}
        for before, edit in made:
            self._judge(rows[before["kind"], before["metadata"]["name"]], before, edit)
        operation = self.world.sync(self.app)
        self.world.run(self.app)
        operation.refresh_from_db()
        failed = {(row["kind"], row["name"]): row for row in operation.results if row["state"] == "Failed"}
        for before, edit in made:
            self._healed(before, edit, failed)
        if failed:
            self.world.sync(self.app)
            self.world.run(self.app)
        synced(self.app)

    def _edit(self, manifest: Object, edits: list[Edit]) -> tuple[Object, Edit] | None:
        """The first of the next edits that the server takes and keeps."""
        for _ in range(min(4, len(edits))):
            edit, before = edits.pop(), self.world.read(manifest)
            if before is None:  # not there in this round, or not served: counted, never edited
                self.report.refused[f"gone {manifest['kind']}"] += 1
                return None
            plain = all(isinstance(step, str) for step in edit.place)
            ways = ["json", "merge", *(["apply"] if not edit.remove else [])] if plain else ["json"]
            how = self.rng.choice(ways)
            try:
                after = self.world.edit(manifest, edit.body(before, how), how)
            except ApiError as error:
                self.report.refused[f"{error.status}"] += 1
                continue
            if value_at(after, edit.place) == value_at(before, edit.place):
                self.report.refused["not kept"] += 1
                continue
            return before, edit
        return None

    def _judge(self, row: ResourceStatus, before: Object, edit: Edit) -> None:
        where = f"{row.kind}/{row.name} {edit}"
        for line in row.drift:
            place = place_of(line["path"], before)
            if place is not None and edit.place[: len(place)] == place:
                if line["ignored_by"]:
                    self.report.ignored[line["ignored_by"]] += 1
                else:
                    assert row.status == "OutOfSync"
                    self.report.seen += 1
                return
        if edit.place == ("spec", "replicas") and "replicas ignored: scaled by" in row.message:
            self.report.ignored[row.message] += 1
        else:
            self.report.undetected.append(f"{where}: {row.status} {row.message} {row.drift}")

    def _healed(self, before: Object, edit: Edit, failed: dict[tuple[str, str], dict[str, Any]]) -> None:
        """Live is again what it was; where the server refuses that, the operation says so and a person undoes it."""
        name, after = (before["kind"], before["metadata"]["name"]), self.world.read(before)
        assert after is not None
        if edit.place == ("spec", "replicas") and before["metadata"]["name"] == "scaled":
            return
        if name in failed:
            assert failed[name]["message"]
            self.report.unhealed.append(f"{'/'.join(name)} {edit}: {failed[name]['message'][:120]}")
            self._undo(before, after)
            return
        if not healed(before, after, edit.place):
            self.report.left.append(f"{name} {edit}: {value_at(after, edit.place[:-1])}")
        elif edit.place[-1] in KEYS and any(isinstance(step, int) for step in edit.place):
            self._undo(before, after)

    def _undo(self, before: Object, after: Object) -> None:
        """What the edit added (an item under another name) is somebody else's to the hub: a person takes it away."""
        version = after["metadata"]["resourceVersion"]
        undone = {**before, "metadata": {**before["metadata"], "resourceVersion": version}}
        try:
            self.world.plane.request("PUT", self.world.path(before) + "?fieldManager=editor", undone)
        except ApiError:
            self._again(before)

    def _again(self, before: Object) -> None:
        """What cannot be undone is made anew."""
        self.world.edit(before, {"metadata": {"finalizers": None}})
        self.world.remove(before)
        until(lambda: self.world.read(before) is None)


@pytest.mark.parametrize("origin", ["the hub", "kubectl apply", "kubectl create"])
def test_everything_is_synced_and_every_edit_is_seen(real_world: RealWorld, origin: str) -> None:
    """E35: fields that Git lacks are gone after the first sync of what kubectl applied; what `kubectl create` left is
    somebody else's and stays, without being a difference."""
    world, rng = real_world, random.Random(SEED)
    objects = manifests(texts := corpus(world))
    assert len(objects) >= 150
    if origin != "the hub":
        Kubectl(world, origin.removeprefix("kubectl ")).first(objects)
    app = world.deployed(texts)
    synced(app)
    left = extras_left(world, objects)
    assert (len(left) > 100) if origin == "kubectl create" else left == []
    assert injected(world, objects) == 3
    written = last_writes(world, objects)
    operation = world.sync(app)
    world.run(app)
    synced(app)
    operation.refresh_from_db()
    messages = [row for row in operation.results if not row["message"].startswith("unchanged")]
    assert messages == []
    assert last_writes(world, objects) == written
    editing = Editing(world, app, objects, rng)
    report = editing.report
    for _ in range(ROUNDS if origin == "the hub" else 1):
        editing.round()
    print(
        f"seed {SEED}: {report.seen} seen, {report.ignored}, {report.refused}",
        *report.unhealed,
        *report.left,
        *report.undetected,
        sep="\n",
    )
    assert report.undetected == []
    assert report.left == []
    assert report.seen >= (EDITS if origin == "the hub" else 80)
    assert len(report.unhealed) <= report.seen / 20, report.unhealed
    assert sum(report.refused.values()) <= report.seen * 1.25
