"""The admin site of the hub: the theme when it is installed, plain Django otherwise; hidden from everybody else."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest

if apps.is_installed("unfold"):
    from unfold.sites import UnfoldAdminSite as BaseSite
else:
    BaseSite = AdminSite


class HubSite(BaseSite):  # type: ignore[misc, valid-type]
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
        return bool(request.user.is_active and request.user.is_staff)


site = HubSite(name="admin")
