"""`/metrics` in the text format of Prometheus, for whoever holds HUB_METRICS_TOKEN, and for administrators (OB1)."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

import hub.api.errors as errors
from hub.services import figures
from notifications import services as notifications

READ_EVERY_S = 5.0
_PARTS = ("_bucket", "_sum", "_count")
_lock = threading.Lock()
_read: tuple[float, bytes] | None = None


@csrf_exempt
def metrics(request: HttpRequest) -> HttpResponse:
    """401 for strangers. What several scrapers ask within 5 s is read once per process."""
    if not _may(request):
        refused = errors.answer(request, 401)
        refused["WWW-Authenticate"] = "Bearer"
        return refused
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    return HttpResponse(_text(), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def measured_clicks(door: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """The door for Slack with its figures: how requests ended, and how long Slack waited for the answer."""

    @functools.wraps(door)
    def measured(request: HttpRequest) -> HttpResponse:
        begun = time.monotonic()
        answer = door(request)
        notifications.took("hub_slack_ack_seconds", time.monotonic() - begun)
        notifications.count("hub_slack_interactions_total", result=str(answer.status_code))
        return answer

    return measured


def _may(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        known = settings.HUB_METRICS_TOKEN
        return bool(known) and constant_time_compare(token.strip(), known)
    user = request.user
    return bool(user.is_authenticated and user.is_active and user.is_superuser)


def _text() -> bytes:
    global _read
    with _lock:
        if _read is None or time.monotonic() - _read[0] > READ_EVERY_S:
            registry = CollectorRegistry(auto_describe=False)
            registry.register(_Rows())
            _read = (time.monotonic(), generate_latest(registry))
        return _read[1]


class _Rows(Collector):
    """Every figure of the hub, grouped by its name."""

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for name, labels, value in figures.figures():
            family = _family(name)
            kind, says = figures.METRICS[family]
            metric = families.setdefault(family, Metric(family.removesuffix("_total"), says, kind))
            metric.add_sample(name, labels, value)
        yield from families.values()


def _family(name: str) -> str:
    """A histogram's parts belong to the histogram."""
    if name in figures.METRICS:
        return name
    return next(name.removesuffix(part) for part in _PARTS if name.endswith(part))
