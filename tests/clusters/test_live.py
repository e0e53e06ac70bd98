"""The live state: by LIST without a watch, from memory with one; partial knowledge never looks like absence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clusters import errors, kube, live
from clusters.core.connection import Connection
from clusters.core.manifests import MANAGED_BY_LABEL, TRACKING_ANNOTATION, ResourceKey
from clusters.core.plan.steps import Action, Step
from clusters.kube import metrics
from clusters.kube.tuning import Tuning
from clusters.live.state import LiveState
from clusters.services import carry_out
from tests.clusters.faults import FaultServer, Reply, status

HUB = "hub1"
CONFIG = ("", "ConfigMap")
COLLECTION = "/api/v1/configmaps"
FAST = {"watch_first_pause": 0.01, "watch_longest_pause": 0.02, "first_wait": 0.01}


class Events:
    """What a listener was told, and which writes of our own it was shown."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.written: list[str] = []

    def __call__(self, identity: str, event: str, key: ResourceKey, obj: dict[str, Any] | None) -> None:
        if event == "WRITTEN":
            self.written.append(key.name)
        else:
            self.told.append((event, key.name))

    def clear(self) -> None:
        self.told.clear()


@pytest.fixture
def events(server: FaultServer, tune: Callable[..., Tuning]) -> Iterator[Events]:
    tune(**FAST)
    made = Events()
    live.set_listener(made)
    yield made
    live.set_listener(None)
    live.unwatch_cluster("c1")


def key(name: str, kind: tuple[str, str] = CONFIG) -> ResourceKey:
    return ResourceKey(*kind, "shop", name)


def path(name: str) -> str:
    return f"/api/v1/namespaces/shop/configmaps/{name}"


def config_map(name: str, owner: str = "shop", *, labelled: bool = True, data: str = "1") -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "shop"}
    if labelled:
        metadata["labels"] = {MANAGED_BY_LABEL: HUB}
        metadata["annotations"] = {TRACKING_ANNOTATION: f"{owner}:/ConfigMap:shop/{name}"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": data}}


def see(connection: Connection, *keys: ResourceKey, owner: str | None = "shop", **more: Any) -> LiveState:
    return live.live_state(connection, hub_id=HUB, kinds=[CONFIG], keys=keys, owner=owner, **more)


def until(what: Callable[[], object], deadline: float = 10.0) -> None:
    end = time.monotonic() + deadline
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def watch(server: FaultServer, *kinds: tuple[str, str]) -> Connection:
    connection = server.connection()
    live.watch_cluster(connection, HUB, kinds or [CONFIG])
    until(lambda: all(one.healthy for one in live.freshness("c1").values()))
    return connection


# --- without a watch -------------------------------------------------------------------------------------------
def test_without_a_watch_one_list_by_label_shows_what_is_ours(server: FaultServer) -> None:
    server.put(path("mine"), config_map("mine"))
    server.put(path("extra"), config_map("extra"))
    server.put(path("other"), config_map("other", owner="bank"))
    server.put(path("foreign"), config_map("foreign", labelled=False))
    state = see(server.connection(), key("mine"))
    assert sorted(one.name for one in state.objects) == ["extra", "mine"]
    assert state.complete == {CONFIG: True}
    assert state.objects[key("mine")]["data"] == {"a": "1"}
    assert server.count("GET", COLLECTION) == 1
    assert state.discovery.find("", "ConfigMap") is not None
    everything = see(server.connection(), owner=None)
    assert sorted(one.name for one in everything.objects) == ["extra", "mine", "other"]


def test_a_target_without_label_is_found_by_a_get_and_absence_is_proven_by_one(server: FaultServer) -> None:
    server.put(path("plain"), config_map("plain", labelled=False))
    state = see(server.connection(), key("plain"), key("nowhere"))
    assert key("plain") in state.objects
    assert state.absent == {key("nowhere")}


def test_more_than_twenty_missing_targets_share_one_metadata_list(
    server: FaultServer, tune: Callable[..., Tuning]
) -> None:
    connection = server.connection()
    server.put(path("c3"), config_map("c3", labelled=False))
    wanted = [key(f"c{number}") for number in range(30)]
    state = see(connection, *wanted)
    assert set(state.objects) == {key("c3")}
    assert len(state.absent) == 29
    see(connection, *wanted)
    shared = [one for one in server.seen if one.path == COLLECTION and "labelSelector" not in one.query]
    assert len(shared) == 1
    assert "PartialObjectMetadataList" in shared[0].headers["Accept"]
    assert metrics.total("c1", verb="get") >= 2


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(500, status(500, "InternalError", "etcd is away")), "unavailable"),
        (Reply(403, status(403, "Forbidden", "cannot list")), "forbidden"),
        (Reply(401, status(401, "Unauthorized", "Unauthorized")), "unauthorized"),
    ],
)
def test_h6_a_kind_that_cannot_be_listed_is_unknown_never_absent(
    server: FaultServer, tune: Callable[..., Tuning], reply: Reply, error: str
) -> None:
    tune(**FAST)
    server.put(path("mine"), config_map("mine"))
    server.script("GET", COLLECTION, reply, reply)
    state = see(server.connection(), key("mine"), key("nowhere"))
    assert state.complete == {CONFIG: False}
    assert state.errors[CONFIG].code == error
    assert not state.absent
    assert not state.objects
    assert set(state.unknown) == {key("mine"), key("nowhere")}


