"""What an Application is made of, and when it may sync: resources, drift, manifests, windows. Values of Secrets are masks (C4)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.shapes as shapes
from clusters.core.diff.masks import Masker
from hub.api.applications import find
from hub.api.docs import documented
from hub.api.door import Door
from hub.api.lists import Listing, equals, truth
from hub.models import ResourceStatus
from hub.services import manifests, windows

ROW = ("kind", "namespace", "name", "id")


def key_of(row: ResourceStatus) -> dict[str, str]:
    return {"group": row.group, "kind": row.kind, "namespace": row.namespace, "name": row.name}


def resource(row: ResourceStatus) -> dict[str, Any]:
    return key_of(row) | {
        "version": row.version,
        "status": row.status,
        "reason": row.reason,
        "message": row.message,
        "health": row.health,
        "health_message": row.health_message,
        "hook": row.is_hook,
        "wave": row.wave,
    }


def difference(row: ResourceStatus) -> dict[str, Any]:
    return key_of(row) | {"status": row.status, "reason": row.reason, "lines": row.drift}


FILTERS = {
    "kind": equals("kind"),
    "namespace": equals("namespace"),
    "name": equals("name"),
    "status": equals("status"),
    "health": equals("health"),
    "hook": truth("hook", Q(is_hook=True)),
}
RESOURCES = Listing(route="resources", sorts={"kind": ROW}, default="kind", show=resource, filters=FILTERS)
DIFF = Listing(route="diff", sorts={"kind": ROW}, default="kind", show=difference, filters=FILTERS)


class Resources(Door):
    @documented("What it wants and holds", listing=RESOURCES, item=shapes.Resource)
    def get(self, request: Request, name: str) -> Response:
        rows = ResourceStatus.objects.filter(application=find(request, name)).defer("baseline", "drift")
        return Response(RESOURCES.answer(request, rows))


class Diff(Door):
    @documented(
        "What differs from Git path by path, masked; also what a rule ignores or an admission changed",
        listing=DIFF,
        item=shapes.Difference,
    )
    def get(self, request: Request, name: str) -> Response:
        rows = ResourceStatus.objects.filter(application=find(request, name)).exclude(
            status__in=("Synced", ""), drift=[]
        )
        return Response(DIFF.answer(request, rows.defer("baseline")))


class Manifests(Door):
    @documented("What was rendered last, Secrets masked", answer=shapes.Manifests)
    def get(self, request: Request, name: str) -> Response:
        app = find(request, name)
        found = manifests.load(app.manifest_digest)
        if found is None:
            return Response({"digest": app.manifest_digest, "revisions": app.revisions, "items": []})
        masker = Masker(settings.HUB_SENSITIVE_ANNOTATIONS)
        items = [
            {"source": origin.source, "file": origin.file, "manifest": masker.object(manifest)}
            for manifest, origin in zip(found.objects, found.origins, strict=True)
        ]
        return Response({"digest": found.digest, "revisions": app.revisions, "items": items})


class Windows(Door):
    @documented("May it sync now, which window decides, when does that change", answer=shapes.Windows)
    def get(self, request: Request, name: str) -> Response:
        return Response(windows.shown(find(request, name), timezone.now()))
