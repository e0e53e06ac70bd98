"""From a source to the Repository that serves it and the commit it means; when to try again what could not be read."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

import hub.services.statements as statements
import hub.source as source
from hub.core.sources import RefTable, normalise_url
from hub.core.sources.backoff import render_retry
from hub.errors import SourceError
from hub.models import Repository, SourceState
from hub.reconcile.frame import Frame

FETCH_PAUSE = timedelta(seconds=2)


def check(frame: Frame, state: SourceState) -> None:
    """The Repository that serves this source, polled at least once. Raises SourceError."""
    url = str(frame.app.sources[state.index].get("repoURL", ""))
    repository = state.repository
    if repository is None or not serves(repository, url, frame):
        raise SourceError(
            "SourceNotPermitted",
            f"repository {url} is not registered for project {frame.app.project.name}",
            "register it, or ask an owner of the project",
        )
    if state.error_code:
        raise SourceError(state.error_code, state.error_message)
    if not state.wanted and repository.refs:
        try:
            _resolve(state, str(frame.app.sources[state.index].get("tagPrefix") or ""))
        except SourceError as error:
            try_again(frame, error)
            raise
    if repository.error_code:
        raise SourceError(repository.error_code, repository.error_message, permanent=False)
    if not state.wanted:
        frame.result.poll.append(repository.id)
        raise SourceError(
            "RepositoryUnavailable", f"{repository.url} has not been listed yet", permanent=False
        )


def serves(repository: Repository, url: str, frame: Frame) -> bool:
    """Judged again here: a row changed by SQL reads no other Project's mirror."""
    permitted = repository.project_id in (None, frame.app.project_id)
    return permitted and repository.normal_url == normalise_url(url)


def _resolve(state: SourceState, tag_prefix: str) -> None:
    """A new source of a Repository that was listed already: no request is needed to know its commit."""
    assert state.repository is not None
    found = source.obtain(
        state.repository.access(),
        [source.Wanted(state.target_revision, tag_prefix)],
        root=settings.HUB_MIRROR_DIR,
        source_limits=settings.HUB_SOURCE_LIMITS,
        table=RefTable.from_json(state.repository.refs),
        patient=False,
    )
    state.wanted = found.resolutions[0].sha
    state.ref_name = (found.resolutions[0].ref or found.resolutions[0].name)[:255]
    # Unless a poll was faster: what it wrote is newer, and this pass is followed by another.
    values = {"wanted": state.wanted, "ref_name": state.ref_name}
    unmoved = "id = %s AND wanted = '' AND target_revision = %s"
    statements.update(SourceState, values, unmoved, [state.id, state.target_revision])


def try_again(frame: Frame, error: SourceError) -> None:
    """Surroundings that failed a source are tried again on a ladder (sources.md 6); a fetch under way ends soon."""
    if isinstance(error, source.Busy):
        frame.source_again = frame.now + FETCH_PAUSE
    elif not error.permanent:
        frame.memory["source_tries"] = tries = int(frame.memory.get("source_tries") or 0) + 1
        frame.source_again = frame.now + render_retry(tries)