def test_h6_a_get_that_fails_proves_nothing(server: FaultServer, tune: Callable[..., Tuning]) -> None:
    tune(**FAST)
    server.script("GET", path("gone"), *[Reply(503, status(503, "ServiceUnavailable", "no"))] * 2)
    state = see(server.connection(), key("gone"))
    assert state.complete == {CONFIG: True}
    assert not state.absent
    assert state.unknown[key("gone")].code == "unavailable"


def test_a_kind_that_discovery_does_not_know_has_no_objects(server: FaultServer) -> None:
    widget = ResourceKey("ex.io", "Widget", "shop", "w")
    state = see(server.connection(), widget)
    assert state.absent == {widget}
    assert state.complete["ex.io", "Widget"] is False
    assert isinstance(state.errors["ex.io", "Widget"], errors.KindNotServed)


def test_a_broken_group_is_unknown_and_the_other_kinds_are_seen(server: FaultServer) -> None:
    server.stale_groups.add("apps")
    server.put(path("mine"), config_map("mine"))
    web = ResourceKey("apps", "Deployment", "shop", "web")
    state = see(server.connection(), web, key("mine"))
    assert state.complete == {CONFIG: True, ("apps", "Deployment"): False}
    assert set(state.unknown) == {web}
    assert set(state.objects) == {key("mine")}


def test_a_cluster_that_cannot_be_asked_at_all_is_an_error(
    server: FaultServer, tune: Callable[..., Tuning]
) -> None:
    tune(**FAST)
    with pytest.raises(errors.Unavailable):
        see(server.connection(server="http://127.0.0.1:1"), key("mine"))


# --- with a watch ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("streaming", [True, False])
def test_a_watched_kind_is_answered_from_memory_without_a_request(
    server: FaultServer, events: Events, streaming: bool, tune: Callable[..., Tuning]
) -> None:
    live.watching._no_streaming_list.clear()
    server.streaming_list = streaming
    server.put(path("mine"), config_map("mine"))
    connection = watch(server)
    asked = len(server.seen)
    state = see(connection, key("mine"))
    assert state.objects[key("mine")]["data"] == {"a": "1"}
    assert state.complete == {CONFIG: True}
    assert state.watched == {CONFIG}
    assert len(server.seen) == asked
    live.watching._no_streaming_list.clear()


def test_a_change_is_told_and_seen(server: FaultServer, events: Events) -> None:
    connection = watch(server)
    assert events.told == [("SYNCED", "")]
    server.put(path("mine"), config_map("mine"))
    until(lambda: ("ADDED", "mine") in events.told)
    server.put(path("mine"), config_map("mine", data="2"))
    until(lambda: ("MODIFIED", "mine") in events.told)
    assert see(connection, key("mine")).objects[key("mine")]["data"] == {"a": "2"}
    server.remove(path("mine"))
    until(lambda: ("DELETED", "mine") in events.told)
    assert see(connection, key("mine")).absent == {key("mine")}


def test_h7_the_same_version_twice_is_told_once(server: FaultServer, events: Events) -> None:
    watch(server)
    stored = server.put(path("mine"), config_map("mine"))
    server.emit(COLLECTION, {"type": "MODIFIED", "object": stored})
    server.put(path("last"), config_map("last"))
    until(lambda: ("ADDED", "last") in events.told)
    assert events.told.count(("ADDED", "mine")) + events.told.count(("MODIFIED", "mine")) == 1


