"""What this hub is and how it is: /version, /settings, /livez, /readyz, /healthz, the schema and its pages."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.templatetags.static import static
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.shapes as shapes
from hub.api.access import Sessions, SignedIn, Tokens
from hub.api.docs import documented
from hub.api.door import Door
from hub.services import condition

# Shown to whoever is signed in: nothing here can be a secret or hold one (A12).
SHOWN_SETTINGS = (
    "HUB_URL",
    "HUB_DEMO",
    "EMBEDDED",
    "HUB_POLL_SECONDS",
    "HUB_MULTI_TENANT",
    "HUB_SHARDS",
    "HUB_PRIVATE_NETWORKS",
    "HUB_ALLOW_LOOPBACK",
    "HUB_NOTIFICATIONS_TIME_ZONE",
    "SESSION_COOKIE_AGE",
    "CELERY_WORKER_CONCURRENCY",
)


def version() -> str:
    try:
        return metadata.version("gitops-hub")
    except metadata.PackageNotFoundError:
        return "0.1.0"


class Version(Door):
    @documented("Which hub this is", answer=shapes.Version)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        return Response(
            {
                "version": version(),
                "api": "v1",
                "django": django.__version__,
                "python": platform.python_version(),
            }
        )


class Settings(Door):
    @documented("Effective settings; nothing secret", answer=shapes.Settings)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        return Response({"settings": {name.lower(): getattr(settings, name) for name in SHOWN_SETTINGS}})


class Schema(SpectacularJSONAPIView):
    """The OpenAPI document, for whoever is signed in."""

    authentication_classes = [Tokens, Sessions]
    permission_classes = [SignedIn]


class Docs(SpectacularSwaggerView):
    """Pages from the sidecar: no asset comes from elsewhere."""

    @staticmethod
    def _swagger_ui_favicon() -> str:
        return static("drf_spectacular_sidecar/swagger-ui-dist/favicon-32x32.png")

    authentication_classes = [Tokens, Sessions]
    permission_classes = [SignedIn]


def livez(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """The process answers."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Database, migrations and keys are there; which one is not is told without details."""
    missing = condition.readiness()
    status: dict[str, Any] = (
        {"status": "unavailable", "parts": sorted(missing)} if missing else {"status": "ok"}
    )
    return JsonResponse(status, status=503 if missing else 200)


def _is_signed_in(request: HttpRequest) -> bool:
    """By session, or by a token: what asks is often a monitor."""
    try:
        return request.user.is_authenticated or Tokens().authenticate(Request(request)) is not None
    except APIException:
        return False


def healthz(request: HttpRequest) -> JsonResponse:
    """A summary for everybody, one line per part for whoever is signed in."""
    found = condition.parts()
    well = all(part["ok"] for part in found.values())
    answer: dict[str, Any] = {"status": "ok" if well else "degraded"}
    if found["database"]["ok"] and _is_signed_in(request):
        answer["parts"] = found
    return JsonResponse(answer, status=200 if well else 503)
