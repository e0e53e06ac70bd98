"""What every page for people shares: the sign-in in its place, who asks, and answers that no cache and no site keeps."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from hub.errors import HubError
from hub.models import User
from hub.services import signing_in
from hub.services.actors import Actor
from hub.services.guessing import address_of

CLOSED = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


def page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    response = render(request, template, context, status=status)
    # An address may hold a one-time code: no other site is told it.
    response["Referrer-Policy"] = "no-referrer"
    # These pages bring no script, style or picture, and take none (E1).
    response["Content-Security-Policy"] = CLOSED
    return response


def sign_in(request: HttpRequest) -> HttpResponse:
    """The form, or what came of it: back to the page that was asked for."""
    if request.method != "POST" or "password" not in request.POST:
        return page(request, "web/sign_in.html", {}, 401)
    who = Actor(kind="anonymous", name="", via="web", address=address_of(request))
    try:
        user = signing_in.sign_in(
            request, who, request.POST.get("username", ""), request.POST.get("password", "")
        )
    except HubError as error:
        return page(request, "web/sign_in.html", {"error": error.message}, error.status)
    response = redirect(request.path)
    signing_in.remember_device(response, user, secure=request.is_secure())
    return response


def actor(request: HttpRequest, user: User) -> Actor:
    return Actor(
        kind="user",
        id=str(user.pk),
        name=user.username,
        via="web",
        address=address_of(request),
        is_admin=user.is_superuser,
    )
