"""Counts the requests of this process, so that figures and benchmarks can say "no API call"."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple


class Call(NamedTuple):
    """What is counted: `code` is the HTTP status, or the code of the error when there was no answer."""

    cluster: str
    verb: str
    code: str


_calls: Counter[Call] = Counter()


def count(cluster: str, verb: str, code: str) -> None:
    """Called on the loop only."""
    _calls[Call(cluster, verb, code)] += 1


def snapshot() -> dict[Call, int]:
    """All counts since the start of the process."""
    return dict(_calls)


def total(cluster: str | None = None, *, verb: str | None = None) -> int:
    """Requests sent, all or of one cluster and verb. Verbs: get list watch apply create replace patch delete read."""
    return sum(
        number
        for call, number in snapshot().items()
        if (cluster is None or call.cluster == cluster) and (verb is None or call.verb == verb)
    )
