"""Live objects of an Application as people see and touch them: its tree, one object, actions, Events, logs.

May live here: fetching from the cluster what belongs to the Application (C5: never taken from a request), the audit of
what a person does to it. May not: HTTP, and anything that Git decides (that is the hall).
"""

from hub.services.live.acting import Done, act, actions, delete
from hub.services.live.finding import Found, find
from hub.services.live.growing import orphans_in, tree
from hub.services.live.reading import events, open_events, open_log, shown

__all__ = [
    "Done",
    "Found",
    "act",
    "actions",
    "delete",
    "events",
    "find",
    "open_events",
    "open_log",
    "orphans_in",
    "shown",
    "tree",
]
