"""Rules 1 to 8 and 10 to 13 of access-and-api.md 1.4: every violation, in the order of the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clusters.core.discovery import Discovery
from clusters.core.manifests import Manifest, ResourceKey, key_of
from hub.core.policy.facts import (
    ApplicationFacts,
    Destination,
    Fence,
    HubPlaces,
    SourceFact,
    Violation,
)
from hub.core.policy.patterns import climbs, normal_url
from hub.core.policy.rules import Lists, Rules

_NO_PLACES = HubPlaces()


def judge_application(fence: Fence, app: ApplicationFacts) -> list[Violation]:
    """Rules 1 to 8, as a door and a plan ask them."""
    found = _project(fence)
    if app.namespace and not any(pattern.matches(app.namespace) for pattern in fence.rules.source_namespaces):
        text = f"namespace {app.namespace} may not hold applications of project {fence.project}"
        found.append(Violation(2, app.name, text, "add it to source_namespaces"))
    for source in app.sources:
        found += _source(fence, source)
    found += judge_destination(fence, app.destination)
    return found + _switches(fence, app)


def _project(fence: Fence) -> list[Violation]:
    if not fence.exists:
        return [Violation(1, fence.project, f"project {fence.project} does not exist")]
    if fence.archived:
        return [Violation(1, fence.project, f"project {fence.project} is archived", "restore the project")]
    return [Violation(1, fence.project, rules.closed) for rules in fence.every if rules.closed]


def _source(fence: Fence, source: SourceFact) -> list[Violation]:
    """Deny, then allow; a Repository of this Project is allowed implicitly, one of another Project never serves."""
    if source.scoped_to and source.scoped_to != fence.project:
        text = f"source {source.url} belongs to project {source.scoped_to}"
        return [Violation(3, source.url, text, "register the repository for this project")]
    if climbs(source.url):
        return [Violation(3, source.url, f"source {source.url} has dot segments", "write the plain URL")]
    url = normal_url(source.url)
    found = []
    for number, rules in enumerate(fence.every):
        if any(pattern.matches(url) for pattern in rules.sources.deny):
            text = f"source {source.url} is denied by {_whose(fence, number)}"
            found.append(Violation(3, source.url, text, "take another repository"))
        elif not any(pattern.matches(url) for pattern in rules.sources.allow or ()):
            if number == 0 and source.scoped_to == fence.project:
                continue
            text = f"source {source.url} is not permitted by {_whose(fence, number)}"
            found.append(Violation(3, source.url, text, "add it to sources.allow"))
    return found


def _whose(fence: Fence, number: int) -> str:
    return f"project {fence.project}" if number == 0 else f"a ceiling over project {fence.project}"


def judge_destination(fence: Fence, to: Destination) -> list[Violation]:
    """Rules 4 to 7 for the Application's own destination."""
    asked = to.asked_server or to.asked_name
    if bool(to.asked_server) == bool(to.asked_name):
        text = "the destination names a cluster by server or by name, one of them and not both"
        return [Violation(4, asked, text)]
    if not to.registered:
        return [Violation(4, asked, f"cluster {asked} is not registered", "register it, or correct the name")]
    found = []
    if to.scoped_to and to.scoped_to != fence.project:
        found.append(Violation(5, asked, f"cluster {asked} belongs to project {to.scoped_to}"))
    elif not to.scoped_to and any(rules.only_project_clusters for rules in fence.every):
        found.append(Violation(5, asked, f"project {fence.project} may use its own clusters only"))
    return found + _namespace(fence, to, to.namespace, asked)


