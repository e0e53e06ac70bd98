"""The gate's requests against a server that misbehaves: what is repeated, what is told, what is never sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clusters import errors, kube
from clusters.core.manifests import ResourceKey
from clusters.kube import metrics
from clusters.kube.tuning import Tuning
from tests.clusters.conftest import Clock
from tests.clusters.faults import FaultServer, Reply, status

KEY = ResourceKey("", "ConfigMap", "shop", "settings")
PATH = "/api/v1/namespaces/shop/configmaps/settings"
COLLECTION = "/api/v1/configmaps"


def config_map(name: str = "settings", **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop", "labels": labels},
        "data": {"a": "1"},
    }


def test_an_apply_goes_out_as_forced_server_side_apply_with_our_manager(server: FaultServer) -> None:
    written = kube.apply(server.connection(), KEY, config_map())
    assert written.created
    assert written.object["metadata"]["uid"]
    sent = server.seen[-1]
    assert (sent.method, sent.path) == ("PATCH", PATH)
    assert sent.query == {"fieldManager": "gitops-hub", "force": "true", "fieldValidation": "Strict"}
    assert sent.headers["Content-Type"] == "application/apply-patch+yaml"
    assert sent.headers["Authorization"] == "Bearer t0ken"
    assert sent.body == config_map()


def test_delete_options_travel_in_the_body_never_in_the_query(server: FaultServer) -> None:
    server.put(PATH, config_map())
    server.script("DELETE", PATH, Reply(body=config_map()))
    kube.delete(server.connection(), KEY, propagation="Background", uid="u1", dry_run=True)
    sent = server.seen[-1]
    assert sent.query == {}
    assert sent.body == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "propagationPolicy": "Background",
        "dryRun": ["All"],
        "preconditions": {"uid": "u1"},
    }


@pytest.mark.parametrize(
    ("reply", "error", "permanent"),
    [
        (Reply(401, status(401, "Unauthorized", "Unauthorized")), errors.Unauthorized, True),
        (Reply(403, status(403, "Forbidden", 'configmaps "x" is forbidden')), errors.Forbidden, True),
        (Reply(404, status(404, "NotFound", 'configmaps "settings" not found')), errors.NotFound, True),
        (Reply(404, "404 page not found"), errors.KindNotServed, True),
        (Reply(410, status(410, "Expired", "too old resource version")), errors.Gone, False),
        (Reply(413, status(413, "RequestEntityTooLarge", "limit is 3145728")), errors.TooLarge, True),
        (Reply(400, status(400, "BadRequest", "strict decoding error")), errors.Invalid, True),
        (Reply(302, "", headers={"Location": "http://127.0.0.1:1/"}), errors.Unavailable, False),
    ],
)
def test_answers_become_errors_that_say_whether_repeating_helps(
    server: FaultServer, clock: Clock, reply: Reply, error: type[errors.ClusterError], permanent: bool
) -> None:
    server.script("GET", PATH, reply, reply, reply, reply)
    with pytest.raises(error) as told:
        kube.get(server.connection(), KEY)
    assert type(told.value) is error
    assert told.value.permanent is permanent


def test_h6_429_is_repeated_after_the_time_the_server_names(server: FaultServer, clock: Clock) -> None:
    busy = Reply(429, "Too many requests, please try again later.", headers={"Retry-After": "3"})
    server.script("PATCH", PATH, busy, busy)
    assert kube.apply(server.connection(), KEY, config_map()).created
    assert clock.slept == [3.0, 3.0]


def test_h6_429_for_longer_than_a_worker_may_wait_is_told_at_once(server: FaultServer, clock: Clock) -> None:
    server.script("PATCH", PATH, Reply(429, "later", headers={"Retry-After": "60"}))
    with pytest.raises(errors.Throttled) as told:
        kube.apply(server.connection(), KEY, config_map())
    assert told.value.retry_after == 60
    assert clock.slept == []


def test_h6_500_is_repeated_three_times_with_growing_pauses_then_told(
    server: FaultServer, clock: Clock
) -> None:
    broken = Reply(500, status(500, "InternalError", 'failed calling webhook "t.ex.io": connection refused'))
    server.script("PATCH", PATH, *[broken] * 4)
    with pytest.raises(errors.Unavailable, match="failed calling webhook"):
        kube.apply(server.connection(), KEY, config_map())
    assert clock.slept == [0.2, 0.4, 0.8]


def test_h9_a_lost_reply_of_an_apply_is_the_same_apply_again(server: FaultServer, clock: Clock) -> None:
    server.script("PATCH", PATH, Reply(drop=True))
    assert kube.apply(server.connection(), KEY, config_map()).object["data"] == {"a": "1"}
    assert server.count("PATCH", PATH) == 2


def test_h9_a_lost_reply_of_a_create_is_not_sent_twice(server: FaultServer, clock: Clock) -> None:
    server.script("POST", "/api/v1/namespaces/shop/configmaps", Reply(drop=True))
    with pytest.raises(errors.Unavailable):
        kube.create(server.connection(), KEY, config_map())
    assert server.count("POST", "/api/v1/namespaces/shop/configmaps") == 1


def test_h6_a_server_that_trickles_for_a_minute_costs_one_time_out(
    server: FaultServer, tune: Callable[..., Tuning]
) -> None:
    tune(request=0.2)
    server.script("GET", PATH, Reply(body={}, delay=60))
    with pytest.raises(errors.TimedOut) as told:
        kube.get(server.connection(), KEY)
    assert told.value.code == "timeout"


def test_cl11_a_dead_server_is_not_asked_after_five_failures_then_tried_once(
    server: FaultServer, clock: Clock
) -> None:
    connection = server.connection()
    kube.discovery(connection)
    server.script("GET", PATH, *[Reply(502, "bad gateway")] * 5)
    for _ in range(3):
        with pytest.raises(errors.Unavailable):
            kube.get(connection, KEY)
        clock.now += 2
    asked = len(server.seen)
    with pytest.raises(errors.CircuitOpen) as told:
        kube.get(connection, KEY)
    assert len(server.seen) == asked
    assert 0 < (told.value.retry_after or 0) <= 30
    clock.now += 30
    server.put(PATH, config_map())
    assert kube.get(connection, KEY)["data"] == {"a": "1"}


def test_h6_a_sick_cluster_leaves_the_other_one_alone(
    server: FaultServer, tune: Callable[..., Tuning]
) -> None:
    tune(request=1.0)
    healthy = FaultServer()
    try:
        healthy.put(PATH, config_map())
        sick, well = server.connection("sick", max_in_flight=2), healthy.connection("well")
        kube.discovery(sick)
        kube.discovery(well)
        server.script("GET", PATH, *[Reply(body={}, delay=60)] * 8)
        with ThreadPoolExecutor(8) as pool:
            stuck = [pool.submit(kube.get, sick, KEY) for _ in range(6)]
            assert [kube.get(well, KEY)["data"] for _ in range(20)] == [{"a": "1"}] * 20
            assert not any(one.done() for one in stuck)
            assert {type(one.exception()) for one in stuck} == {errors.TimedOut}
    finally:
        healthy.close()


def test_no_more_requests_are_in_flight_than_the_cluster_permits(server: FaultServer) -> None:
    connection = server.connection(max_in_flight=3)
    kube.discovery(connection)
    server.script("GET", PATH, *[Reply(body=config_map(), delay=0.05)] * 12)
    running = []
    original = server._scripted
    inside = 0
    lock = threading.Lock()

    async def counted(*args: Any) -> Any:
        nonlocal inside
        with lock:
            inside += 1
            running.append(inside)
        try:
            return await original(*args)
        finally:
            with lock:
                inside -= 1

    server._scripted = counted  # type: ignore[method-assign]
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: kube.get(connection, KEY), range(12)))
    assert max(running) == 3


def test_a_list_reads_every_page_and_says_that_it_is_complete(
    server: FaultServer, tune: Callable[..., Tuning]
) -> None:
    tune(page=2)
    for number in range(5):
        server.put(f"/api/v1/namespaces/shop/configmaps/c{number}", config_map(f"c{number}", team="a"))
    listing = kube.list_kind(server.connection(), "", "ConfigMap", selector="team=a")
    assert listing.complete
    assert [item.key.name for item in listing.items] == ["c0", "c1", "c2", "c3", "c4"]
    assert listing.items[0].manifest()["kind"] == "ConfigMap"
    assert server.count("GET", COLLECTION) == 3


def test_h7_a_lapsed_page_is_thrown_away_and_the_list_begins_anew(
    server: FaultServer, tune: Callable[..., Tuning]
) -> None:
    tune(page=2)
    for number in range(3):
        server.put(f"/api/v1/namespaces/shop/configmaps/c{number}", config_map(f"c{number}"))
    page = {"metadata": {"resourceVersion": "5", "continue": "x"}, "items": [{"metadata": {"name": "old"}}]}
    server.script("GET", COLLECTION, Reply(body=page), Reply(410, status(410, "Expired", "lapsed")))
    listing = kube.list_kind(server.connection(), "", "ConfigMap")
    assert listing.complete
    assert [item.key.name for item in listing.items] == ["c0", "c1", "c2"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(500, status(500, "InternalError", "etcd is away")), errors.Unavailable),
        (Reply(403, status(403, "Forbidden", "cannot list")), errors.Forbidden),
        (Reply(404, "404 page not found"), errors.KindNotServed),
        (Reply(200, "<html>a login page</html>"), errors.Unavailable),
    ],
)
def test_h6_a_list_that_fails_halfway_is_never_complete(
    server: FaultServer, clock: Clock, reply: Reply, error: type[errors.ClusterError]
) -> None:
    page = {"metadata": {"resourceVersion": "5", "continue": "x"}, "items": [{"metadata": {"name": "a"}}]}
    server.script("GET", COLLECTION, Reply(body=page), *[reply] * 4)
    listing = kube.list_kind(server.connection(), "", "ConfigMap")
    assert not listing.complete
    assert listing.items == []
    assert type(listing.error) is error


def test_cl9_a_restricted_cluster_is_listed_namespace_by_namespace(server: FaultServer) -> None:
    server.put(PATH, config_map())
    server.put("/api/v1/namespaces/other/configmaps/x", config_map("x"))
    connection = server.connection(namespaces=("shop", "bank"), cluster_resources=False)
    listing = kube.list_kind(connection, "", "ConfigMap")
    assert [str(item.key) for item in listing.items] == ["ConfigMap/shop/settings"]
    assert listing.complete
    spaces = kube.list_kind(connection, "", "Namespace")
    assert not spaces.complete
    assert isinstance(spaces.error, errors.ListIncomplete)
    assert server.count("GET", COLLECTION) == 0


def test_a_missing_kind_is_looked_for_again_without_a_body(server: FaultServer, clock: Clock) -> None:
    connection = server.connection()
    widget = ResourceKey("ex.io", "Widget", "shop", "w")
    with pytest.raises(errors.KindNotServed):
        kube.get(connection, widget)
    clock.now += 60
    server.kinds["ex.io", "v1"] = [("widgets", "Widget", True)]
    server.put("/apis/ex.io/v1/namespaces/shop/widgets/w", {"metadata": {}})
    assert kube.get(connection, widget)["kind"] == "Widget"


def test_a_group_that_does_not_answer_is_unknown_not_absent(server: FaultServer) -> None:
    server.stale_groups.add("apps")
    connection = server.connection()
    assert kube.discovery(connection).broken_groups == {"apps"}
    with pytest.raises(errors.Unavailable, match="does not answer"):
        kube.get(connection, ResourceKey("apps", "Deployment", "shop", "web"))


def test_legacy_discovery_finds_the_same_kinds(server: FaultServer) -> None:
    modern = kube.discovery(server.connection("modern"))
    server.legacy_discovery = True
    legacy = kube.discovery(server.connection("legacy"))
    assert set(legacy.kinds) == set(modern.kinds)
    assert legacy.find("apps", "Deployment").resource == "deployments"  # type: ignore[union-attr]
    assert legacy.find("apps", "Deployment").subresources == {"status"}  # type: ignore[union-attr]


def test_legacy_discovery_marks_a_group_that_cannot_be_read(server: FaultServer, clock: Clock) -> None:
    server.legacy_discovery = True
    server.script("GET", "/apis/apps/v1", *[Reply(503, "unavailable")] * 2)
    assert kube.discovery(server.connection()).broken_groups == {"apps"}


def test_no_name_climbs_out_of_its_path(server: FaultServer) -> None:
    connection = server.connection()
    for name in ("..", ".", ""):
        with pytest.raises(errors.Invalid):
            kube.get(connection, ResourceKey("", "ConfigMap", "shop", name))
    with pytest.raises(errors.NotFound):
        kube.get(connection, ResourceKey("", "ConfigMap", "shop", "../../kube-system/secrets/x?watch=1#"))
    assert server.seen[-1].path == "/api/v1/namespaces/shop/configmaps/../../kube-system/secrets/x?watch=1#"
    assert server.seen[-1].query == {}


def test_an_older_connection_never_brings_old_credentials_back(server: FaultServer) -> None:
    server.put(PATH, config_map())
    old, new = server.connection(), server.connection(generation=2, token="fresh")
    kube.get(old, KEY)
    kube.get(new, KEY)
    kube.get(old, KEY)
    assert [one.headers["Authorization"] for one in server.seen if one.path == PATH] == [
        "Bearer t0ken",
        "Bearer fresh",
        "Bearer fresh",
    ]


def test_impersonation_is_per_request_and_shares_the_session(server: FaultServer) -> None:
    server.put(PATH, config_map())
    kube.get(server.connection(impersonate_user="system:serviceaccount:a:b"), KEY)
    kube.get(server.connection(), KEY)
    users = [one.headers.get("Impersonate-User") for one in server.seen if one.path == PATH]
    assert users == ["system:serviceaccount:a:b", None]


def test_every_request_is_counted_by_cluster_verb_and_code(server: FaultServer) -> None:
    connection = server.connection("counted")
    server.put(PATH, config_map())
    kube.get(connection, KEY)
    with pytest.raises(errors.NotFound):
        kube.get(connection, ResourceKey("", "ConfigMap", "shop", "other"))
    assert metrics.snapshot()[metrics.Call("counted", "get", "200")] == 1
    assert metrics.snapshot()[metrics.Call("counted", "get", "404")] == 1
    assert metrics.total("counted", verb="get") == 2


def test_e9_addresses_that_may_not_be_dialled_are_refused_before_any_byte(server: FaultServer) -> None:
    for options in (
        {"allow_loopback": False},
        {"server": "https://10.1.2.3:6443", "allow_loopback": True},
        {"server": "https://169.254.169.254", "private_networks": ("0.0.0.0/0",)},
        {"server": "http://8.8.8.8", "allow_loopback": False},
        {"server": "https://user:pw@8.8.8.8"},
    ):
        with pytest.raises(errors.AddressRefused):
            kube.discovery(server.connection(str(options), **options))
    assert server.seen == []


def test_plain_functions_refuse_to_wait_on_their_own_loop(server: FaultServer) -> None:
    from clusters.kube import loop

    async def wrong() -> None:
        kube.get(server.connection(), KEY)

    with pytest.raises(RuntimeError, match="own loop"):
        loop.run(wrong())
