"""Two shapes that most custom kinds have, as makers of rules: conditions that must be True, and a phase."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from clusters.core.health.reading import (
    Condition,
    Health,
    conditions,
    degraded,
    dig,
    healthy,
    is_known_behind,
    not_observed,
    number,
    progressing,
    sentence,
    suspended,
)
from clusters.core.manifests import Manifest


def by_condition(
    *needed: str,
    bad: Collection[str] = (),
    busy: Collection[str] = (),
    pending: Collection[str] = (),
    suspend: tuple[str, ...] = (),
    false: str = "Degraded",
) -> Callable[[Manifest], Health]:
    """A rule for kinds that say all in conditions.

    Suspended if the flag at `suspend` is set; Degraded if one of `bad` is True, Progressing if one of `busy` is;
    then each of `needed` has to be True: absent or Unknown, or False for a reason in `pending`, is Progressing,
    False for any other reason is `false`. Conditions that are older than the spec count as absent.
    """

    def rule(obj: Manifest) -> Health:
        if suspend and dig(obj, *suspend) is True:
            return suspended(f"{'.'.join(suspend)} is set")
        if is_known_behind(obj):
            return not_observed(obj)
        found = fresh(conditions(obj), number(obj, "metadata", "generation"))
        for name in bad:
            if name in found and found[name].status == "True":
                return degraded(sentence(found[name], name))
        for name in busy:
            if name in found and found[name].status == "True":
                return progressing(sentence(found[name], name))
        return judge(found, needed, pending, false)

    return rule


def fresh(found: Mapping[str, Condition], generation: int) -> dict[str, Condition]:
    """Without conditions that carry an observedGeneration older than the object's generation."""
    return {name: one for name, one in found.items() if one.observed is None or one.observed >= generation}


def judge(
    found: Mapping[str, Condition],
    needed: Collection[str],
    pending: Collection[str] = (),
    false: str = "Degraded",
) -> Health:
    """Health from conditions that all have to be True; a False one weighs more than an absent one."""
    missing = ""
    for name in needed:
        one = found.get(name)
        if one is None or one.status not in ("True", "False"):
            missing = missing or (sentence(one, f"waiting for {name}") if one else f"waiting for {name}")
        elif one.status == "False":
            said = sentence(one, f"{name} is False")
            return progressing(said) if one.reason in pending else Health(false, said)
    if missing:
        return progressing(missing)
    return healthy(found[next(iter(needed))].message if needed else "")


def by_phase(
    *path: str,
    healthy: Collection[str],
    degraded: Collection[str] = (),
    progressing: Collection[str] = ("",),
    suspended: Collection[str] = (),
    message: tuple[str, ...] = ("status", "message"),
) -> Callable[[Manifest], Health]:
    """A rule for kinds that have one word at `path` (default status.phase); a word of no list is Unknown."""
    where = path or ("status", "phase")
    status_of = {
        **dict.fromkeys(progressing, "Progressing"),
        **dict.fromkeys(suspended, "Suspended"),
        **dict.fromkeys(healthy, "Healthy"),
        **dict.fromkeys(degraded, "Degraded"),
    }

    def rule(obj: Manifest) -> Health:
        value, said = dig(obj, *where), dig(obj, *message)
        word = value if isinstance(value, str) else ""
        otherwise = f"{where[-1]} is {word}" if word else f"waiting for {'.'.join(where)}"
        return Health(status_of.get(word, "Unknown"), said if isinstance(said, str) and said else otherwise)

    return rule
