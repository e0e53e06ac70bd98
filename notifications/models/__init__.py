"""The records of the room: what is configured, what happened, what is owed, and how each try ended.

May live here: tables, constraints, and the names of states. May not: decisions, network, templates; no logic in `save`.
"""

from notifications.models.config import (
    Configuration,
    Destination,
    Service,
    Subscription,
    Template,
    Trigger,
)
from notifications.models.counted import Counter
from notifications.models.delivery import Attempt, Bucket, Delivery, Silence, Thread
from notifications.models.happened import Alarm, EventCopy, TriggerState

__all__ = [
    "Alarm",
    "Attempt",
    "Bucket",
    "Configuration",
    "Counter",
    "Delivery",
    "Destination",
    "EventCopy",
    "Service",
    "Silence",
    "Subscription",
    "Template",
    "Thread",
    "Trigger",
    "TriggerState",
]
