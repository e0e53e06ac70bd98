"""Whether something is begun without being asked."""

from __future__ import annotations

from hub.reconcile.frame import Frame
from hub.reconcile.judging import Picture
from hub.reconcile.looking import Seen
from hub.reconcile.sourcing import Desired
from hub.reconcile.work import Work


def begin(frame: Frame, desired: Desired, seen: Seen, picture: Picture) -> Work | None:
    return None
