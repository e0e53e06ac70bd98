"""The door for Slack: raw bytes in, a decision at most out. No session, no token, no DRF (notifications.md 9.1)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

import hub.api.errors as errors
import hub.api.nudging as nudging
from hub.services import chat
from notifications.services import SlackRequestRefused
from notifications.services.slack_calls import MAX_BODY


@csrf_exempt
@require_POST
def interactions(request: HttpRequest) -> HttpResponse:
    """POST /api/v1/slack/interactions: 404 when no secret is configured, 401 for what Slack did not sign."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MAX_BODY:
        return errors.answer(request, 413)
    try:
        answer = chat.receive(dict(request.headers), request.read(MAX_BODY + 1))
    except SlackRequestRefused as refused:
        return errors.answer(request, refused.status)
    nudging.look(answer.look)
    nudging.tell()
    return JsonResponse(answer.body) if answer.body else HttpResponse(status=200)
