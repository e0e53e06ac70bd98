"""Every act of the room, one function each; what they promise is in notifications.md.

    dispatch(mapping) -> ids          store an event once, owe its Messages          observe(view) -> ids
    due_deliveries(limit) -> ids      what can be tried now                          deliver(id)    one attempt

May live here: transactions, claims, the walk from an event to a sent message. May not: HTTP, SMTP or SDKs (channels),
decisions that need no row (core), anything of the hub.
"""

from notifications.services.delivering import deliver, due_deliveries
from notifications.services.dispatching import dispatch, observe

__all__ = ["deliver", "dispatch", "due_deliveries", "observe"]
