"""Build variables: what a Source may mention as `$NAME`, and how it is put in (sources.md 4.8)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hub.core.sources import Source

_TOKEN = re.compile(
    r"""\$(?:
        (?P<dollar>\$)
      | \{(?P<braced>[^}]+)\}
      | (?P<broken>\{\}?)
      | (?P<special>[*\#@!?0-9-])
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    )""",
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ApplicationFacts:
    """What a Render may know of its Application. `namespace` is the destination's.

    `own_namespace` is set for an Application outside the main namespace.
    """

    name: str
    namespace: str = ""
    project: str = ""
    own_namespace: str = ""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What a Render may know of the destination cluster: version `1.32.0` and served `group/version[/Kind]`."""

    version: str = ""
    api_versions: tuple[str, ...] = ()


def build_variables(
    application: ApplicationFacts, cluster: ClusterFacts, source: Source, revision: str
) -> dict[str, str]:
    """All build variables of one source at one Revision."""
    prefix = f"{application.own_namespace}_" if application.own_namespace else ""
    return {
        "ARGOCD_APP_NAME": prefix + application.name,
        "ARGOCD_APP_NAMESPACE": application.namespace,
        "ARGOCD_APP_PROJECT_NAME": application.project,
        "ARGOCD_APP_REVISION": revision,
        "ARGOCD_APP_REVISION_SHORT": revision[:7],
        "ARGOCD_APP_REVISION_SHORT_8": revision[:8],
        "ARGOCD_APP_SOURCE_PATH": source.path,
        "ARGOCD_APP_SOURCE_REPO_URL": source.repo_url,
        "ARGOCD_APP_SOURCE_TARGET_REVISION": source.target_revision,
        "KUBE_VERSION": cluster.version,
        "KUBE_API_VERSIONS": ",".join(cluster.api_versions),
    }


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """Put variables in: unknown ones become empty, `$$` becomes `$`, a `$` before another sign stays."""

    def one(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        return variables.get(found["braced"] or found["name"] or "", "")

    return _TOKEN.sub(one, text)


def names_revision(text: str) -> bool:
    """Whether a text mentions the Revision, so that every commit is another input (sources.md 3)."""
    return any(
        (found["braced"] or found["name"] or "").startswith("ARGOCD_APP_REVISION")
        for found in _TOKEN.finditer(text)
    )
