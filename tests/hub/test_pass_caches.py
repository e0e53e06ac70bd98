"""What a process keeps between passes weighs a bounded amount."""

from __future__ import annotations

from hub.reconcile.caching import Cache


def test_the_oldest_leave_when_all_together_weigh_too_much() -> None:
    cache: Cache[str] = Cache(10)
    for name, weight in [("a", 4), ("b", 4), ("c", 2)]:
        cache.put((name,), name, weight)
    assert cache.get(("a",)) == "a"  # used, so younger than b
    cache.put(("d",), "d", 3)
    assert [cache.get((name,)) for name in "abcd"] == ["a", None, "c", "d"]


def test_one_that_is_too_heavy_alone_is_kept_until_the_next_and_weights_are_given_back() -> None:
    cache: Cache[str] = Cache(10)
    cache.put(("big",), "big", 50)
    assert cache.get(("big",)) == "big"
    cache.put(("big",), "less", 9)
    cache.put(("small",), "small")
    assert [cache.get((name,)) for name in ("big", "small")] == ["less", "small"]
