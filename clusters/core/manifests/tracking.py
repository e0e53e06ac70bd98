"""Who owns a live object: tracking ids, the hub's label, and what other tools left (sync-semantics.md 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from clusters.core.manifests.keys import (
    MANAGED_BY_LABEL,
    TRACKING_ANNOTATION,
    Manifest,
    ResourceKey,
    group_of,
    key_of,
    metadata_map,
)

ARGOCD_TRACKING_ANNOTATION = "argocd.argoproj.io/tracking-id"
ARGOCD_INSTALLATION_ANNOTATION = "argocd.argoproj.io/installation-id"
ARGOCD_FIELD_MANAGER = "argocd-controller"


class TrackingId(NamedTuple):
    """The parts of `<application>:<group>/<Kind>:<namespace>/<name>`."""

    application: str
    group: str
    kind: str
    namespace: str
    name: str


OwnerKind = Literal["none", "ours", "other_application", "other_hub", "argocd", "argocd_label", "copy"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns a live object, seen from one Application.

    none: nobody's, may be adopted. ours. other_application: another Application of this hub (the caller knows whether
    it still lives). other_hub. argocd: a self-referencing Argo CD tracking id. argocd_label: only Argo CD's field
    manager is there, adopt after confirmation. copy: a tracking id of this hub that names another object.
    """

    kind: OwnerKind
    application: str = ""
    hub: str = ""

    @property
    def label(self) -> str:
        """For Conditions: `Argo CD application web`, `application shop`, `hub h2`."""
        if self.kind == "argocd":
            return f"Argo CD application {self.application}"
        if self.kind == "argocd_label":
            return "Argo CD (by its field manager)"
        if self.kind == "other_hub":
            return f"hub {self.hub}"
        return f"application {self.application}" if self.application else ""


def tracking_id(application: str, key: ResourceKey, destination_namespace: str) -> str:
    """The annotation's value; cluster-scoped objects carry the destination namespace."""
    return f"{application}:{key.group}/{key.kind}:{key.namespace or destination_namespace}/{key.name}"


def parse_tracking_id(text: str) -> TrackingId | None:
    """The parts, or None when the text is no tracking id. Names may hold colons (`system:node`)."""
    application, first, rest = text.partition(":")
    kind, second, place = rest.partition(":")
    group, third, kind = kind.partition("/")
    namespace, fourth, name = place.partition("/")
    if not (first and second and third and fourth and application and kind and name):
        return None
    return TrackingId(application, group, kind, namespace, name)


def stamp(manifest: Manifest, application: str, hub_id: str, destination_namespace: str = "") -> Manifest:
    """A copy that carries the tracking annotation and the hub's label; other parts are shared with `manifest`."""
    metadata = dict(manifest["metadata"])
    value = tracking_id(application, key_of(manifest), destination_namespace)
    metadata["annotations"] = {**(metadata.get("annotations") or {}), TRACKING_ANNOTATION: value}
    metadata["labels"] = {**(metadata.get("labels") or {}), MANAGED_BY_LABEL: hub_id}
    return {**manifest, "metadata": metadata}


def is_self_reference(live: Manifest, tracked: TrackingId, *, target_group: str | None = None) -> bool:
    """Whether the id names the very object that carries it.

    Cluster-scoped objects match by group, kind and name. With a target its group counts, so that an object whose kind
    moved to another API group is no copy.
    """
    key = key_of(live)
    groups = {key.group} if target_group is None else {key.group, target_group}
    same_place = not key.namespace or key.namespace == tracked.namespace
    return tracked.group in groups and tracked.kind == key.kind and same_place and tracked.name == key.name


def owner_of(live: Manifest, *, application: str, hub_id: str, target: ResourceKey | None = None) -> Owner:
    """Who owns `live` (5.3), for the Application that asks. `target`: the key of the wanted object, if there is one."""
    annotations, labels = metadata_map(live, "annotations"), metadata_map(live, "labels")
    group = target.group if target else None
    tracked = parse_tracking_id(str(annotations.get(TRACKING_ANNOTATION) or ""))
    named = tracked is not None and is_self_reference(live, tracked, target_group=group)
    hub = str(labels.get(MANAGED_BY_LABEL) or "")
    if hub and hub != hub_id and (named or tracked is None):
        return Owner("other_hub", tracked.application if tracked else "", hub)
    if tracked is not None and named:
        ours = tracked.application == application
        return Owner("ours" if ours else "other_application", tracked.application, hub_id)
    foreign = parse_tracking_id(str(annotations.get(ARGOCD_TRACKING_ANNOTATION) or ""))
    if foreign is not None and is_self_reference(live, foreign, target_group=group):
        return Owner("argocd", foreign.application)
    if tracked is not None:
        return Owner("copy", tracked.application)
    if foreign is None and _written_by_argocd(live):
        return Owner("argocd_label")
    return Owner("none")


def managed_by(live: Manifest, application: str, hub_id: str) -> bool:
    """Managed = our tracking id names this Application and the object itself; copies and ReplicaSets are not.

    Another hub may have an Application of this name: what carries its label is its own (H22). A label that is gone
    altogether is drift, not a change of hands (5.4).
    """
    if metadata_map(live, "labels").get(MANAGED_BY_LABEL, hub_id) != hub_id:
        return False
    tracked = parse_tracking_id(str(metadata_map(live, "annotations").get(TRACKING_ANNOTATION) or ""))
    return tracked is not None and tracked.application == application and is_self_reference(live, tracked)


def tracked_group(live: Manifest) -> str:
    """The group in the object's own tracking id, else its own: the key under which the desired set knows it."""
    tracked = parse_tracking_id(str(metadata_map(live, "annotations").get(TRACKING_ANNOTATION) or ""))
    return tracked.group if tracked else group_of(live)


def _written_by_argocd(live: Manifest) -> bool:
    entries = (live.get("metadata") or {}).get("managedFields") or []
    return any(entry.get("manager") == ARGOCD_FIELD_MANAGER for entry in entries if isinstance(entry, dict))