def _namespace(fence: Fence, to: Destination, namespace: str, subject: str) -> list[Violation]:
    """Rules 6 and 7 for one namespace: the Application's, or a Manifest's own."""
    found = []
    where = f"{to.name or to.server}/{namespace}" if namespace else (to.name or to.server)
    for number, rules in enumerate(fence.every):
        if any(p.matches(to.server, to.name, namespace) for p in rules.destinations.deny):
            text = f"destination {where} is denied by {_whose(fence, number)}"
            found.append(Violation(6, subject, text))
        elif not any(p.matches(to.server, to.name, namespace) for p in rules.destinations.allow or ()):
            own = to.scoped_to == fence.project and (not to.namespaces or namespace in to.namespaces)
            if number == 0 and own and to.scoped_to:
                continue
            text = f"destination {where} is not permitted by {_whose(fence, number)}"
            found.append(Violation(6, subject, text, "add it to destinations.allow"))
    if to.namespaces and namespace and namespace not in to.namespaces:
        text = f"cluster {to.name or to.server} is restricted to other namespaces than {namespace}"
        found.append(Violation(7, subject, text))
    return found


def _switches(fence: Fence, app: ApplicationFacts) -> list[Violation]:
    """Rule 8. A switch that is absent is on; a limit that is absent does not limit."""
    found = []
    wanted = {"automated": app.automated, "prune": app.automated and app.prune}
    wanted["plugins"] = any(source.uses_plugin for source in app.sources)
    for rules in fence.every:
        for name, asked in wanted.items():
            if asked and rules.switches.get(name) is False:
                text = f"{name} is switched off in project {fence.project}"
                found.append(Violation(8, app.name, text, f"ask for switches.{name}"))
        limit = rules.limits.get("applications")
        if limit is not None and app.applications > limit:
            text = f"project {fence.project} may have {limit} applications"
            found.append(Violation(8, app.name, text))
    return found


def judge_key(
    fence: Fence,
    to: Destination,
    key: ResourceKey,
    *,
    namespaced: bool | None = None,
    hub: HubPlaces = _NO_PLACES,
) -> list[Violation]:
    """Rules 1, 4 to 7, 11, 12, 13 for one object that is to be pruned, deleted, read or acted upon."""
    scope = bool(key.namespace) if namespaced is None else namespaced
    found = _project(fence) + judge_destination(fence, to) + _kind(fence, key, scope)
    found += _place(fence, to, key, scope)
    return found + _protected(to, key, hub)


def _kind(fence: Fence, key: ResourceKey, namespaced: bool) -> list[Violation]:
    """Rule 11: deny, then allow, each list of its scope."""
    found = []
    group, kind, _, name = key
    for number, rules in enumerate(fence.every):
        lists = _lists(rules, namespaced)
        if any(entry.matches(group, kind, name) for entry in lists.deny):
            found.append(Violation(11, str(key), f"{_say(key)} is denied by {_whose(fence, number)}"))
        elif not _allowed(lists, namespaced, group, kind, name):
            field = "namespaced_kinds" if namespaced else "cluster_kinds"
            text = f"{_say(key)} is not permitted by {_whose(fence, number)}"
            found.append(Violation(11, str(key), text, f"add it to {field}.allow"))
    return found


def _lists(rules: Rules, namespaced: bool) -> Lists:
    return rules.namespaced_kinds if namespaced else rules.cluster_kinds


def _allowed(lists: Lists, namespaced: bool, group: str, kind: str, name: str) -> bool:
    """Absent: all namespaced kinds, and no cluster-scoped one (1.1)."""
    if lists.allow is None:
        return namespaced
    return any(entry.matches(group, kind, name) for entry in lists.allow)


def _say(key: ResourceKey) -> str:
    return f"kind {key.group}/{key.kind}" if key.group else f"kind {key.kind}"


def _place(fence: Fence, to: Destination, key: ResourceKey, namespaced: bool) -> list[Violation]:
    """Rule 12: the object's own namespace goes through 6 and 7."""
    if not namespaced:
        if to.namespaces and not to.cluster_resources:
            text = f"cluster {to.name or to.server} takes no cluster-scoped objects"
            return [Violation(12, str(key), text)]
        return []
    if key.namespace == to.namespace:
        return []
    return [v._replace(rule=12) for v in _namespace(fence, to, key.namespace, str(key))]


def _protected(to: Destination, key: ResourceKey, hub: HubPlaces) -> list[Violation]:
    """Rule 13."""
    if hub.may_manage or not to.is_hub_cluster:
        return []
    own = bool(hub.namespace) and hub.namespace in (
        key.namespace,
        key.name if key.kind == "Namespace" else "",
    )
    if own or key in hub.credentials:
        text = f"{key} belongs to the hub itself"
        return [Violation(13, str(key), text, "an administrator can set may_manage_hub")]
    return []


