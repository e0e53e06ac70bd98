"""From a tree of files to manifests, one module per tool.

May live here: directory now; helm, kustomize, jsonnet and plugins take their place beside it (`_TOOLS` below) and
answer `ToolMissing` until then. May not: Git (a tree is handed in), the database, any process not started by
`guard.child`. `render` is a pure function of the tree, the Source and the facts; an error never becomes an empty
Manifest set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from clusters.core import manifests
from clusters.core.manifests import Manifest, ManifestError
from hub.core.manifest_sets import ManifestSet, join, manifest_set
from hub.core.sources import DEFAULT_LIMITS, Source, SourceLimits, SourceWarning
from hub.core.sources.inputs import ABSENT, InputSet
from hub.core.sources.spec import check_path, clean_path, tool_of, with_overrides
from hub.core.sources.trees import Tree
from hub.errors import SourceError
from hub.render.directory import DuplicateKeys, list_files, read_files
from hub.render.inputs import Recorder, affected
from hub.render.variables import ApplicationFacts, ClusterFacts, build_variables, substitute

__all__ = [
    "ApplicationFacts",
    "ClusterFacts",
    "RenderOptions",
    "Rendered",
    "affected",
    "build_variables",
    "join_sources",
    "render",
    "substitute",
]

_FORMAT = 1
_MARKERS = {
    "kustomization.yaml": "kustomize",
    "kustomization.yml": "kustomize",
    "Kustomization": "kustomize",
    "Chart.yaml": "helm",
}
_TITLES = {"helm": "Helm", "kustomize": "Kustomize", "plugin": "plugins"}
_MAX_OVERRIDE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """What the hub decides: `hmac_key` keys the digests of Secrets, `disabled_tools` are read as plain directories."""

    hmac_key: bytes = field(repr=False)
    limits: SourceLimits = DEFAULT_LIMITS
    duplicate_keys: DuplicateKeys = "error"
    disabled_tools: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rendered:
    """What one source gave. `key` is the render key: equal keys give equal Manifest sets."""

    manifests: ManifestSet
    inputs: InputSet
    tool: str
    key: str

    @property
    def objects(self) -> tuple[Manifest, ...]:
        return self.manifests.objects

    @property
    def warnings(self) -> tuple[SourceWarning, ...]:
        return self.manifests.warnings

    @property
    def digest(self) -> str:
        return self.manifests.digest


def render(
    tree: Tree,
    source: Source,
    *,
    application: ApplicationFacts,
    cluster: ClusterFacts,
    options: RenderOptions,
) -> Rendered:
    """The Manifest set of one source at one Revision. Raises SourceError with a code of sources.md 4.9."""
    _refuse_what_waits(source)
    if source.only_ref:
        return Rendered(manifest_set((), (), options.hmac_key), InputSet(), "ref", "")
    check_path(source.path)
    path = clean_path(source.path)
    recorder = Recorder(tree)
    _require_folder(tree, path)
    source, warnings = _overridden(tree, source, path, application, recorder)
    tool, more = _tool(source, path, recorder, options)
    if tool != "directory":
        raise _not_yet(_TITLES[tool])
    del cluster  # only helm, kustomize and plugins look at it
    settings = source.directory
    files, listing = list_files(tree, path, settings)
    recorder.add(listing)
    parsed = read_files(
        tree,
        path,
        files,
        source_number=source.number,
        limits=options.limits,
        duplicate_keys=options.duplicate_keys,
    )
    found = manifest_set(
        parsed.objects, parsed.origins, options.hmac_key, (*warnings, *more, *parsed.warnings)
    )
    inputs = recorder.finish()
    return Rendered(found, inputs, tool, _render_key(tool, inputs, options))


def join_sources(rendered: Sequence[Rendered], options: RenderOptions) -> ManifestSet:
    """The Manifest set of an Application: its sources in order, of equal objects the last (sources.md 4.7)."""
    return join([each.manifests for each in rendered], options.hmac_key)


def _refuse_what_waits(source: Source) -> None:
    if source.is_oci:
        raise _not_yet("OCI sources")
    if source.chart:
        raise _not_yet("Helm repositories")


def _not_yet(what: str) -> SourceError:
    return SourceError(
        "ToolMissing",
        f"{what} are not supported yet" if what.endswith("s") else f"{what} is not supported yet",
        "use plain manifests for now",
    )


def _require_folder(tree: Tree, path: str) -> None:
    entry = tree.entry(path)
    if entry is None:
        message = f'path "{path}" does not exist at {tree.commit[:7]}'
        raise SourceError("PathNotFound", message, "check path")
    if entry.kind == "submodule":
        raise SourceError("SubmoduleNotSupported", f"{path} is a submodule")
    if entry.kind != "folder":
        raise SourceError("PathNotFound", f'path "{path}" is a {entry.kind}', "name a folder")


def _overridden(
    tree: Tree, source: Source, path: str, application: ApplicationFacts, recorder: Recorder
) -> tuple[Source, tuple[SourceWarning, ...]]:
    """The Source with `.argocd-source.yaml` and then that of the Application merged in (sources.md 4.2)."""
    warnings: tuple[SourceWarning, ...] = ()
    for name in (".argocd-source.yaml", f".argocd-source-{application.name}.yaml"):
        file = f"{path}/{name}" if path else name
        if "/" in name or recorder.look(file) == ABSENT:
            continue
        try:
            documents = manifests.load_documents(tree.read(file, _MAX_OVERRIDE_BYTES), path=file).objects
        except ManifestError as error:
            raise SourceError(error.code, str(error), error.hint) from error
        if len(documents) > 1:
            raise SourceError("InvalidManifest", f"{file} holds more than one document")
        source, more = with_overrides(source, documents[0] if documents else None, file)
        warnings += more
    return source, warnings


def _tool(
    source: Source, path: str, recorder: Recorder, options: RenderOptions
) -> tuple[str, tuple[SourceWarning, ...]]:
    """The tool that renders: the one that is set, else what the marker files say (sources.md 4.1)."""
    tool = tool_of(source)
    if not tool:
        found = [
            kind
            for name, kind in _MARKERS.items()
            if recorder.look(f"{path}/{name}" if path else name) != ABSENT
        ]
        tool = found[0] if found else "directory"
    if tool in options.disabled_tools:
        text = f"{_TITLES.get(tool, tool)} is switched off; the files are read as plain manifests"
        return "directory", (SourceWarning("ToolDisabled", text),)
    return tool, ()


def _render_key(tool: str, inputs: InputSet, options: RenderOptions) -> str:
    """Everything the result depends on; the Application's name and labels are absent, so equal sources share it."""
    parts = [_FORMAT, tool, "", inputs.key, options.duplicate_keys, str(options.limits)]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()
