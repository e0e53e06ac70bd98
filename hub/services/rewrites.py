"""History that was rewritten: a branch that no longer grows from where it was, a tag that moved (sources.md 2.3)."""

from __future__ import annotations

from collections.abc import Iterable, Set

from django.db import transaction
from django.db.models import F
from django.utils import timezone

import hub.services.events as events
import hub.source as source
from hub.core.events import Event as Happened
from hub.core.sources import Resolution
from hub.errors import SourceError
from hub.models import Application, Repository, SourceState


def rewritten(mirror: source.Mirror, found: Resolution, states: Iterable[SourceState]) -> frozenset[str]:
    """The wanted commits of these sources that the one found now did not grow from. Asks Git, and writes nothing."""
    is_tag = found.ref.startswith("refs/tags/")
    left = {one.wanted for one in _moved(found, states)}
    return frozenset(old for old in left if is_tag or _is_rewritten(mirror, old, found.sha))


def tell(found: Resolution, states: Iterable[SourceState], old: Set[str]) -> None:
    """Call before the states follow, with what `rewritten` found. Repeated, it tells nothing: the key names both commits."""
    name = "tag-moved" if found.ref.startswith("refs/tags/") else "force-pushed"
    for state in _moved(found, states):
        if state.wanted in old:
            _store(state, found, name)


def _moved(found: Resolution, states: Iterable[SourceState]) -> list[SourceState]:
    # Another ref (the next version of a range) is no rewritten one.
    name = (found.ref or found.name)[:255]
    return [one for one in states if one.wanted and one.wanted != found.sha and one.ref_name == name]


def rebuilt(repository: Repository) -> None:
    """The mirror was damaged and had to be built again (sources.md 2.4): nothing is lost, but a disk may be failing."""
    now = timezone.now()
    events.store_apart(
        "mirror-rebuilt",
        f"{repository.id}/mirror-rebuilt/{now.isoformat()}",
        "info",
        f"The mirror of {repository.url} was damaged and is built anew",
        now,
        project=repository.project.name if repository.project else "",
        links={"repository": events.link(f"/admin/hub/repository/{repository.id}/change/")},
    )


def _is_rewritten(mirror: source.Mirror, old: str, new: str) -> bool:
    """Only what the mirror proves: a commit it does not hold, or a cut history, says nothing."""
    if mirror.access.depth or not mirror.has(old):
        return False
    try:
        return not source.is_ancestor(mirror, old, new)
    except SourceError:
        return False


def _store(state: SourceState, found: Resolution, name: str) -> None:
    app = Application.objects.select_related("project", "cluster").get(id=state.application_id)
    ref = (found.ref or found.name).removeprefix("refs/heads/").removeprefix("refs/tags/")
    what = f"Tag {ref} was moved" if name == "tag-moved" else f"{ref} was force-pushed"
    event = Happened(
        name,
        f"{app.id}/{name}/{state.index}/{state.wanted[:12]}-{found.sha[:12]}",
        "warning",
        f"{what} from {state.wanted[:7]} to {found.sha[:7]}: {app.name} follows",
        "new-revision",
        {"old": state.wanted, "new": found.sha, "ref": ref},
    )
    entry = app.sources[state.index] if state.index < len(app.sources) else {}
    listed = {"repo": entry.get("repoURL", ""), "path": entry.get("path", ""), "ref": ref}
    with transaction.atomic():
        Application.objects.filter(id=app.id).update(event_seq=F("event_seq") + 1)
        events.store(
            app,
            [event],
            {
                "revisions": [{**listed, "sha": found.sha, "short": found.sha[:7]}],
                "previous_revisions": [{**listed, "sha": state.wanted, "short": state.wanted[:7]}],
                "initiator": {"kind": "automation", "name": "hub", "via": "schedule"},
            },
        )
