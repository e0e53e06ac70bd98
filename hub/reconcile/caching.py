"""Values of this process by what they depend on."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Held = TypeVar("Held")


class Cache(Generic[Held]):
    """Values of this process by what they depend on; a bounded number, the oldest leaves."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._held: OrderedDict[tuple[str, ...], Held] = OrderedDict()

    def get(self, key: tuple[str, ...]) -> Held | None:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: tuple[str, ...], value: Held) -> None:
        with self._lock:
            self._held[key] = value
            while len(self._held) > self._most:
                self._held.popitem(last=False)