@pytest.mark.parametrize("clean", [True, False])
def test_h7_a_dropped_watch_goes_on_where_it_was(server: FaultServer, events: Events, clean: bool) -> None:
    watch(server)
    server.put(path("a"), config_map("a"))
    until(lambda: ("ADDED", "a") in events.told)
    version = server.objects[path("a")]["metadata"]["resourceVersion"]
    server.cut_watches(COLLECTION, clean=clean)
    until(lambda: sum(one.method == "WATCH" for one in server.seen) == 2 and server.watches(COLLECTION) == 1)
    assert server.seen[-1].query["resourceVersion"] == version
    assert "sendInitialEvents" not in server.seen[-1].query
    server.put(path("b"), config_map("b"))
    until(lambda: ("ADDED", "b") in events.told)


def test_h7_a_lapsed_watch_is_listed_anew_and_deletions_are_computed(
    server: FaultServer, events: Events
) -> None:
    server.put(path("gone"), config_map("gone"))
    server.put(path("stays"), config_map("stays"))
    server.put(path("changes"), config_map("changes"))
    connection = watch(server)
    events.clear()
    server.mute_watch_events = True
    server.remove(path("gone"))
    server.put(path("changes"), config_map("changes", data="2"))
    server.put(path("new"), config_map("new"))
    server.mute_watch_events = False
    lapsed = {"type": "ERROR", "object": status(410, "Expired", "too old resource version: 1 (79045)")}
    server.emit(COLLECTION, lapsed)
    until(lambda: ("SYNCED", "") in events.told)
    assert sorted(events.told) == [
        ("ADDED", "new"),
        ("DELETED", "gone"),
        ("MODIFIED", "changes"),
        ("SYNCED", ""),
    ]
    assert live.freshness("c1")[CONFIG].complete
    assert sorted(one.name for one in see(connection).objects) == ["changes", "new", "stays"]


def test_h7_between_a_410_and_the_next_full_list_nothing_is_believed_complete(
    server: FaultServer, events: Events
) -> None:
    server.put(path("mine"), config_map("mine"))
    connection = watch(server)
    server.script("WATCH", COLLECTION, *[Reply(500, status(500, "", "no"))] * 500)
    server.script("GET", COLLECTION, *[Reply(500, status(500, "", "no"))] * 2)
    server.emit(COLLECTION, {"type": "ERROR", "object": status(410, "Expired", "old")})
    until(lambda: not live.freshness("c1")[CONFIG].complete)
    state = see(connection, key("mine"), key("nowhere"))
    assert state.complete == {CONFIG: False}
    assert not state.absent


def test_cl10_a_kind_that_may_not_be_watched_is_incomplete_and_says_why(
    server: FaultServer, events: Events
) -> None:
    live.watching._no_streaming_list.clear()
    server.script("WATCH", COLLECTION, *[Reply(403, status(403, "Forbidden", "cannot watch"))] * 500)
    connection = server.connection()
    live.watch_cluster(connection, HUB, [CONFIG, ("", "Secret")])
    until(lambda: live.freshness("c1")[CONFIG].error is not None)
    until(lambda: live.freshness("c1")["", "Secret"].healthy)
    told = live.freshness("c1")[CONFIG]
    assert (told.complete, told.healthy) == (False, False)
    assert told.error is not None and told.error.code == "forbidden"


def test_a_stripped_label_reads_as_deleted_and_one_get_tells(server: FaultServer, events: Events) -> None:
    stored = server.put(path("mine"), config_map("mine"))
    connection = watch(server)
    server.mute_watch_events = True
    server.put(path("mine"), {**config_map("mine", labelled=False), "metadata": {"labels": {}}})
    server.emit(COLLECTION, {"type": "DELETED", "object": stored})
    until(lambda: ("DELETED", "mine") in events.told)
    state = see(connection, key("mine"))
    assert key("mine") in state.objects
    assert not state.absent


def test_a_silent_watch_is_dead_and_opened_anew(
    server: FaultServer, events: Events, tune: Callable[..., Tuning]
) -> None:
    tune(watch_silence=0.1)
    watch(server)
    until(lambda: sum(one.method == "WATCH" for one in server.seen) >= 2)


def test_the_kinds_of_a_watch_can_change(server: FaultServer, events: Events) -> None:
    connection = watch(server)
    live.watch_cluster(connection, HUB, [("", "Secret")])
    until(lambda: server.watches(COLLECTION) == 0 and server.watches("/api/v1/secrets") == 1)
    assert set(live.freshness("c1")) == {("", "Secret")}
    live.unwatch_cluster("c1")
    until(lambda: server.watches("/api/v1/secrets") == 0)
    assert live.freshness("c1") == {}


