"""What the Project says about an Application and its objects, judged at plan and again before every batch (1.4)."""

from __future__ import annotations

from functools import lru_cache

import orjson

from clusters.core.discovery import Discovery
from clusters.core.manifests import Manifest, ResourceKey, key_of
from hub.core.policy import (
    ApplicationFacts,
    Destination,
    Fence,
    Rules,
    SourceFact,
    judge_application,
    read_rules,
    violations_by_key,
)
from hub.core.switches import is_automated
from hub.models import Application, Project
from hub.reconcile.frame import Frame
from hub.reconcile.sourcing import Desired


def violations(frame: Frame, desired: Desired, discovery: Discovery) -> dict[ResourceKey, str]:
    """The sentence of every object that the Project refuses; a refused Application refuses all of them."""
    project = frame.app.project
    key = (project.generation, project.archived, desired.digest, discovery.digest)
    held = frame.caches.get("violations")
    if held is None or held[0] != key:
        held = frame.caches["violations"] = (key, _judge(frame, desired.manifests, discovery))
    found: dict[ResourceKey, str] = held[1]
    return found


def read_again(frame: Frame) -> bool:
    """Read the Project as it is now; True when it changed: a rule taken away stops the next batch (PR6, B4)."""
    app = frame.app
    now = Project.objects.filter(id=app.project_id).values("generation", "archived", "rules").first()
    if now is None:
        changed, app.project.archived = not app.project.archived, True
        return changed
    held = {name: getattr(app.project, name) for name in now}
    if now == held:
        return False
    for name, value in now.items():
        setattr(app.project, name, value)
    frame.caches.clear()
    return True


def fence_of(project: Project) -> Fence:
    return Fence(project.name, _rules(orjson.dumps(project.rules)), archived=project.archived)


@lru_cache(maxsize=256)
def _rules(text: bytes) -> Rules:
    """By what the document says and not by its number: what is judged again must not rest on what was judged before."""
    return read_rules(orjson.loads(text))[0]


def destination_of(app: Application) -> Destination:
    cluster = app.cluster
    return Destination(
        asked_name=cluster.name,
        name=cluster.name,
        server=cluster.server,
        namespace=app.destination_namespace,
        scoped_to=cluster.scope,
        namespaces=tuple(cluster.namespaces),
        cluster_resources=cluster.cluster_resources,
        is_hub_cluster=cluster.in_cluster,
    )


def _judge(frame: Frame, manifests: tuple[Manifest, ...], discovery: Discovery) -> dict[ResourceKey, str]:
    app = frame.app
    fence, to = fence_of(app.project), destination_of(app)
    automated = (app.sync_policy or {}).get("automated") or {}
    facts = ApplicationFacts(
        app.name,
        tuple(SourceFact(str(entry.get("repoURL", ""))) for entry in app.sources),
        to,
        automated=is_automated(app.sync_policy),
        prune=bool(automated.get("prune")),
    )
    whole = judge_application(fence, facts)
    if whole:
        sentence = "; ".join(f"{each.reason} (rule {each.rule})" for each in whole[:3])
        return {key_of(manifest): sentence for manifest in manifests}
    return violations_by_key(fence, to, manifests, discovery, live=list(frame.rows))