def judge_objects(
    fence: Fence,
    to: Destination,
    manifests: Iterable[Manifest],
    discovery: Discovery,
    *,
    brought: Mapping[tuple[str, str], bool] | None = None,
    hub: HubPlaces = _NO_PLACES,
) -> list[Violation]:
    """Rules 1 and 10 to 13 for the objects that will be sent (PR7).

    `brought`: (group, kind) to namespaced of CRDs in the same plan; left out, it is read from the manifests.
    """
    every = list(manifests)
    scopes = brought_by(every) if brought is None else brought
    found = _project(fence)
    known: dict[tuple[str, ...], list[Violation]] = {}
    named = _uses_names(fence)
    guarded = to.is_hub_cluster and not hub.may_manage
    for manifest in every:
        key = key_of(manifest)
        about: tuple[str, ...] = key if named else key[:3]
        violations = known.get(about)
        if violations is None:
            violations = known[about] = _object(fence, to, key, discovery, scopes)
        if violations:
            found += [violation._replace(object=str(key)) for violation in violations]
        if guarded:
            found += _protected(to, key, hub)
    return found


def _object(
    fence: Fence,
    to: Destination,
    key: ResourceKey,
    discovery: Discovery,
    scopes: Mapping[tuple[str, str], bool],
) -> list[Violation]:
    """Rules 10 to 12; one answer serves all objects of a kind in a namespace, unless a list names objects."""
    info = discovery.find(key.group, key.kind)
    namespaced = info.namespaced if info is not None else scopes.get((key.group, key.kind))
    if namespaced is None:
        text = f"{_say(key)} is not known to the cluster, so its scope cannot be judged"
        return [Violation(10, str(key), text, "bring its CustomResourceDefinition in an earlier wave")]
    return _kind(fence, key, namespaced) + _place(fence, to, key, namespaced)


def _uses_names(fence: Fence) -> bool:
    return any(
        entry.name is not None
        for rules in fence.every
        for lists in (rules.cluster_kinds, rules.namespaced_kinds)
        for entry in (*(lists.allow or ()), *lists.deny)
    )


def brought_by(manifests: Iterable[Manifest]) -> dict[tuple[str, str], bool]:
    """Kinds that CRDs among the manifests bring, and whether they are namespaced."""
    found = {}
    for manifest in manifests:
        if manifest.get("kind") == "CustomResourceDefinition":
            spec = manifest.get("spec")
            names = spec.get("names") if isinstance(spec, dict) else None
            if isinstance(spec, dict) and isinstance(names, dict):
                pair = (str(spec.get("group") or ""), str(names.get("kind") or ""))
                found[pair] = spec.get("scope") != "Cluster"
    return found


def violations_by_key(
    fence: Fence,
    to: Destination,
    manifests: Iterable[Manifest],
    discovery: Discovery,
    *,
    live: Iterable[ResourceKey] = (),
    hub: HubPlaces = _NO_PLACES,
) -> dict[ResourceKey, str]:
    """One sentence per refused object, for `PlanFacts.violations`: desired manifests, and live keys for prunes."""
    every = list(manifests)
    keys = {str(key_of(manifest)): key_of(manifest) for manifest in every}
    found: dict[ResourceKey, str] = {}
    general = "; ".join(v.reason for v in (*_project(fence), *judge_destination(fence, to)))
    if general:
        return dict.fromkeys([*keys.values(), *live], general)
    for violation in judge_objects(fence, to, every, discovery, hub=hub):
        key = keys[violation.object]
        found[key] = f"{found[key]}; {violation.reason}" if key in found else violation.reason
    for key in live:
        if str(key) in keys:
            continue
        info = discovery.find(key.group, key.kind)
        scope = info.namespaced if info else bool(key.namespace)
        refused = _kind(fence, key, scope) + _place(fence, to, key, scope) + _protected(to, key, hub)
        if refused:
            found[key] = "; ".join(violation.reason for violation in refused)
    return found
