"""The end of an Application."""

from __future__ import annotations

from hub.models import SyncOperation
from hub.reconcile.frame import Frame


def ready(frame: Frame, operation: SyncOperation | None) -> bool:
    return False


def carry_on(frame: Frame) -> None:
    pass
