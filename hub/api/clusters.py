"""/clusters: registered Kubernetes APIs. Nothing here is ever readable back (access-and-api.md 5)."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.changes as changes
import hub.api.nudging as nudging
import hub.api.shapes as shapes
from clusters.models import Cluster
from hub.api.access import person
from hub.api.docs import documented
from hub.api.door import Door, document_of, etag, expected_generation, flag, merged, not_modified, rehearse
from hub.api.lists import Listing, bad, equals, one_of, prefix
from hub.api.repositories import demand_project
from hub.api.requests import actor
from hub.api.selectors import labels
from hub.models import Project
from hub.services import clusters, credentials, rights

READONLY = [
    "state",
    "state_message",
    "version",
    "uid",
    "missing_rights",
    "probed_at",
    "next_probe_at",
    "generation",
    "credential",
    "paused",
    "created_at",
    "dry_run",
    "affected",
    "credential_kind",
]


def summary(cluster: Cluster) -> dict[str, Any]:
    return {
        "name": cluster.name,
        "server": cluster.server,
        "project": cluster.scope,
        "state": cluster.state,
        "state_message": cluster.state_message,
        "version": cluster.version,
        "shard": cluster.shard,
        "paused": cluster.paused,
        "credential_kind": cluster.credential_kind,
        "generation": cluster.generation,
    }


def detail(cluster: Cluster) -> dict[str, Any]:
    return clusters.document(cluster) | {
        "state": cluster.state,
        "state_message": cluster.state_message,
        "version": cluster.version,
        "uid": cluster.uid,
        "missing_rights": cluster.missing_rights,
        "paused": cluster.paused,
        "probed_at": cluster.probed_at,
        "next_probe_at": cluster.next_probe_at,
        "credential": credentials.described(cluster),
        "generation": cluster.generation,
        "created_at": cluster.created_at,
    }


def _shard(value: str) -> Q:
    if not value.isascii() or not value.isdigit() or len(value) > 4:
        raise bad("shard", "must be a number")
    return Q(shard=int(value))


LIST = Listing(
    route="clusters",
    sorts={"name": ("name",)},
    default="name",
    show=summary,
    filters={
        "project": equals("scope"),
        "state": one_of("state", Cluster.State.values, "state"),
        "selector": labels("labels"),
        "version": prefix("version"),
        "shard": _shard,
        "q": prefix("name"),
    },
)


def find(request: Request, name: str, action: str = "get") -> Cluster:
    """The Cluster, if the caller may do this to it. Raises NotFound or Forbidden."""
    cluster = rights.visible_clusters(person(request)).filter(name=name).first()
    if cluster is None:
        raise rights.NotFound("cluster")
    scope = Project.objects.filter(name=cluster.scope).first() if cluster.scope else None
    rights.demand(person(request), action, scope, f"cluster {name}")
    return cluster


class Clusters(Door):
    @documented("List clusters", listing=LIST, item=shapes.ClusterSummary)
    def get(self, request: Request) -> Response:
        rows = rights.visible_clusters(person(request)).defer("annotations", "ca_pem")
        return Response(LIST.answer(request, rows))

    @documented(
        "Register a cluster by kubeconfig, or by address and credential",
        body=shapes.ClusterDocument,
        answer=shapes.Cluster,
        status=201,
        dry_run=True,
    )
    def post(self, request: Request) -> Response:
        document = document_of(request, tuple(READONLY))
        demand_project(request, document, "clusters of this project")
        stored: list[Cluster] = []

        def create() -> dict[str, Any]:
            stored.append(clusters.register(actor(request), document))
            return detail(stored[-1])

        if self.dry_run:
            return Response(rehearse(create))
        answer = create()
        nudging.probe(stored[0].id)
        return Response(answer, status=201, headers=etag(stored[0].generation))


class ClusterPreview(Door):
    keeps_answers = False

    @documented(
        "Contexts of a kubeconfig and what would be refused; stores nothing",
        body=shapes.KubeconfigText,
        answer=shapes.KubeconfigPreview,
    )
    def post(self, request: Request) -> Response:
        document = document_of(request)
        demand_project(request, document, "clusters of this project")
        return Response(clusters.preview(document))


class OneCluster(Door):
    @documented("One cluster", answer=shapes.Cluster)
    def get(self, request: Request, name: str) -> Response:
        cluster = find(request, name)
        if not_modified(request, cluster.generation):
            return Response(status=304, headers=etag(cluster.generation))
        return Response(detail(cluster), headers=etag(cluster.generation))

    @documented(
        "Change a cluster; an absent or empty credential is kept",
        body=shapes.ClusterPatch,
        answer=shapes.Cluster,
        match=True,
        dry_run=True,
    )
    def patch(self, request: Request, name: str) -> Response:
        cluster = find(request, name, "update")
        generation = expected_generation(
            request, cluster.generation, changes.since("cluster", name, cluster.generation)
        )
        sent = document_of(request, tuple(READONLY))
        patched = merged(request, clusters.document(cluster), tuple(READONLY))
        document = {key: patched.get(key) for key in sent}
        if "project" in document and (document["project"] or "") != cluster.scope:
            demand_project(request, document, "clusters of this project")

        def change() -> dict[str, Any]:
            return detail(clusters.update(actor(request), cluster, document, expected_generation=generation))

        if self.dry_run:
            return Response(rehearse(change))
        answer = change()
        nudging.probe(cluster.id)
        return Response(answer, headers=etag(answer["generation"]))

    @documented(
        "Remove a cluster without applications",
        answer=shapes.LeftBehind,
        dry_run=True,
        also={
            "force": "true: it is gone for good, and applications that are being detached are let go with it"
        },
    )
    def delete(self, request: Request, name: str) -> Response:
        cluster, force = find(request, name, "delete"), flag(request, "force")

        def remove() -> dict[str, Any]:
            return {"deleted": name, "left_behind": clusters.delete(actor(request), cluster, force=force)}

        return Response(rehearse(remove) if self.dry_run else remove())


class ClusterProbe(Door):
    @documented("Probe it now", answer=shapes.ClusterSummary, status=202)
    def post(self, request: Request, name: str) -> Response:
        cluster = find(request, name, "update")
        clusters.probe_now(actor(request), cluster)
        nudging.probe(cluster.id)
        return Response(summary(cluster), status=202)


class ClusterPause(Door):
    @documented("Pause: no application of it is looked at", answer=shapes.ClusterSummary)
    def post(self, request: Request, name: str) -> Response:
        return Response(summary(clusters.set_paused(actor(request), find(request, name, "update"), True)))

    @documented("Go on", answer=shapes.ClusterSummary, status=200)
    def delete(self, request: Request, name: str) -> Response:
        cluster = clusters.set_paused(actor(request), find(request, name, "update"), False)
        nudging.probe(cluster.id)
        nudging.look(clusters.applications_of(cluster))
        return Response(summary(cluster))
