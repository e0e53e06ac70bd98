"""What would happen, and back to what was: /applications/{name}/plan, /rollback, /pin."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.nudging as nudging
import hub.api.shapes as shapes
from hub.api.applications import find
from hub.api.docs import documented
from hub.api.door import Door, document_of
from hub.api.operations import detail
from hub.api.requests import actor
from hub.errors import HubError
from hub.models import SyncOperation
from hub.reconcile.previewing import preview
from hub.services import operations


class RollbackRequest(serializers.Serializer[dict[str, object]]):
    operation = serializers.IntegerField(help_text="number of a succeeded operation of this application")
    reason = serializers.CharField(required=False)
    until = serializers.CharField(
        required=False, help_text="next-change (default), manual, or an RFC 3339 time"
    )


class PlanAnswer(serializers.Serializer[dict[str, object]]):
    digest = serializers.CharField()
    batches = serializers.JSONField()
    hooks = serializers.JSONField()
    prune = serializers.JSONField()
    diff = serializers.JSONField()
    warnings = serializers.JSONField()


class Plan(Door):
    @documented(
        "What a sync would do now, or at other revisions; nothing is written",
        body=shapes.PlanRequest,
        answer=PlanAnswer,
    )
    def post(self, request: Request, name: str) -> Response:
        app = find(request, name)
        document = document_of(request) if request.data else {}
        takes = document.pop("takeover", False) is True
        kind = SyncOperation.Kind.TAKEOVER if takes else SyncOperation.Kind.SYNC
        return Response(preview(app, operations.read_request(document), kind=kind))


class Rollback(Door):
    @documented(
        "Back to the state of an earlier operation, held there by a pin while auto-sync stays on",
        body=RollbackRequest,
        answer=shapes.Operation,
        status=202,
    )
    def post(self, request: Request, name: str) -> Response:
        app = find(request, name, "rollback")
        document = document_of(request)
        number, reason, until = (
            document.get("operation"),
            document.get("reason", ""),
            document.get("until", "next-change"),
        )
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 2**31:
            raise HubError(
                "invalid", "operation must be the number of an earlier operation", "see /history", status=422
            )
        if not isinstance(reason, str) or len(reason) > 255 or not isinstance(until, str):
            raise HubError("invalid", "reason and until must be short texts", status=422)
        operation = operations.rollback(actor(request), app, number, reason=reason, until=until)
        nudging.look([app.id])
        return Response(detail(operation), status=202)


class Pin(Door):
    @documented("Lift the pin: the newest revision counts again", status=204)
    def delete(self, request: Request, name: str) -> Response:
        app = find(request, name, "sync")
        operations.unpin(actor(request), app)
        nudging.look([app.id])
        return Response(status=204)
