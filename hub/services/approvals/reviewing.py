"""A broken glass is looked at by somebody else, and remembered daily until it was (notifications.md 8.6)."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

import hub.services.approvals.requests as requests
import hub.services.approvals.telling as telling
from hub.models import ApprovalRequest

AT_ONCE = 200


def remind() -> None:
    """One event a day for each review that is due; repeating it on the same day tells nothing."""
    now = timezone.now()
    broken = ApprovalRequest.objects.exclude(break_glass={}).filter(break_glass__reviewed_by__isnull=True)
    for number in broken.order_by("number").values_list("number", flat=True)[:AT_ONCE]:
        _remind(number, now)


@transaction.atomic
def _remind(number: int, now: datetime) -> None:
    row = requests.locked(number)
    if row is None or row.break_glass.get("reviewed_by"):
        return
    due = datetime.fromisoformat(row.break_glass["review_due"])
    if due > now:
        return
    by = row.break_glass["by"]
    telling.tell(
        row,
        "post-review-due",
        f"ap/{row.number}/review-due/{now:%Y-%m-%d}",
        f"{telling.title(row)}: the glass that {by} broke was due for review on {due:%Y-%m-%d}",
        severity="warning",
    )
