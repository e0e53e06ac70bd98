"""Clusters: register, change credentials, pause, remove. Credentials go in and never come out (access-and-api.md 5)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count
from django.utils import timezone

import hub.services.approvals as approvals
import hub.services.audit as audit
import hub.services.certificates as certificates
import hub.services.events as events
import hub.services.looks as looks
from clusters.core import kubeconfig
from clusters.core.kubeconfig.servers import check_server
from clusters.core.manifests import ResourceKey
from clusters.errors import KubeconfigRefused
from clusters.models import Cluster
from guard.addresses import AddressRefused, check_url
from hub.core import specs
from hub.core.events import Event as Happened
from hub.errors import HubError
from hub.models import Application, Project
from hub.services.actors import Actor
from hub.services.applications import LEVEL_KNOWN
from hub.services.documents import InvalidDocument

CREDENTIALS = ("token", "client_key_pem", "client_certificate_pem", "proxy_url")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
DOCUMENT = specs.record(
    {
        "name": specs.text(253, pattern=_NAME, what="a DNS subdomain"),
        "server": specs.text(500),
        "project": specs.text(253),
        "labels": specs.text_map,
        "annotations": specs.text_map,
        "kubeconfig": specs.text(256 * 1024),
        "context": specs.text(253),
        "token": specs.text(16384),
        "client_certificate_pem": specs.text(65536),
        "client_key_pem": specs.text(16384),
        "ca_pem": specs.text(262144),
        "tls_server_name": specs.text(253),
        "insecure_skip_tls_verify": specs.flag,
        "insecure_reason": specs.text(255),
        "proxy_url": specs.text(1000),
        "in_cluster": specs.flag,
        "namespaces": specs.texts,
        "cluster_resources": specs.flag,
        "max_in_flight": specs.number,
        "shard": specs.number,
    },
    required=("name",),
)

PREVIEW = specs.record(
    {"kubeconfig": specs.text(256 * 1024), "project": specs.text(253)}, required=("kubeconfig",)
)


def document(cluster: Cluster) -> dict[str, Any]:
    """What people may read of the settings: nothing secret is part of it."""
    return {
        "name": cluster.name,
        "server": cluster.server,
        "project": cluster.scope,
        "labels": cluster.labels,
        "annotations": cluster.annotations,
        "ca_pem": cluster.ca_pem,
        "tls_server_name": cluster.tls_server_name,
        "insecure_skip_tls_verify": cluster.insecure_skip_tls_verify,
        "insecure_reason": cluster.insecure_reason,
        "in_cluster": cluster.in_cluster,
        "namespaces": cluster.namespaces,
        "cluster_resources": cluster.cluster_resources,
        "max_in_flight": cluster.max_in_flight,
        "shard": cluster.shard,
    }


def preview(doc: Any) -> dict[str, Any]:
    """Contexts of a kubeconfig and why each could not be taken; nothing is stored, run, read or dialled (CL2)."""
    errors: specs.Errors = {}
    values = PREVIEW(doc, "", errors)
    if errors:
        raise InvalidDocument(errors)
    return dict(kubeconfig.preview(values["kubeconfig"]))


def read(actor: Actor, doc: Any, existing: Cluster | None = None) -> dict[str, Any]:
    """A checked document as columns. Raises InvalidDocument or KubeconfigRefused."""
    errors: specs.Errors = {}
    if existing is not None and isinstance(doc, Mapping):
        doc = {"name": existing.name, **doc}
    values = dict(DOCUMENT(doc, "", errors))
    if errors:
        raise InvalidDocument(errors)
    if text := values.pop("kubeconfig", ""):
        values |= kubeconfig.read(text, values.pop("context", ""))
    elif values.pop("context", ""):
        errors["context"] = ["is only read together with kubeconfig"]
    if existing is None and not values.get("server") and not values.get("in_cluster"):
        errors["server"] = ["is required: the https address of the API server, or a kubeconfig"]
    name = values.pop("project", None)
    if name and not Project.objects.filter(name=name).exists():
        errors["project"] = [f"project {name} does not exist"]
    if name is not None:
        values["scope"] = name
    _check_connection(actor, values, existing, errors)
    _check_numbers(values, errors)
    if errors:
        raise InvalidDocument(errors)
    return values


def _check_connection(
    actor: Actor, values: Mapping[str, Any], existing: Cluster | None, errors: specs.Errors
) -> None:
    now = timezone.now()
    pair = values.get("client_certificate_pem", ""), values.get("client_key_pem", "")
    if (server := values.get("server")) and (why := address_error(server)):
        errors["server"] = [why]
    if values.get("ca_pem") and (found := certificates.authority_errors(values["ca_pem"], now)):
        errors["ca_pem"] = found
    if any(pair):
        errors.update(certificates.pair_errors(*pair, now))
    if values.get("proxy_url"):
        errors["proxy_url"] = ["no proxy is on the list of allowed proxies"]
    if values.get("token") and values.get("client_key_pem"):
        errors["token"] = ["give a token or a client certificate, not both"]
    if values.get("insecure_skip_tls_verify"):
        reason = values.get("insecure_reason") or (existing.insecure_reason if existing else "")
        if not actor.is_admin or not reason:
            errors["insecure_skip_tls_verify"] = ["needs a platform administrator and insecure_reason (CL7)"]
    if values.get("in_cluster") and not (actor.is_admin and getattr(settings, "HUB_IN_CLUSTER", False)):
        errors["in_cluster"] = ["needs HUB_IN_CLUSTER=true and a platform administrator (CL6)"]


def _check_numbers(values: Mapping[str, Any], errors: specs.Errors) -> None:
    if not 1 <= values.get("max_in_flight", 16) <= 256:
        errors["max_in_flight"] = ["must be from 1 to 256"]
    if not 0 <= values.get("shard", 0) < settings.HUB_SHARDS:
        errors["shard"] = [f"must be below HUB_SHARDS ({settings.HUB_SHARDS})"]


def address_error(server: str) -> str:
    """Why this address of an API server is refused: its shape (CL3), or what its name resolves to (E9)."""
    try:
        check_server(server)
        check_url(
            server,
            allow_loopback=settings.HUB_ALLOW_LOOPBACK,
            private_networks=settings.HUB_PRIVATE_NETWORKS,
        )
    except KubeconfigRefused as error:
        return error.message
    except AddressRefused as error:
        return f"cannot be used: {error}"
    return ""


def register(actor: Actor, doc: Any) -> Cluster:
    """Store a new Cluster, due for its first probe; the caller nudges it after commit.

    Names are resolved before the transaction begins: a slow name server holds no lock.
    """
    values = read(actor, doc)
    with transaction.atomic():
        return _register(actor, values)


def _register(actor: Actor, values: dict[str, Any]) -> Cluster:
    _unique_server(values.get("server", ""), values.get("scope", ""))
    values.setdefault("shard", emptiest_shard())
    cluster = Cluster(next_probe_at=timezone.now())
    for column, value in values.items():
        setattr(cluster, column, value)
    try:
        with transaction.atomic():
            cluster.save(force_insert=True)
    except IntegrityError:
        raise HubError(
            "name_not_available",
            f"the name {cluster.name} is not available",
            "choose another name",
            status=409,
        ) from None
    _audit(actor, "create", cluster, after=document(cluster) | _given(values))
    return cluster


@transaction.atomic
def update(actor: Actor, cluster: Cluster, doc: Any, *, expected_generation: int | None = None) -> Cluster:
    """Change settings or credentials; an absent or empty credential keeps the stored one."""
    values = read(actor, doc, existing=cluster)
    if values.pop("name") != cluster.name:
        raise InvalidDocument({"name": ["a cluster is never renamed"]})
    before = document(cluster)
    locked = Cluster.objects.select_for_update().get(id=cluster.id)
    if expected_generation is not None and locked.generation != expected_generation:
        raise HubError(
            "stale", f"{cluster.name} was changed meanwhile", "read it again and repeat", status=412
        )
    if "server" in values or "scope" in values:
        _unique_server(values.get("server", locked.server), values.get("scope", locked.scope), locked.id)
    cleared = _of_the_other_kind(values)
    for column, value in values.items():
        if column not in CREDENTIALS or value:
            setattr(locked, column, value)
    for column in cleared:
        setattr(locked, column, "")
    locked.generation += 1
    locked.next_probe_at = timezone.now()
    locked.save()
    looks.ask(applications_of(locked), level=LEVEL_KNOWN)
    _audit(actor, "update", locked, before=before, after=document(locked) | _given(values))
    return locked


def _of_the_other_kind(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Columns that a new token or client certificate replaces."""
    if values.get("token"):
        return ("client_certificate_pem", "client_key_pem")
    return ("token",) if values.get("client_key_pem") else ()


