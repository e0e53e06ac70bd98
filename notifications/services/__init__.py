"""Every act of the room, one function each; what they promise is in notifications.md.

    dispatch(mapping) -> ids          store an event once, owe its Messages          observe(view) -> ids
    unheard(mappings), keep(mappings) the same, in few statements, for events that nobody wants
    due_deliveries(limit) -> ids      what can be tried now                          deliver(id)    one attempt
    tend()                            once an hour: keep times, probes

May live here: transactions, claims, the walk from an event to a sent message. May not: HTTP, SMTP or SDKs (channels),
decisions that need no row (core), anything of the hub.
"""

from notifications.services.configured import version
from notifications.services.copies import keep
from notifications.services.counting import count, flush, took
from notifications.services.delivering import deliver, due_deliveries
from notifications.services.destinations import disable, enable
from notifications.services.dispatching import (
    View,
    asking,
    asking_by_time,
    dispatch,
    observe,
    unheard,
    wanting_view,
    wants_view,
)
from notifications.services.explaining import explain, preview, preview_stored, try_trigger
from notifications.services.figures import METRICS, figures
from notifications.services.history import Tested, cancel, mark_sent, prune, resend, send_test, tend
from notifications.services.importing import import_config, import_told, save_trigger
from notifications.services.slack_calls import (
    Home,
    Interaction,
    SlackRequestRefused,
    home,
    open_modal,
    post_ephemeral,
    read_payload,
    read_slack_request,
    rewrite_card,
    services_of_team,
    user_info,
)
from notifications.services.slack_sockets import hears_clicks, listen, socket_services

__all__ = [
    "METRICS",
    "Home",
    "Interaction",
    "SlackRequestRefused",
    "Tested",
    "View",
    "asking",
    "asking_by_time",
    "cancel",
    "count",
    "deliver",
    "disable",
    "dispatch",
    "due_deliveries",
    "enable",
    "explain",
    "figures",
    "flush",
    "hears_clicks",
    "home",
    "import_config",
    "import_told",
    "keep",
    "listen",
    "mark_sent",
    "observe",
    "open_modal",
    "post_ephemeral",
    "preview",
    "preview_stored",
    "prune",
    "read_payload",
    "read_slack_request",
    "resend",
    "rewrite_card",
    "save_trigger",
    "send_test",
    "services_of_team",
    "socket_services",
    "tend",
    "took",
    "try_trigger",
    "unheard",
    "user_info",
    "version",
    "wanting_view",
    "wants_view",
]
