"""The watches of one worker process: it leases shards, watches their clusters, and hints what an event touches.

The owner of a shard keeps its watches; any worker can still reconcile any application by LIST, so correctness never
depends on this (house.md 4.4, access-and-api.md CL13). An event becomes a hint only when it can mean something: the
health of an object changed, its specification or labels did, it is gone, or an operation waits for it.
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections import defaultdict
from datetime import timedelta

import orjson
import structlog
from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Now

from clusters.core.diff import scale_targets
from clusters.core.diff.autoscaling import SCALERS
from clusters.core.health import assess
from clusters.core.manifests import TRACKING_ANNOTATION, Manifest, ResourceKey, parse_tracking_id
from clusters.models import Cluster
from clusters.services import set_listener, unwatch_cluster, watch_cluster, watched
from hub.models import Application, ResourceStatus, Shard, WorkerProcess
from hub.models.operation import UNFINISHED
from hub.reconcile.frame import connection_of
from hub.services import heartbeats
from hub.services.events import hub_id
from hub.services.health_rules import speaks_of
from hub.services.leases import process_name
from hub.tasks.runtime import Runtime

log = structlog.get_logger(__name__)
LEASE = timedelta(seconds=30)
ALIVE = timedelta(seconds=30)
Kind = tuple[str, str]
_SCALERS = frozenset(SCALERS)
_BOOKKEEPING = ("resourceVersion", "generation", "managedFields")
# Annotations by which a controller counts what it did, written together with the status.
_COUNTED = frozenset({"deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"})


class Watching:
    """Shard leases and watches of this process. `tend` is called every few seconds by the housekeeper."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._shards: set[int] = set()
        self._kinds: dict[uuid.UUID, frozenset[Kind]] = {}
        # The generation of each Cluster that its watches were started with: another address, other credentials.
        self._generations: dict[uuid.UUID, int] = {}
        self._scalers: dict[uuid.UUID, frozenset[Kind]] = {}
        self._scaled: set[tuple[str, ResourceKey]] = set()
        self._by_name: dict[str, uuid.UUID] = {}
        self._by_kind: dict[tuple[str, Kind], set[uuid.UUID]] = {}
        self._restless: set[uuid.UUID] = set()
        self._calm: set[uuid.UUID] = set()
        self._known: dict[tuple[str, ResourceKey], tuple[bytes, str]] = {}
        self._listening = False

    def tend(self) -> None:
        """Take and keep a fair share of the shards, watch what their clusters' applications use."""
        if not self._listening:
            set_listener(self._event)
            self._listening = True
        self._lease_shards()
        clusters = {
            cluster.id: cluster for cluster in Cluster.objects.filter(shard__in=self._shards, paused=False)
        }
        kinds: dict[uuid.UUID, set[Kind]] = defaultdict(set)
        by_kind: dict[tuple[str, Kind], set[uuid.UUID]] = defaultdict(set)
        rows = ResourceStatus.objects.filter(application__cluster__in=clusters).order_by()
        for place, app, group, kind in rows.values_list(
            "application__cluster_id", "application_id", "group", "kind"
        ).distinct():
            kinds[place].add((group, kind))
            by_kind[str(place), (group, kind)].add(app)
        names = (
            Application.objects.filter(cluster__in=clusters)
            .order_by()
            .values_list("name", "id", "operation_phase", "cluster_id")
        )
        for _, app, _, place in names:
            self._runtime.learn(app, place)
        with self._lock:
            self._by_kind = by_kind
            self._by_name = {name: app for name, app, _, _ in names}
        self._settle_restless({app for _, app, phase, _ in names if phase in UNFINISHED})
        for left in self._kinds.keys() - clusters.keys():
            self._unwatch(left)
        for cluster_id, cluster in clusters.items():
            try:
                self._watch(cluster, self._scalers.get(cluster_id, frozenset()) | kinds[cluster_id])
            except Exception:
                # A credential that cannot be decrypted, for example: the other clusters are watched all the same.
                log.exception("a cluster cannot be watched", cluster=cluster.name)
        self._hint_scaled()

    def _settle_restless(self, unfinished: set[uuid.UUID]) -> None:
        """An operation may end in another process. Twice in a row, because a pass here may have begun one meanwhile."""
        with self._lock:
            ended = self._restless - unfinished
            self._restless = (self._restless - (ended & self._calm)) | unfinished
            self._calm = ended

    def after_pass(self, app: Application, kinds: frozenset[Kind], phase: str) -> None:
        """A pass in this process ended: new kinds are watched at once, waiting operations hear every event."""
        with self._lock:
            self._by_name[app.name] = app.id
            self._calm.discard(app.id)
            (self._restless.add if phase in UNFINISHED else self._restless.discard)(app.id)
            for kind in kinds:
                self._by_kind.setdefault((str(app.cluster_id), kind), set()).add(app.id)
        self._scalers[app.cluster_id] = self._scalers.get(app.cluster_id, frozenset()) | (kinds & _SCALERS)
        held = self._kinds.get(app.cluster_id)
        if held is not None and not kinds <= held:
            self._watch(app.cluster, held | kinds)

    def settled(self) -> bool:
        """Every watch that this process wants is complete and connected."""
        return all(watched(str(cluster)) for cluster, kinds in self._kinds.items() if kinds)

    def stop(self) -> None:
        """End the watches and give the shards back, so that another process has them at once."""
        if self._listening:
            set_listener(None)
        for cluster in list(self._kinds):
            unwatch_cluster(str(cluster))
        Shard.objects.filter(owner=process_name()).update(owner="", lease_until=None)
        # Else the others would leave our share free for as long as we seem to be alive.
        heartbeats.forget("worker")

    def _watch(self, cluster: Cluster, kinds: frozenset[Kind]) -> None:
        held = self._kinds.get(cluster.id), self._generations.get(cluster.id)
        if kinds and held != (kinds, cluster.generation):
            watch_cluster(connection_of(cluster), hub_id(), kinds, unlabelled=kinds & _SCALERS)
        self._kinds[cluster.id], self._generations[cluster.id] = kinds, cluster.generation

    def _unwatch(self, cluster: uuid.UUID) -> None:
        """Another process has it now, or it is paused or gone: nothing of it is remembered."""
        unwatch_cluster(str(cluster))
        self._kinds.pop(cluster, None)
        self._generations.pop(cluster, None)
        self._scalers.pop(cluster, None)
        for place in [place for place in list(self._known) if place[0] == str(cluster)]:
            self._known.pop(place, None)

    def _lease_shards(self) -> None:
        """Renew ours, then take free ones up to a fair share of what living workers can hold."""
        me = process_name()
        mine = Shard.objects.filter(owner=me, number__lt=settings.HUB_SHARDS)
        mine.update(lease_until=Now() + LEASE)
        held = set(mine.values_list("number", flat=True))
        workers = max(1, WorkerProcess.objects.filter(role="worker", seen_at__gt=Now() - ALIVE).count())
        share = -(-settings.HUB_SHARDS // workers)
        for number in sorted(held)[share:]:
            Shard.objects.filter(number=number, owner=me).update(owner="", lease_until=None)
            held.discard(number)
        free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
        wanted = Shard.objects.filter(free, number__lt=settings.HUB_SHARDS).values_list("number", flat=True)
        for number in list(wanted)[: max(0, share - len(held))]:
            taken = Shard.objects.filter(free, number=number).update(
                owner=me, lease_until=Now() + LEASE, fence=F("fence") + 1
            )
            if taken:
                held.add(number)
        self._shards = held

    def _event(self, identity: str, event: str, key: ResourceKey, obj: Manifest | None) -> None:
        """One event of a watch, on the loop's thread: decide in microseconds, hint, return."""
        if event == "SYNCED":
            for each in list(self._by_kind.get((identity, key[:2]), ())):
                self._runtime.hint(each)
            return
        if key[:2] in _SCALERS and obj is not None and event != "MODIFIED":
            self._scaled.update((identity, target) for target in scale_targets([obj]))
        app = self._owner(obj)
        if app is None:
            return
        place = (identity, key)
        if event == "DELETED" or obj is None:
            self._known.pop(place, None)
            self._runtime.hint(app)
            return
        now = _fingerprint(obj)
        before, self._known[place] = self._known.get(place), now
        if event == "WRITTEN":
            return
        if before is None or before[0] != now[0] or app in self._restless:
            self._runtime.hint(app)
        elif before != now:
            self._runtime.hint_calmly(app)

    def _hint_scaled(self) -> None:
        """An autoscaler came or went, managed by us or not: the applications of what it scales look again (6.5)."""
        scaled, self._scaled = self._scaled, set()
        for cluster, key in scaled:
            rows = ResourceStatus.objects.filter(application__cluster_id=cluster, **key._asdict())
            for app in rows.values_list("application_id", flat=True).distinct():
                self._runtime.hint(app)

    def _owner(self, obj: Manifest | None) -> uuid.UUID | None:
        annotations = ((obj or {}).get("metadata") or {}).get("annotations") or {}
        tracked = parse_tracking_id(str(annotations.get(TRACKING_ANNOTATION) or ""))
        return self._by_name.get(tracked.application) if tracked else None


def _fingerprint(obj: Manifest) -> tuple[bytes, str]:
    """What may matter of an object: everything but status and bookkeeping, and its health."""
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _BOOKKEEPING}
    if _COUNTED & (annotations := metadata.get("annotations") or {}).keys():
        metadata["annotations"] = {name: text for name, text in annotations.items() if name not in _COUNTED}
    rest = {name: value for name, value in obj.items() if name not in {"metadata", "status"}}
    digest = hashlib.blake2b(orjson.dumps([metadata, rest], option=orjson.OPT_SORT_KEYS), digest_size=16)
    health = assess(obj)
    if speaks_of(obj):
        # A custom rule may read anything of the status, and is not run on the loop's thread.
        digest.update(orjson.dumps(obj.get("status"), option=orjson.OPT_SORT_KEYS))
    return digest.digest(), f"{health.status}:{health.message}" if health else ""