@transaction.atomic
def set_paused(actor: Actor, cluster: Cluster, paused: bool) -> Cluster:
    """Pause is skip-reconcile for all its Applications; what is known stays readable (CL12)."""
    state = Cluster.State.PAUSED if paused else Cluster.State.UNKNOWN
    Cluster.objects.filter(id=cluster.id).update(paused=paused, state=state, next_probe_at=timezone.now())
    cluster.refresh_from_db()
    _audit(actor, "pause" if paused else "resume", cluster)
    if not paused:
        looks.ask(applications_of(cluster), level=LEVEL_KNOWN)
    return cluster


@transaction.atomic
def delete(actor: Actor, cluster: Cluster, *, force: bool = False) -> dict[str, list[str]]:
    """Remove a Cluster without Applications. Raises HubError `in_use` with their names (CL12).

    `force`: it is gone for good, and Applications for which somebody chose detach are let go without asking it
    (sync-semantics.md 10.4). Returns what was last seen of theirs, by Application: nobody knows whether it is there.
    """
    used = Application.objects.filter(cluster=cluster).select_related("project", "cluster").order_by("name")
    going = [app for app in used if force and app.deletion_requested_at and app.on_delete == "detach"]
    names = [app.name for app in used if app not in going]
    if names:
        raise HubError(
            "in_use",
            f"{len(names)} applications use {cluster.name}: {', '.join(names[:20])}",
            "move or cascade them first; of a cluster that is gone: detach them, then ?force=true",
            status=409,
        )
    left = {app.name: _let_go(actor, app) for app in going}
    _audit(actor, "delete", cluster, after={"left_behind": left} if left else None)
    cluster.delete()
    return left


