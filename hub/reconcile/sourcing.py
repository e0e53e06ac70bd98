"""From sources to the desired set: which commit, rendered when something it reads moved, kept by digest (sources.md)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache

import orjson
from django.conf import settings
from django.utils import timezone

import hub.reconcile.reaching as reaching
import hub.render as render
import hub.services.rewrites as rewrites
import hub.services.statements as statements
import hub.source as source
from clusters.core.discovery import Discovery
from clusters.core.hooks import Classified, classify, hook_set_digest
from clusters.core.hooks.conditional import RUN_WHEN
from clusters.core.manifests import (
    DesiredSet,
    Manifest,
    ResourceKey,
    canonical_json,
    desired_hash,
    desired_set,
    key_of,
    metadata_map,
    stamp,
)
from clusters.core.plan import index_desired
from guard.fields import fernet
from hub.core.manifest_sets import ManifestSet, join, pack, unpack
from hub.core.sources import Resolution, Source, parse_sources
from hub.errors import SourceError
from hub.models import ManifestSet as StoredSet
from hub.models import SourceState
from hub.reconcile.caching import Cache
from hub.reconcile.frame import Catalogue, Frame


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """Why the newest desired set could not be made; the last good one stays desired (sources.md 1)."""

    code: str
    message: str
    since: datetime
    permanent: bool


@dataclass
class Desired:
    """What one Revision of the Application wants: stamped manifests, their hashes, where they come from."""

    catalogue: Catalogue
    parts: DesiredSet = field(default_factory=DesiredSet)
    manifests: tuple[Manifest, ...] = ()
    digest: str = ""
    revisions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    problem: SourceProblem | None = None
    loaded: bool = False
    mask_key: bytes = b""

    @cached_property
    def by_source(self) -> dict[str, Manifest]:
        return index_desired(self.manifests)

    @cached_property
    def classes(self) -> dict[ResourceKey, Classified]:
        return {key_of(manifest): classify(manifest) for manifest in self.manifests}

    @cached_property
    def by_key(self) -> dict[ResourceKey, Manifest]:
        """Plain resources: what is kept in sync, compared and counted."""
        return {
            key_of(manifest): manifest
            for manifest in self.manifests
            if self.classes[key_of(manifest)].kind == "resource" and manifest["metadata"].get("name")
        }

    @property
    def keys(self) -> set[ResourceKey]:
        return set(self.by_key)

    @cached_property
    def hashes(self) -> dict[ResourceKey, str]:
        return {key: desired_hash(manifest, self.mask_key) for key, manifest in self.by_key.items()}

    @cached_property
    def hooks_digest(self) -> str:
        """Identity of the hook set: a commit that changes only a hook is seen by it (12 rule 8)."""
        return hook_set_digest(self.manifests)


# What rendering a source writes into its row.
_RENDERED_FIELDS = ("revision", "parameters", "inputs", "input_key", "manifest_digest", "observed_at")
# By number of objects: a look at an application of few is repeated more often than one at an application of thousands.
_cache: Cache[Desired] = Cache(4096)
_STATES = statements.Prepared(
    lambda id_: (
        SourceState.objects.filter(application=id_)
        .select_related("repository__project")
        # The refs of a large repository are megabytes, and asked for by a new source alone.
        .defer("repository__refs")
        .order_by("index")
    ),
    "application",
)
# Rendered a moment ago, about to be assembled: spares one read of what was just written.
_sets: Cache[ManifestSet] = Cache(64)


def bring_up(frame: Frame, catalogue: Catalogue, *, anew: bool = False) -> Desired:
    """The desired set at the newest known Revisions; after an error the last good one, with the reason."""
    app = frame.app
    states = _STATES.rows(app.id)
    problem = None
    with frame.stage("render"):
        try:
            _bring_sources(frame, states)
        except SourceError as error:
            problem = _problem(frame, states, error)
        digest = _joined(frame, states) if problem is None else app.manifest_digest
    lost = problem is None and not digest
    if lost and anew:
        why = SourceError("RepositoryUnavailable", "a rendered source is no longer kept", permanent=False)
        digest, problem = app.manifest_digest, _problem(frame, states, why)
    if problem is None and not lost:
        app.manifest_digest, app.revisions = digest, [state.revision for state in states]
    desired = load(frame, digest, catalogue, tuple(app.revisions))
    if problem is None and not desired.loaded and not anew:
        # What was rendered is no longer kept: that is no empty set, it is rendered again.
        app.source_states.update(input_key="")
        return bring_up(frame, catalogue, anew=True)
    desired.problem = problem
    return desired


def load(frame: Frame, digest: str, catalogue: Catalogue, revisions: tuple[str, ...]) -> Desired:
    """The desired set of a stored manifest set, stamped for this Application."""
    app = frame.app
    if not digest:
        return Desired(catalogue)
    settings_of = f"{frame.excluded_kinds}{frame.resource_rules.ignore_status}"
    key = (str(app.id), digest, app.destination_namespace, catalogue.discovery.digest, settings_of)
    held = _cache.get(key)
    if held is None:
        held = _assemble(frame, digest, catalogue.discovery)
        if held.loaded:
            _cache.put(key, held, weight=1 + len(held.manifests))
    copy = Desired(
        catalogue,
        parts=held.parts,
        manifests=held.manifests,
        digest=digest,
        revisions=revisions,
        warnings=held.warnings,
        loaded=held.loaded,
        mask_key=held.mask_key,
    )
    # The derived views depend on the manifests alone: computed once per set, shared by every pass.
    for name in ("by_source", "classes", "by_key", "hashes", "hooks_digest"):
        copy.__dict__[name] = getattr(held, name)
    return copy


def _assemble(frame: Frame, digest: str, discovery: Discovery) -> Desired:
    app = frame.app
    kept = _fetch(digest)
    if kept is None:
        return Desired(Catalogue(discovery))

    def namespaced(group: str, kind: str) -> bool | None:
        info = discovery.find(group, kind)
        return info.namespaced if info else None

    origins = [f"source {origin.source}, {origin.file}" for origin in kept.origins]
    parts = desired_set(
        kept.objects,
        namespace=app.destination_namespace,
        namespaced=namespaced,
        excluded_kinds=frame.excluded_kinds,
        origins=origins,
        ignore_status=frame.resource_rules.ignore_status,
    )
    stamped = tuple(
        stamp(manifest, app.name, frame.hub_id, app.destination_namespace)
        for manifest in (*parts.manifests.values(), *parts.generated)
    )
    return Desired(
        Catalogue(discovery),
        parts=parts,
        manifests=stamped,
        warnings=tuple(f"{warning.code}: {warning.message}" for warning in kept.warnings),
        loaded=True,
        mask_key=frame.mask_key,
    )


def _fetch(digest: str) -> ManifestSet | None:
    """A stored manifest set; None when it is gone (pruned, or its key was lost)."""
    held = _sets.get((digest,))
    if held is not None:
        return held
    row = StoredSet.objects.filter(digest=digest).first()
    if row is None:
        return None
    data = bytes(row.data)
    return unpack(fernet().decrypt(data) if row.encrypted else data)


def keep(found: ManifestSet) -> str:
    """Store a manifest set under its digest; encrypted when a Secret is inside."""
    data = pack(found)
    row = StoredSet(
        digest=found.digest,
        data=fernet().encrypt(data) if found.holds_secret else data,
        encrypted=found.holds_secret,
        objects_count=len(found.objects),
        warnings=[str(warning.message) for warning in found.warnings][:50],
        used_at=timezone.now(),
    )
    statements.insert([row], unique=["digest"], update=["used_at"])
    _sets.put((found.digest,), found)
    return found.digest


@lru_cache(maxsize=4096)
def _parsed(sources: bytes, allow_file: bool) -> tuple[Source, ...]:
    """The sources of a document; they change with it, and every pass asks."""
    return tuple(parse_sources({"sources": orjson.loads(sources)}, allow_file=allow_file))


def _bring_sources(frame: Frame, states: list[SourceState]) -> None:
    """Render every source whose commit or settings are new. Raises SourceError of the first that fails."""
    sources = _parsed(orjson.dumps(frame.app.sources), settings.HUB_ALLOW_LOOPBACK)
    if len(states) != len(sources):
        raise SourceError("InvalidSource", "the sources changed; look again", permanent=False)
    for state, entry in zip(states, sources, strict=True):
        parameters = hashlib.sha256(canonical_json(frame.app.sources[state.index])).hexdigest()
        reaching.check(frame, state)
        if state.wanted == state.revision and state.input_key and state.parameters == parameters:
            continue
        try:
            _render(frame, state, entry, parameters)
        except SourceError as error:
            reaching.try_again(frame, error)
            raise
        frame.memory.pop("source_tries", None)


def _render(frame: Frame, state: SourceState, entry: Source, parameters: str) -> None:
    """Render one source at its wanted commit and remember what was read. Raises SourceError."""
    app = frame.app
    assert state.repository is not None
    ref = state.ref_name if state.ref_name.startswith("refs/") else ""
    resolution = Resolution(state.wanted, name=state.ref_name, kind="ref" if ref else "commit", ref=ref)
    try:
        mirror = source.ensure(
            state.repository.access(),
            [resolution],
            root=settings.HUB_MIRROR_DIR,
            source_limits=settings.HUB_SOURCE_LIMITS,
            patient=False,
        )
    except (source.RefMoved, source.MirrorCorrupt) as error:
        frame.result.poll.append(state.repository.id)
        raise SourceError(
            "RepositoryUnavailable", f"the mirror is being renewed: {error}", permanent=False
        ) from error
    rendered = render.render(
        mirror.tree(state.wanted),
        entry,
        application=render.ApplicationFacts(app.name, app.destination_namespace, app.project.name),
        cluster=render.ClusterFacts(app.cluster.version),
        options=render.RenderOptions(frame.mask_key, settings.HUB_SOURCE_LIMITS),
    )
    if mirror.rebuilt:
        rewrites.rebuilt(state.repository)
    state.manifest_digest = keep(rendered.manifests)
    state.revision, state.parameters = state.wanted, parameters
    state.inputs, state.input_key = rendered.inputs.as_json(), rendered.inputs.key
    state.observed_at = timezone.now()
    # What is wanted belongs to the poll, which may have moved it while this rendered.
    values = {name: getattr(state, name) for name in _RENDERED_FIELDS}
    statements.update(SourceState, values, "id = %s", [state.id])


def _joined(frame: Frame, states: list[SourceState]) -> str:
    """One manifest set for all sources, in order; a single source is its own. Empty when one is no longer kept."""
    if len(states) == 1:
        return states[0].manifest_digest
    sets = [found for state in states if (found := _fetch(state.manifest_digest)) is not None]
    if len(sets) != len(states):
        return ""
    return keep(join(sets, frame.mask_key))


def _problem(frame: Frame, states: list[SourceState], error: SourceError) -> SourceProblem:
    known = [state.error_since for state in states if state.error_since]
    earlier = frame.memory.get("source_problem") or {}
    since = min(known) if known else None
    if since is None and earlier.get("code") == error.code:
        since = datetime.fromisoformat(earlier["since"])
    since = since or frame.now
    frame.memory["source_problem"] = {"code": error.code, "since": since.isoformat()}
    return SourceProblem(error.code, error.message, since, error.permanent)


def files_of(frame: Frame, desired: Desired) -> dict[str, str] | None:
    """Path -> object id of the source files at the target Revision; only read when a hook asks for `paths=` (rule 6)."""
    asks = any("paths=" in str(metadata_map(m, "annotations").get(RUN_WHEN) or "") for m in desired.manifests)
    state = (
        frame.app.source_states.select_related("repository__project").order_by("index").first()
        if asks
        else None
    )
    if state is None or state.repository is None or not desired.revisions:
        return None
    try:
        wanted = [Resolution(desired.revisions[0], name=state.ref_name, kind="commit")]
        mirror = source.ensure(state.repository.access(), wanted, root=settings.HUB_MIRROR_DIR)
        tree = mirror.tree(desired.revisions[0])
        found = tree.listing("", recurse=True, wanted=lambda _: True, ignored=lambda _: False).files
    except (SourceError, source.RefMoved, source.MirrorCorrupt):
        return None  # unknown inputs: the hook runs, or asks a person
    return {file.path: file.id for file in found}


def render_at(frame: Frame, revisions: list[str]) -> tuple[str, list[str]]:
    """Render every source at the asked revision (a branch, tag or commit) without moving the Application."""
    states = _STATES.rows(frame.app.id)
    entries = parse_sources({"sources": frame.app.sources}, allow_file=settings.HUB_ALLOW_LOOPBACK)
    if len(revisions) != len(entries) or len(states) != len(entries):
        raise SourceError("InvalidSource", f"{len(entries)} revisions are needed, one per source")
    sets, shas = [], []
    for state, entry, revision in zip(states, entries, revisions, strict=True):
        if state.repository is None or not reaching.serves(state.repository, entry.repo_url, frame):
            raise SourceError("SourceNotPermitted", f"repository {entry.repo_url} is not registered")
        found = source.obtain(
            state.repository.access(),
            [source.Wanted(revision, entry.tag_prefix)],
            root=settings.HUB_MIRROR_DIR,
        )
        sha = found.resolutions[0].sha
        rendered = render.render(
            found.mirror.tree(sha),
            entry,
            application=render.ApplicationFacts(
                frame.app.name, frame.app.destination_namespace, frame.app.project.name
            ),
            cluster=render.ClusterFacts(frame.app.cluster.version),
            options=render.RenderOptions(frame.mask_key, settings.HUB_SOURCE_LIMITS),
        )
        sets.append(rendered.manifests)
        shas.append(sha)
    return keep(sets[0] if len(sets) == 1 else join(sets, frame.mask_key)), shas
