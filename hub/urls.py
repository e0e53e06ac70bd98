"""All addresses of the hub."""

from django.urls import include, path

from hub.admin.site import site
from hub.api import about, errors, metrics, slack, webhooks
from hub.web import applications, approving, linking

urlpatterns = [
    path("admin/", site.urls),
    path("api/webhook", webhooks.receive),
    path("api/v1/webhooks/<str:provider>", webhooks.receive),
    path("api/v1/webhooks/<str:provider>/<str:token>", webhooks.receive),
    path("api/v1/slack/interactions", metrics.measured_clicks(slack.interactions)),
    path("api/v1/", include("hub.api.urls")),
    path("approvals/<int:number>", approving.approval),
    path("applications/<str:name>", applications.application),
    path("applications/<str:namespace>/<str:name>", applications.application),
    path("link/<str:code>", linking.link),
    path("livez", about.livez),
    path("readyz", about.readyz),
    path("healthz", about.healthz),
    path("metrics", metrics.metrics),
]

handler400 = errors.page_400
handler403 = errors.page_403
handler404 = errors.page_404
handler500 = errors.page_500