def _let_go(actor: Actor, app: Application) -> list[str]:
    """The row goes with the event that carries its last view; whatever pass holds it finds its lease lost."""
    rows = app.resources.exclude(uid="").values_list("group", "kind", "namespace", "name").order_by("id")
    keys = [str(ResourceKey(*row)) for row in rows]
    said = f"{app.name} was let go: its cluster is gone, and with it {len(keys)} objects that were last seen there"
    told = Happened("deleted", f"{app.id}/deleted", "warning", said, data={"left_behind": keys[:200]})
    approvals.close_for_deleted(app)
    events.store(app, [told], {})
    audit.record(
        actor,
        "let go",
        resource="application",
        name=app.name,
        project=app.project.name,
        level=3,
        after={"left_behind": keys},
    )
    app.delete()
    return keys


@transaction.atomic
def probe_now(actor: Actor, cluster: Cluster) -> None:
    """Make a Cluster due for a probe; the probe itself is a task."""
    Cluster.objects.filter(id=cluster.id).update(next_probe_at=timezone.now())
    _audit(actor, "probe", cluster)


def applications_of(cluster: Cluster) -> list[uuid.UUID]:
    return list(Application.objects.filter(cluster=cluster).values_list("id", flat=True))


def emptiest_shard() -> int:
    """The shard with the fewest objects, then the fewest Clusters (CL13)."""
    rows = Cluster.objects.values_list("shard").annotate(
        objects_count=Count("applications__resources"), clusters=Count("id", distinct=True)
    )
    load = {shard: (objects, clusters) for shard, objects, clusters in rows.order_by()}
    return min(range(settings.HUB_SHARDS), key=lambda number: (*load.get(number, (0, 0)), number))


def _unique_server(server: str, scope: str, but: uuid.UUID | None = None) -> None:
    """One record per address and Project, or outside of Projects (CL3)."""
    same = Cluster.objects.filter(server=server, scope=scope)
    if but is not None:
        same = same.exclude(id=but)
    if server and (other := same.values_list("name", flat=True).first()):
        raise HubError("server_taken", f"{other} has this address already", "change that one", status=409)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """For the audit: which credentials were given; `audit.masked` hides the values."""
    return {column: "given" for column in CREDENTIALS if values.get(column)}


def _audit(
    actor: Actor,
    action: str,
    cluster: Cluster,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    audit.record(
        actor,
        action,
        resource="cluster",
        name=cluster.name,
        project=cluster.scope,
        before=before,
        after=after,
        level=3,
    )
