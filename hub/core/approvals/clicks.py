"""Who clicked, judged by ids alone: names, channels and button texts prove nothing (notifications.md 8.5, 9.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.core.approvals.votes import Refusal

_NEVER = ("deleted", "is_bot", "is_restricted", "is_ultra_restricted")


def stranger(home: tuple[str, str], app: str, team: str, user_team: str) -> Refusal | None:
    """`home` is the (workspace, app) of this hub. Members of other workspaces meet us in shared channels."""
    if not all(home) or (team, app) != home or user_team != home[0]:
        return Refusal("foreign_team", "only members of this workspace may decide here")
    return None


def unfit(profile: Mapping[str, Any], team: str) -> Refusal | None:
    """What Slack says of the account: a member, active, no bot, no guest. What it does not say counts against it."""
    if profile.get("team_id") != team or profile.get("is_stranger"):
        return Refusal("foreign_team", "only members of this workspace may decide here")
    if any(profile.get(name) is not False for name in _NEVER):
        return Refusal("inactive", "only active members may decide here, no guests and no bots")
    return None
