"""/link/<code>: the signed-in person sees which chat account asks, and confirms that it is theirs (8.5.5)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from hub.errors import HubError
from hub.models import User
from hub.services import chat, signing_in
from hub.services.actors import Actor
from hub.services.guessing import address_of

PAGE = "web/link.html"


@never_cache
@require_http_methods(["GET", "POST"])
def link(request: HttpRequest, code: str) -> HttpResponse:
    """Two steps on one address: sign in, then confirm. Looking changes nothing."""
    try:
        asked = chat.asked(code)
        if not isinstance(request.user, User):
            return _sign_in(request)
        if request.method == "POST":
            identity = chat.confirm(_actor(request, request.user), request.user, code)
            return _page(request, {"done": identity})
        return _page(request, {"account": chat.shown(asked.issuer, asked.sub), "user": request.user})
    except HubError as error:
        return _page(request, {"error": error.message, "hint": error.hint}, error.status)


def _sign_in(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _page(request, {"sign_in": True})
    try:
        user = signing_in.sign_in(
            request, _actor(request), request.POST.get("username", ""), request.POST.get("password", "")
        )
    except HubError as error:
        return _page(request, {"sign_in": True, "error": error.message}, error.status)
    response = redirect(request.path)
    signing_in.remember_device(response, user, secure=request.is_secure())
    return response


def _actor(request: HttpRequest, user: User | None = None) -> Actor:
    address = address_of(request)
    if user is None:
        return Actor(kind="anonymous", name="", via="web", address=address)
    return Actor(kind="user", id=str(user.pk), name=user.username, via="web", address=address)


def _page(request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
    response = render(request, PAGE, context, status=status)
    # The address is a secret for ten minutes: no other site is told it.
    response["Referrer-Policy"] = "no-referrer"
    return response