def test_new_credentials_go_on_where_the_old_ones_were(server: FaultServer, events: Events) -> None:
    server.put(path("mine"), config_map("mine"))
    watch(server)
    events.clear()
    newer = server.connection(generation=2, token="fresh")
    live.watch_cluster(newer, HUB, [CONFIG])
    until(
        lambda: (
            server.seen[-1].headers.get("Authorization") == "Bearer fresh" and server.watches(COLLECTION) == 1
        )
    )
    assert "sendInitialEvents" not in server.seen[-1].query
    server.put(path("b"), config_map("b"))
    until(lambda: ("ADDED", "b") in events.told)
    assert events.told == [("ADDED", "b")]


def test_another_address_is_another_cluster_and_nothing_is_kept(server: FaultServer, events: Events) -> None:
    server.put(path("mine"), config_map("mine"))
    watch(server)
    other = FaultServer()
    try:
        live.watch_cluster(other.connection(generation=2), HUB, [CONFIG])
        until(lambda: live.freshness("c1")[CONFIG].healthy)
        assert live.memory("c1") == (0, 0)
    finally:
        live.unwatch_cluster("c1")
        other.close()


def test_a_restricted_cluster_is_watched_namespace_by_namespace(server: FaultServer, events: Events) -> None:
    server.put(path("mine"), config_map("mine"))
    connection = server.connection(namespaces=("shop", "bank"))
    live.watch_cluster(connection, HUB, [CONFIG])
    until(lambda: live.freshness("c1")[CONFIG].healthy)
    assert server.watches("/api/v1/namespaces/shop/configmaps") == 1
    assert server.watches("/api/v1/namespaces/bank/configmaps") == 1
    assert [one.name for one in see(connection).objects] == ["mine"]


def test_versions_are_the_cheapest_look_and_need_a_healthy_watch(server: FaultServer, events: Events) -> None:
    mine = server.put(path("mine"), config_map("mine"))["metadata"]["resourceVersion"]
    extra = server.put(path("extra"), config_map("extra"))["metadata"]["resourceVersion"]
    server.put(path("other"), config_map("other", owner="bank"))
    assert live.versions("c1", HUB, [key("mine")], "shop") is None
    watch(server)
    asked = len(server.seen)
    assert live.versions("c1", HUB, [key("mine"), key("nowhere")], "shop") == {
        key("mine"): mine,
        key("extra"): extra,
    }
    assert live.versions("c1", "another hub", [key("mine")], "shop") is None
    assert live.versions("c1", HUB, [ResourceKey("", "Secret", "shop", "s")], "shop") is None
    assert len(server.seen) == asked


@pytest.mark.parametrize("watched", [True, False])
def test_everything_shows_objects_without_our_label(
    server: FaultServer, events: Events, watched: bool
) -> None:
    server.put(path("mine"), config_map("mine"))
    server.put(path("foreign"), config_map("foreign", labelled=False))
    connection = server.connection()
    if watched:
        live.watch_cluster(connection, HUB, [], unlabelled=[CONFIG])
        until(lambda: live.freshness("c1")[CONFIG].healthy)
    asked = len(server.seen)
    state = live.everything(connection, [CONFIG])
    assert sorted(one.name for one in state.objects) == ["foreign", "mine"]
    assert state.complete == {CONFIG: True}
    assert (len(server.seen) == asked) is watched
    assert sorted(one.name for one in see(connection, owner=None).objects) == ["mine"]


# --- our own writes --------------------------------------------------------------------------------------------
def test_the_event_of_our_own_apply_is_not_told_and_the_answer_is_in_memory(
    server: FaultServer, events: Events
) -> None:
    connection = watch(server)
    events.clear()
    for number in range(20):
        body = config_map("mine", data=str(number))
        (outcome,) = carry_out(connection, Step("apply", "t", ((Action("apply", key("mine"), body),),)))
        assert outcome.ok and outcome.changed
        assert see(connection, key("mine")).objects[key("mine")]["data"] == {"a": str(number)}
    server.put(path("last"), config_map("last"))
    until(lambda: ("ADDED", "last") in events.told)
    assert events.told == [("ADDED", "last")]
    assert events.written == ["mine"] * 20


def test_a_change_by_others_after_our_apply_is_told(server: FaultServer, events: Events) -> None:
    connection = watch(server)
    carry_out(connection, Step("apply", "t", ((Action("apply", key("mine"), config_map("mine")),),)))
    events.clear()
    server.put(path("mine"), config_map("mine", data="by hand"))
    until(lambda: ("MODIFIED", "mine") in events.told)


