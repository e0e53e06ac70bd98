"""Watches and lists (api-server-facts C7 and section 5)."""

from __future__ import annotations

import pytest

from tests.live.contract.client import Api, Body

END = "k8s.io/initial-events-end"
STREAM = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def config(name: str, label: str = "yes", **data: str) -> Body:
    metadata = {"name": name, "labels": {"mine": label}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def ended(event: Body) -> bool:
    return event["type"] == "BOOKMARK" and END in event["object"]["metadata"].get("annotations", {})


def names(answer: Body) -> list[str]:
    return [item["metadata"]["name"] for item in answer["items"]]


def test_a_streaming_list_ends_with_a_marked_bookmark(api: Api) -> None:
    api.applied(config("a"))
    api.applied(config("b"))
    api.applied(config("c", "no"))
    with api.watch(config("a"), labelSelector="mine=yes", **STREAM) as stream:
        mark = stream.until(ended)
        added = [e["object"]["metadata"]["name"] for e in stream.events if e["type"] == "ADDED"]
        assert sorted(added) == ["a", "b"]
        assert mark["object"]["kind"] == "ConfigMap"
        assert mark["object"]["apiVersion"] == "v1"
        assert int(mark["object"]["metadata"]["resourceVersion"]) > 0
        api.applied(config("d"))
        event = stream.next()
        assert event is not None
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "d")


@pytest.mark.parametrize("version", ["", "0"])
def test_a_plain_watch_from_nothing_replays_and_marks_the_end(api: Api, version: str) -> None:
    api.applied(config("a"))
    query = {"resourceVersion": version} if version else {}
    with api.watch(config("a"), labelSelector="mine", allowWatchBookmarks="true", **query) as stream:
        stream.until(ended)
        assert [e["type"] for e in stream.events] == ["ADDED", "BOOKMARK"]


def test_a_watch_from_a_version_gives_what_came_after(api: Api) -> None:
    first = api.applied(config("a"))
    api.applied(config("a", x="1"))
    api.delete(config("a"))
    version = first["metadata"]["resourceVersion"]
    with api.watch(config("a"), labelSelector="mine", resourceVersion=version) as stream:
        kinds = [(stream.next() or {}).get("type") for _ in range(2)]
    assert kinds == ["MODIFIED", "DELETED"]


def test_c7_a_stripped_label_looks_like_a_deletion(api: Api) -> None:
    first = api.applied(config("a", x="1"))
    version = first["metadata"]["resourceVersion"]
    with api.watch(config("a"), labelSelector="mine=yes", resourceVersion=version) as stream:
        stripped = api.patch(config("a"), {"metadata": {"labels": {"mine": None}}, "data": {"x": "2"}})
        gone = stream.next()
        assert gone is not None
        assert gone["type"] == "DELETED"
        assert gone["object"]["data"] == {"x": "1"}
        assert gone["object"]["metadata"]["labels"] == {"mine": "yes"}
        assert gone["object"]["metadata"]["resourceVersion"] == stripped.rv
        api.patch(config("a"), {"data": {"x": "3"}})
        back = api.patch(config("a"), {"metadata": {"labels": {"mine": "yes"}}})
        event = stream.next()
        assert event is not None
        assert event["type"] == "ADDED"
        assert event["object"]["metadata"]["resourceVersion"] == back.rv


def test_c7_a_changed_label_and_a_real_deletion_are_both_deleted_events(api: Api) -> None:
    api.applied(config("a"))
    last = api.applied(config("b"))
    version = last["metadata"]["resourceVersion"]
    with api.watch(config("a"), labelSelector="mine=yes", resourceVersion=version) as stream:
        api.patch(config("a"), {"metadata": {"labels": {"mine": "no"}}})
        api.delete(config("b"))
        events = [stream.next() or {} for _ in range(2)]
    assert [e["type"] for e in events] == ["DELETED", "DELETED"]
    assert api.get(config("a")).status == 200
    assert api.get(config("b")).status == 404


def test_no_event_comes_of_a_no_op_apply(api: Api) -> None:
    first = api.applied(config("a"))
    version = first["metadata"]["resourceVersion"]
    with api.watch(config("a"), labelSelector="mine=yes", resourceVersion=version) as stream:
        api.applied(config("a"))
        api.applied(config("b"))
        event = stream.next()
        assert event is not None
        assert event["object"]["metadata"]["name"] == "b"


def test_a_bookmark_comes_before_the_time_is_over_and_then_a_clean_end(api: Api) -> None:
    first = api.applied(config("a"))
    version = first["metadata"]["resourceVersion"]
    query = {"resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": "3"}
    with api.watch(config("a"), labelSelector="mine", **query) as stream:
        mark = stream.until(lambda e: e["type"] == "BOOKMARK")
        assert int(mark["object"]["metadata"]["resourceVersion"]) >= int(version)
        while stream.next() is not None:
            pass


