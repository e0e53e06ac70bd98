"""Who wants to hear what: every form of subscription to one merged list of routes (notifications.md 5).

May live here: reading annotations, global and native subscriptions, selectors, merging, explanations. May not:
triggers being true or not, templates, or where subscriptions are stored.

    destinations_for(event, sources, services, defaults, now) -> Routing(routes, problems, refusals)
    explain(routing, service, recipient="") -> list of sentences             why, or why not

`Sources` carries what the emitter's application says: `app_annotations`, `project_annotations`, `globals`
(`read_globals(yaml)`), `natives`. `Route.trigger` names a trigger; `event:<name>` is a direct wish for an event.
Only triggers named by a route need to be evaluated.
"""

from notifications.core.routing.routes import (
    Problem,
    Refusal,
    Route,
    Routing,
    Service,
    Sources,
    destinations_for,
    explain,
)
from notifications.core.routing.selectors import Selector, parse_selector
from notifications.core.routing.subscriptions import (
    EVENT_PREFIX,
    Defaults,
    GlobalSubscription,
    NativeSubscription,
    read_globals,
)

__all__ = [
    "EVENT_PREFIX",
    "Defaults",
    "GlobalSubscription",
    "NativeSubscription",
    "Problem",
    "Refusal",
    "Route",
    "Routing",
    "Selector",
    "Service",
    "Sources",
    "destinations_for",
    "explain",
    "parse_selector",
    "read_globals",
]
