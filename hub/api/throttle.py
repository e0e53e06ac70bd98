"""Budgets per principal, counted in this process: requests and writes per second with a burst (AP10)."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.throttling import BaseThrottle

from hub.services.buckets import Buckets, Rate
from hub.services.guessing import address_of

RATES = {"requests": Rate(20, 100), "writes": Rate(5, 25)}

buckets = Buckets()


class Budget(BaseThrottle):
    """One principal never takes the time of the others (E11); the answer says when to come again."""

    def __init__(self) -> None:
        self._wait = 0.0

    def allow_request(self, request: Any, view: Any) -> bool:  # noqa: ARG002
        user = request.user
        who = str(user.pk) if user is not None and user.is_authenticated else f"@{address_of(request)}"
        self._wait = buckets.take("requests", who, RATES["requests"])
        if not self._wait and request.method not in SAFE_METHODS:
            self._wait = buckets.take("writes", who, RATES["writes"])
        return not self._wait

    def wait(self) -> float:
        return self._wait