def test_events_held_during_a_failed_write_are_told_afterwards(server: FaultServer, events: Events) -> None:
    server.put(path("mine"), config_map("mine"))
    connection = watch(server)
    events.clear()
    server.script("PATCH", path("mine"), Reply(403, status(403, "Forbidden", "no"), delay=0.3))
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        step = Step("apply", "t", ((Action("apply", key("mine"), config_map("mine")),),))
        running = pool.submit(carry_out, connection, step)
        until(lambda: server.count("PATCH", path("mine")) == 1)
        server.put(path("mine"), config_map("mine", data="by hand"))
        server.put(path("other"), config_map("other"))
        until(lambda: ("ADDED", "other") in events.told)
        assert ("MODIFIED", "mine") not in events.told
        assert not running.result()[0].ok
    assert ("MODIFIED", "mine") in events.told


def test_our_own_delete_is_not_told_and_leaves_memory_at_once(server: FaultServer, events: Events) -> None:
    server.put(path("mine"), config_map("mine"))
    connection = watch(server)
    events.clear()
    carry_out(connection, Step("prune", "t", ((Action("delete", key("mine")),),)))
    assert see(connection, key("mine")).absent == {key("mine")}
    server.put(path("last"), config_map("last"))
    until(lambda: ("ADDED", "last") in events.told)
    assert events.told == [("ADDED", "last")]


def test_an_apply_in_another_version_is_our_own_write_too(server: FaultServer, events: Events) -> None:
    """The watch shows the preferred version: the answer is not put in its place, but its event is not news."""
    server.put(path("mine"), config_map("mine"))
    connection = watch(server)
    events.clear()
    stored = {**config_map("mine", data="2"), "apiVersion": "v1"}
    answer = {**server.put(path("unseen"), config_map("unseen")), "apiVersion": "v0"}
    until(lambda: ("ADDED", "unseen") in events.told)
    answer["metadata"] = {**server.objects[path("mine")]["metadata"], "resourceVersion": "9999"}
    server.script("PATCH", path("mine"), Reply(200, answer))
    carry_out(connection, Step("apply", "t", ((Action("apply", key("mine"), stored),),)))
    assert see(connection, key("mine")).objects[key("mine")]["apiVersion"] == "v1"
    event = {**config_map("mine", data="2")}
    event["metadata"] = answer["metadata"]
    server.emit(COLLECTION, {"type": "MODIFIED", "object": event})
    server.put(path("last"), config_map("last"))
    until(lambda: ("ADDED", "last") in events.told)
    assert ("MODIFIED", "mine") not in events.told
    assert see(connection, key("mine")).objects[key("mine")]["data"] == {"a": "2"}


def test_changed_needs_no_version_from_the_caller_when_the_object_is_watched(
    server: FaultServer, events: Events
) -> None:
    connection = watch(server)
    step = Step("apply", "t", ((Action("apply", key("mine"), config_map("mine")),),))
    assert carry_out(connection, step)[0].changed
    assert not carry_out(connection, step)[0].changed


def test_memory_says_how_much_is_kept_and_managed_fields_are_not(server: FaultServer, events: Events) -> None:
    obj = config_map("mine")
    obj["metadata"]["managedFields"] = [{"manager": "x", "fieldsV1": {f"f:{n}": {} for n in range(500)}}]
    server.put(path("mine"), obj)
    connection = watch(server)
    count, size = live.memory("c1")
    assert count == 1
    assert size < 1000
    assert "managedFields" not in see(connection, key("mine")).objects[key("mine")]["metadata"]


def test_a_listener_that_fails_does_not_end_the_watch(server: FaultServer, events: Events) -> None:
    watch(server)

    def broken(*args: object) -> None:
        events(*args)  # type: ignore[arg-type]
        raise RuntimeError("listener")

    live.set_listener(broken)
    server.put(path("a"), config_map("a"))
    server.put(path("b"), config_map("b"))
    until(lambda: ("ADDED", "b") in events.told)


def test_shutdown_ends_the_sessions_and_the_gate_can_be_used_again(server: FaultServer) -> None:
    connection = server.connection()
    server.put(path("mine"), config_map("mine"))
    kube.get(connection, key("mine"))
    kube.shutdown()
    assert kube.get(connection, key("mine"))["data"] == {"a": "1"}
