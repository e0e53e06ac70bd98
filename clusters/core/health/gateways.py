"""Rules of the Gateway API: listeners of Gateways, and what each parent says about a route."""

from __future__ import annotations

from clusters.core.health.reading import (
    Health,
    Rule,
    conditions,
    conditions_in,
    degraded,
    dig,
    healthy,
    items,
    number,
    progressing,
    sentence,
    text,
)
from clusters.core.health.tables import by_condition, fresh, judge
from clusters.core.manifests import Manifest

_ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")
_POLICIES = ("BackendTLSPolicy", "BackendTrafficPolicy")
_PENDING = ("Pending", "AddressNotAssigned", "NoResources")


def gateway(obj: Manifest) -> Health:
    generation = number(obj, "metadata", "generation")
    found = fresh(conditions(obj), generation)
    own = judge(found, ("Accepted", "Programmed"), _PENDING)
    if own.status == "Degraded":
        return own
    for listener in items(obj, "status", "listeners"):
        said = fresh(conditions_in(items(listener, "conditions")), generation)
        for name in ("Accepted", "ResolvedRefs"):
            if name in said and said[name].status == "False" and said[name].reason not in _PENDING:
                return degraded(f"listener {text(listener, 'name')}: {sentence(said[name], name)}")
    return own


def _by_relatives(kind: str, relation: str) -> Rule:
    """Accepted by all, and references resolved where said, in `status.<kind>[].conditions`."""

    def rule(obj: Manifest) -> Health:
        generation = number(obj, "metadata", "generation")
        relatives = items(obj, "status", kind)
        if not relatives:
            return progressing(f"waiting for a {relation} to accept it")
        waiting = ""
        for relative in relatives:
            name = text(relative, f"{relation}Ref", "name")
            found = fresh(conditions_in(items(relative, "conditions")), generation)
            needed = ["Accepted", *(extra for extra in ("ResolvedRefs", "Programmed") if extra in found)]
            health = judge(found, needed, _PENDING)
            if health.status == "Degraded":
                return degraded(f"{relation} {name}: {health.message}")
            if health.status != "Healthy":
                waiting = waiting or f"{relation} {name}: {health.message}"
        return progressing(waiting) if waiting else healthy(f"accepted by {len(relatives)} {kind}")

    return rule


def _http_proxy(obj: Manifest) -> Health:
    status, said = text(obj, "status", "currentStatus"), text(obj, "status", "description")
    if status == "valid":
        return healthy(said)
    return (
        degraded(said or status)
        if status in ("invalid", "orphaned")
        else progressing("waiting to be programmed")
    )


def _istio_gone_wrong(obj: Manifest) -> Health | None:
    """Istio writes a status only where its analysis is switched on: errors count, silence means nothing."""
    for entry in items(obj, "status", "validationMessages"):
        if text(entry, "level") in ("Error", "ERROR"):
            return degraded(
                str(dig(entry, "type", "name") or dig(entry, "type", "code") or "validation failed")
            )
    return None


_route = _by_relatives("parents", "parent")
_policy = _by_relatives("ancestors", "ancestor")

RULES: dict[tuple[str, str], Rule] = {
    ("gateway.networking.k8s.io", "GatewayClass"): by_condition("Accepted", pending=_PENDING),
    ("gateway.networking.k8s.io", "Gateway"): gateway,
    ("gateway.networking.k8s.io", "ListenerSet"): gateway,
    **{("gateway.networking.k8s.io", kind): _route for kind in _ROUTES},
    **{("gateway.networking.k8s.io", kind): _policy for kind in _POLICIES},
    ("projectcontour.io", "HTTPProxy"): _http_proxy,
    ("networking.istio.io", "*"): _istio_gone_wrong,
}
