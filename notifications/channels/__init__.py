"""One module per channel, all of one shape; `base` sends (notifications.md 10).

Each module has: TYPE, KNOWN settings, SECRETS (those never shown), `check(settings)`, pure `prepare(message, recipient,
settings, delivery) -> [Step]`, and `carry_out(step, settings, network) -> Receipt` which raises DeliveryError.
A channel that can be asked has `ask(step, settings, network) -> Receipt | None`. May live here: requests, answers,
what they mean. May not: records, retries, or who gets what.
"""

from __future__ import annotations

from typing import Any

from notifications.channels import email, github, slack, teams_workflows, webhook
from notifications.channels.base import DeliveryError

CHANNELS: dict[str, Any] = {
    module.TYPE: module for module in (email, github, slack, teams_workflows, webhook)
} | {teams_workflows.OLD_TYPE: teams_workflows}


def channel_of(service_type: str) -> Any:
    """The module of a service type. Raises DeliveryError (`unsupported`) for one that waits for later."""
    found = CHANNELS.get(service_type)
    if found is None:
        raise DeliveryError(
            "unsupported",
            f"the channel {service_type!r} is not supported yet",
            f"supported: {', '.join(sorted(CHANNELS))}",
            kind="service",
        )
    return found
