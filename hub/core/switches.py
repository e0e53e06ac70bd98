"""Events of what people set: an Application that exists now, auto-sync that is off (notifications.md 2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from hub.core.events import Event

DAY, WEEK = timedelta(days=1), timedelta(days=7)


def is_automated(sync_policy: Mapping[str, Any] | None) -> bool:
    """Whether new Revisions are applied without being asked for: `automated: {}` says yes, as everywhere.

    >>> is_automated({"automated": {}}), is_automated({"automated": {"enabled": False}}), is_automated({})
    (True, False, False)
    """
    automated = (sync_policy or {}).get("automated")
    return automated is not None and bool(automated.get("enabled", True))


def created(app: str, name: str, by: str) -> Event:
    return Event("created", f"{app}/created", "info", f"{name} was created by {by}")


def switched_off(app: str, name: str, by: str, change: int, now: datetime) -> Event:
    """`change` is the generation of the Application that has it off; the key names it for ever."""
    data = {"by": by, "since": now.isoformat(), "change": change, "reminder": 0}
    summary = f"Auto-sync of {name} was switched off by {by}"
    return Event("auto-sync-disabled", f"{app}/auto-sync/{change}", "warning", summary, "", data)


def switched_on(app: str, name: str, by: str, off: Mapping[str, Any]) -> Event:
    """`off` is the data of the newest Event that said it was off."""
    opening = f"{app}/auto-sync/{off['change']}"
    summary = f"Auto-sync of {name} was switched on again by {by}"
    return Event("auto-sync-enabled", f"{opening}/enabled", "success", summary, "", {"by": by}, opening)


def reminder(app: str, name: str, off: Mapping[str, Any], now: datetime) -> Event | None:
    """24 hours after it was switched off, and then every 7 days; one that was missed is told once, not twice."""
    since = datetime.fromisoformat(off["since"])
    if now - since < DAY:
        return None
    number = 1 + (now - since - DAY) // WEEK
    if number <= off["reminder"]:
        return None
    days = (now - since).days
    summary = f"Auto-sync of {name} is off for {days} day{'' if days == 1 else 's'} (by {off['by']})"
    data = {**off, "reminder": number}
    key = f"{app}/auto-sync/{off['change']}/reminder/{number}"
    return Event("auto-sync-reminder", key, "warning", summary, "", data)
