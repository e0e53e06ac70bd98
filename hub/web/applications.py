"""/applications/<name>: where the links of imported templates lead, as people know them from Argo CD."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe


@require_safe
def application(_: HttpRequest, name: str, namespace: str = "") -> HttpResponse:
    """To the list of applications, searched by name: whether there is one is told only to who signs in there."""
    del namespace  # an application of the hub has none
    return redirect(f"/admin/hub/application/?{urlencode({'q': name})}")