@pytest.mark.parametrize(
    "query",
    [
        {"sendInitialEvents": "true"},
        {"sendInitialEvents": "false"},
        {"sendInitialEvents": "true", "resourceVersionMatch": "Exact"},
        {"resourceVersionMatch": "NotOlderThan", "resourceVersion": "1"},
    ],
    ids=str,
)
def test_options_of_a_watch_that_do_not_go_together_are_422(api: Api, query: dict[str, str]) -> None:
    answer = api.list(config("a"), watch="1", timeoutSeconds="1", **query)
    assert answer.status == 422
    assert answer.body["details"]["kind"] == "ListOptions"


def test_a_streaming_list_from_the_future_is_an_error_event(api: Api) -> None:
    with api.watch(config("a"), resourceVersion="99999999", **STREAM) as stream:
        event = stream.next()
        assert event is not None
        assert event["type"] == "ERROR"
        assert "Too large resource version" in event["object"]["message"]


def test_a_garbage_version_is_refused(api: Api) -> None:
    watch = api.list(config("a"), watch="1", resourceVersion="abc")
    assert watch.status == 500
    assert 'resourceVersion: Invalid value: "abc"' in watch.body["message"]
    assert api.list(config("a"), resourceVersion="abc").status == 400


def test_metadata_only_watches_and_lists(api: Api) -> None:
    first = api.applied(config("a", x="1"))
    path = f"/api/v1/namespaces/{api.namespace}/configmaps"
    listed = api.request("GET", path, headers={"Accept": PARTIAL_LIST}, labelSelector="mine").body
    assert listed["items"][0]["metadata"]["name"] == "a"
    assert "data" not in listed["items"][0]
    assert listed["kind"] == "PartialObjectMetadataList"
    version = first["metadata"]["resourceVersion"]
    with api.watch(config("a"), accept=PARTIAL, resourceVersion=version, labelSelector="mine") as stream:
        api.applied(config("a", x="2"))
        event = stream.next()
        assert event is not None
        assert event["object"]["kind"] == "PartialObjectMetadata"
        assert "data" not in event["object"]


def test_a_list_by_pages_is_one_moment(api: Api) -> None:
    for name in ("a", "b", "c"):
        api.applied(config(name))
    first = api.list(config("a"), limit="2").body
    assert names(first) == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] >= 1
    api.delete(config("c"))
    api.applied(config("d"))
    second = api.list(config("a"), limit="10", **{"continue": first["metadata"]["continue"]}).body
    assert "c" in names(second)
    assert "d" not in names(second)
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert "continue" not in second["metadata"]


def test_pages_by_label_do_not_count_the_rest(api: Api) -> None:
    for name in ("a", "b", "c"):
        api.applied(config(name))
    page = api.list(config("a"), limit="1", labelSelector="mine").body
    assert "continue" in page["metadata"]
    assert "remainingItemCount" not in page["metadata"]


def test_a_limit_is_ignored_for_version_zero(api: Api) -> None:
    for name in ("a", "b"):
        api.applied(config(name))
    page = api.list(config("a"), limit="1", resourceVersion="0", labelSelector="mine").body
    assert len(page["items"]) == 2


def test_an_exact_list_is_the_past(api: Api) -> None:
    api.applied(config("a"))
    version = api.applied(config("b"))["metadata"]["resourceVersion"]
    api.delete(config("a"))
    query = {"resourceVersion": version, "resourceVersionMatch": "Exact", "labelSelector": "mine"}
    assert names(api.list(config("a"), **query).body) == ["a", "b"]


@pytest.mark.parametrize(
    "query",
    [
        {"resourceVersionMatch": "Exact"},
        {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
        {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"},
    ],
    ids=str,
)
def test_options_of_a_list_that_do_not_go_together_are_422(api: Api, query: dict[str, str]) -> None:
    assert api.list(config("a"), **query).status == 422


def test_a_list_from_the_future_times_out(api: Api) -> None:
    answer = api.list(config("a"), resourceVersion="99999999", resourceVersionMatch="NotOlderThan")
    assert answer.status == 504
    assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("mine=yes", ["a"]),
        ("mine==no", ["b"]),
        ("mine!=yes", ["b"]),
        ("mine in (yes, no)", ["a", "b"]),
        ("mine notin (yes)", ["b"]),
        ("mine", ["a", "b"]),
        ("!mine", []),
        ("mine,mine!=no", ["a"]),
    ],
)
def test_label_selectors(api: Api, selector: str, found: list[str]) -> None:
    api.applied(config("a"))
    api.applied(config("b", "no"))
    listed = names(api.list(config("a"), labelSelector=selector).body)
    assert [name for name in listed if name != "kube-root-ca.crt"] == found


def test_field_selectors(api: Api) -> None:
    api.applied(config("a"))
    assert names(api.list(config("a"), fieldSelector="metadata.name=a").body) == ["a"]
    assert api.list(config("a"), fieldSelector="data.a=1").status == 400


def test_a_list_names_its_kind_and_version(api: Api) -> None:
    listed = api.list(config("a")).body
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert "continue" not in listed["metadata"]
