"""What Slack says of an account, asked with a short time and kept for five minutes. No answer is a refusal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

import structlog

from hub.core.approvals import Refusal, stranger, unfit
from notifications import services as notifications
from notifications.errors import NotificationError
from notifications.services import Home, Interaction

log = structlog.get_logger(__name__)
KEPT_S = 300.0
_MOST = 10_000
_kept: dict[Hashable, tuple[float, Any]] = {}
_lock = threading.Lock()
SILENT = Refusal("inactive", "Slack did not say who you are in time; nothing was recorded, press again")


def outsider(act: Interaction, seconds: float) -> Refusal | None:
    """A click for another app, or by somebody of another workspace."""
    try:
        home: Home = _once(("home", act.service), lambda: notifications.home(act.service, seconds))
    except NotificationError as error:
        log.warning("the workspace of a service is not known", service=act.service, code=error.code)
        return SILENT
    return stranger((home.team_id, home.app_id), act.api_app_id, act.team_id, act.user_team_id)


def unfit_member(act: Interaction, seconds: float) -> Refusal | None:
    """A bot, a guest or somebody who left."""
    try:
        profile: dict[str, Any] = _once(
            ("user", act.service, act.user_id),
            lambda: notifications.user_info(act.service, act.user_id, seconds),
        )
    except NotificationError as error:
        log.warning("an account is not known", service=act.service, code=error.code)
        return SILENT
    return unfit(profile, act.team_id)


def shown(issuer: str, sub: str) -> str:
    """The account for the eyes of who is asked to link it: its name and address as far as Slack says, always the id."""
    team = issuer.partition(":")[2]
    known = ""
    for service in notifications.services_of_team(team):
        try:
            profile = notifications.user_info(service, sub)
        except NotificationError as error:
            log.info("an account is not known", service=service, code=error.code)
            continue
        email = str((profile.get("profile") or {}).get("email", ""))
        name = str(profile.get("real_name") or profile.get("name") or "")
        known = " ".join(part for part in (name, f"<{email}>" if email else "") if part)
        break
    return f"{known} ({sub} in workspace {team})".strip()[:300]


def _once(key: Hashable, ask: Callable[[], Any]) -> Any:
    """Kept for five minutes; an error is never kept."""
    now = time.monotonic()
    with _lock:
        held = _kept.get(key)
        if held is not None and held[0] > now:
            return held[1]
    found = ask()
    with _lock:
        if len(_kept) >= _MOST:
            _kept.clear()
        _kept[key] = (now + KEPT_S, found)
    return found


def forget() -> None:
    """Ask anew from now on."""
    with _lock:
        _kept.clear()
