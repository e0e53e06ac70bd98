"""The admin site of the hub: the theme when it is installed, plain Django otherwise; hidden from everybody else."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse

from hub.services import audit, guessing
from hub.services.actors import Actor

if apps.is_installed("unfold"):
    from unfold.sites import UnfoldAdminSite as BaseSite
else:
    BaseSite = AdminSite


class HubSite(BaseSite):  # type: ignore[misc]
    """People who may not be here get the 404 of a missing page (AD3); who is not signed in, the sign-in."""

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        inner = super().admin_view(view, cacheable)

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if request.user.is_authenticated and not self.has_permission(request):
                raise Http404
            return inner(request, *args, **kwargs)

        return guarded

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff opens the site; rights to objects are judged by `hub.services.rights`, not by model permissions."""
        return bool(request.user.is_active and getattr(request.user, "is_staff", False))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Sign in, with the same counters as the REST door: guessing here is as slow as there (ID8)."""
        shown = {**(extra_context or {}), "app_path": request.path}
        if request.method != "POST":
            return super().login(request, shown)
        username = str(request.POST.get("username", "")).lower()[:1000].replace("\0", "")
        address, device = guessing.address_of(request), request.COOKIES.get(guessing.DEVICE_COOKIE, "")
        try:
            with guessing.turn():
                guessing.check(username, address, device)
                response = super().login(request, shown)
                signed_in = response.status_code == 302
                if signed_in:
                    guessing.succeeded(username, device)
                else:
                    guessing.failed(username, address, device)
        except guessing.TooManyLogins as error:
            wait = {"Retry-After": str(int(error.retry_after) + 1)}
            return HttpResponse("Too many failed sign-ins: wait and try again.", status=429, headers=wait)
        if not signed_in:
            # The form comes back empty: no text of a request is shown on a page that anybody may open (A11).
            response.context_data["form"].data = {}
        audit.record(
            Actor(
                kind="user" if signed_in else "anonymous", name=username[:64], via="admin", address=address
            ),
            "sign in",
            resource="account",
            name=username[:64],
            outcome="done" if signed_in else "failed",
            level=2 if signed_in else 3,
        )
        return response


site = HubSite(name="admin")
