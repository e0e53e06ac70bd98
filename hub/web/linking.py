"""/link/<code>: the signed-in person sees which chat account asks, and confirms that it is theirs (8.5.5)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

import hub.web.pages as pages
from hub.errors import HubError
from hub.models import User
from hub.services import chat

PAGE = "web/link.html"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def link(request: HttpRequest, code: str) -> HttpResponse:
    """Two steps on one address: sign in, then confirm. Looking changes nothing."""
    try:
        asked = chat.asked(code)
        user = request.user
        if not isinstance(user, User):
            return pages.sign_in(request)
        if request.method == "POST" and "confirm" in request.POST:
            return pages.page(request, PAGE, {"done": chat.confirm(pages.actor(request, user), user, code)})
        return pages.page(request, PAGE, {"account": chat.shown(asked.issuer, asked.sub), "user": user})
    except HubError as error:
        return pages.page(request, PAGE, {"error": error.message, "hint": error.hint}, error.status)
