"""Values of this process by what they depend on."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Held = TypeVar("Held")


class Cache(Generic[Held]):
    """Values of this process by what they depend on; together they weigh a bounded number, the oldest leaves."""

    def __init__(self, most: int) -> None:
        self._most, self._weight, self._lock = most, 0, threading.Lock()
        self._held: OrderedDict[tuple[str, ...], tuple[Held, int]] = OrderedDict()

    def get(self, key: tuple[str, ...]) -> Held | None:
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key: tuple[str, ...], value: Held, weight: int = 1) -> None:
        with self._lock:
            _, before = self._held.pop(key, (None, 0))
            self._held[key] = (value, weight)
            self._weight += weight - before
            while self._weight > self._most and len(self._held) > 1:
                _, (_, freed) = self._held.popitem(last=False)
                self._weight -= freed
