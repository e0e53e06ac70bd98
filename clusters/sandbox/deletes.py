"""DELETE: preconditions, propagation, finalizers, grace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clusters.sandbox.answers import conflict, details_of, invalid_options, unsupported
from clusters.sandbox.backend import Backend
from clusters.sandbox.convert import to_served
from clusters.sandbox.registry import Served
from clusters.sandbox.strategies import has_generation

Manifest = dict[str, Any]
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
RETURNS_OBJECT = {
    "persistentvolumeclaims",
    "persistentvolumes",
    "pods",
    "podtemplates",
    "resourcequotas",
    "serviceaccounts",
    "services",
}
ORPHANS_BY_DEFAULT = {("batch", "jobs"), ("", "replicationcontrollers")}
CRD_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """The body (or query) of a DELETE."""

    propagation: str = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False
    grace: int | None = None

    @classmethod
    def of(cls, body: Manifest | None, query: Any) -> DeleteOptions:
        """A body, even an empty one, makes the server ignore the query (api-server-facts 3)."""
        if body is not None:
            wanted = body.get("preconditions") or {}
            propagation = body.get("propagationPolicy") or ""
            if body.get("orphanDependents") is not None:
                propagation = "Orphan" if body["orphanDependents"] else "Background"
            dry = "All" in (body.get("dryRun") or ())
            grace = body.get("gracePeriodSeconds")
            return cls(propagation, wanted.get("uid") or "", wanted.get("resourceVersion") or "", dry, grace)
        grace = query.get("gracePeriodSeconds")
        dry = query.get("dryRun") == "All"
        return cls(query.get("propagationPolicy", ""), "", "", dry, int(grace) if grace else None)


def delete(b: Backend, served: Served, namespace: str, name: str, options: DeleteOptions) -> Manifest:
    """Delete or begin to delete. Returns the object while it stays, else a Status. Raises ApiError 404, 409, 422."""
    live = b.get(served, namespace, name)
    metadata = live["metadata"]
    _check(served, metadata, options)
    b.admit("DELETE", served, live)
    finalizers = _finalizers(served, metadata.get("finalizers") or [], options.propagation)
    table = b.store.table(served.group, served.resource)
    place = (namespace, name)
    grace = _grace(served, live, options)
    stays = bool(finalizers) or grace > 0 or still_wanted(served, live)
    if options.dry_run:
        return to_served(live, served)
    if not stays:
        gone = b.store.write(table, place, live, gone=True)
        return to_served(gone, served) if served.resource in RETURNS_OBJECT else _success(served, metadata)
    marked = _marked(b, served, live, finalizers, grace)
    if marked is not live:
        marked = b.store.write(table, place, marked)
    return to_served(marked, served)


def _check(served: Served, metadata: Manifest, options: DeleteOptions) -> None:
    name = metadata["name"]
    if options.propagation not in ("", "Foreground", "Background", "Orphan"):
        allowed = ["Foreground", "Background", "Orphan", "nil"]
        raise invalid_options(
            "DeleteOptions", [unsupported("propagationPolicy", options.propagation, allowed)]
        )
    if options.uid and options.uid != metadata["uid"]:
        why = f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata['uid']})."
        more = " The object might have been deleted and then recreated"
        raise conflict(served.kind, served.group, name, why + more)
    held = metadata["resourceVersion"]
    if options.resource_version and options.resource_version != held:
        why = f"the ResourceVersion in the precondition ({options.resource_version}) does not match the "
        more = f"ResourceVersion in record ({held}). The object might have been modified"
        raise conflict(served.kind, served.group, name, why + more)


def _finalizers(served: Served, held: list[str], propagation: str) -> list[str]:
    if not propagation:
        if FOREGROUND in held or ORPHAN in held:
            return held
        propagation = "Orphan" if (served.group, served.resource) in ORPHANS_BY_DEFAULT else "Background"
    kept = [name for name in held if name not in (FOREGROUND, ORPHAN)]
    return kept + {"Foreground": [FOREGROUND], "Orphan": [ORPHAN]}.get(propagation, [])


def _grace(served: Served, live: Manifest, options: DeleteOptions) -> int:
    if (served.group, served.resource) != ("", "pods"):
        return 0
    if options.grace is not None:
        return options.grace
    spec, phase = live["spec"], (live.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    return int(spec.get("terminationGracePeriodSeconds") or 0)


def still_wanted(served: Served, obj: Manifest) -> bool:
    """Whether something other than metadata.finalizers keeps the object: a namespace's content, a pod's grace."""
    if (served.group, served.resource) == ("", "namespaces"):
        return bool((obj.get("spec") or {}).get("finalizers"))
    return bool(obj["metadata"].get("deletionGracePeriodSeconds"))


def _marked(b: Backend, served: Served, live: Manifest, finalizers: list[str], grace: int) -> Manifest:
    """`live` as being deleted; itself when it is already and nothing changes."""
    held = live["metadata"]
    if held.get("deletionTimestamp") and finalizers == (held.get("finalizers") or []):
        return live
    metadata = {**held, "finalizers": finalizers}
    if not finalizers:
        del metadata["finalizers"]
    if not held.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = b.after(grace)
        metadata["deletionGracePeriodSeconds"] = grace
        if has_generation(served) and "generation" in held:
            metadata["generation"] = held["generation"] + 1
    out = {**live, "metadata": metadata}
    if (served.group, served.resource) == ("", "namespaces"):
        out["status"] = {**(live.get("status") or {}), "phase": "Terminating"}
    return out


def _success(served: Served, metadata: Manifest) -> Manifest:
    details = details_of(metadata["name"], served.group, served.resource, uid=metadata["uid"])
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def remove(b: Backend, group: str, resource: str, namespace: str, name: str) -> None:
    """Take an object out at once, whatever its finalizers: for controllers of the sandbox."""
    table = b.store.table(group, resource)
    live = table.objects.get((namespace, name))
    if live is not None:
        b.store.write(table, (namespace, name), live, gone=True)
