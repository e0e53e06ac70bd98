"""Actions on live objects beyond apply and delete: restart, pause, scale, promote, run now ...

May live here: what is offered for an object, and the one request that does it. May not: sending it.

Patches carry a field manager of their own: what an action writes must never be mistaken for what Git wants, or the
next apply would take it back (a removed `restartedAt` would restart everything once more).
"""

from clusters.core.actions.offers import (
    FIELD_MANAGER,
    ActionRefused,
    Parameter,
    ResourceAction,
    available,
    build,
)

__all__ = ["FIELD_MANAGER", "ActionRefused", "Parameter", "ResourceAction", "available", "build"]
