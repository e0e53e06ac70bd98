"""What SyncWindows say about one Application now: may it sync, which window decides, when that changes (PR15)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hub.core.windows import (
    Window,
    WindowDecision,
    WindowTarget,
    active_until,
    decide_windows,
    matches,
    next_start,
    read_windows,
)
from hub.models import Application


def shown(app: Application, now: datetime) -> dict[str, Any]:
    """The answer for automation and for people, and every window that matches the Application."""
    windows = read_windows(app.project.rules.get("windows"))[0]
    target = WindowTarget(app.name, app.destination_namespace, app.cluster.name, app.cluster.server)
    return {
        "automatic": _decision(decide_windows(windows, target, now, manual=False)),
        "manual": _decision(decide_windows(windows, target, now, manual=True)),
        "windows": [_window(window, now) for window in windows if matches(window, target)],
    }


def _decision(decision: WindowDecision) -> dict[str, Any]:
    return {
        "allowed": decision.allowed,
        "reason": decision.reason,
        "window": decision.window,
        "until": decision.until,
    }


def _window(window: Window, now: datetime) -> dict[str, Any]:
    end = active_until(window, now)
    return {
        "name": window.name,
        "kind": window.kind,
        "schedule": window.schedule,
        "time_zone": window.time_zone,
        "active": end is not None,
        "active_until": end,
        "next_start": next_start(window, now),
        "manual_sync": window.manual_sync,
        "sync_overrun": window.sync_overrun,
        "broken": window.broken,
    }
