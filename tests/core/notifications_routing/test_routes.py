"""Who is told (notifications.md 5, examples 34 to 36)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.core.routing import (
    Defaults,
    NativeSubscription,
    Routing,
    Service,
    Sources,
    destinations_for,
    explain,
    parse_selector,
    read_globals,
)
from notifications.errors import ConfigError

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
SERVICES = [Service(name, name) for name in ("slack", "hook", "email", "team.slack")]
DEFAULTS = Defaults(("on-default",), {"slack": ("on-slack",)})
EVENT = {
    "name": "sync-failed",
    "severity": "error",
    "occurred_at": "2026-01-02T12:00:00Z",
    "app": {"name": "api", "namespace": "team-a", "project": "shop", "labels": {"tier": "prod"}},
    "project": {"name": "shop"},
    "cluster": {"name": "c1", "labels": {"region": "eu"}},
}
P = "notifications.argoproj.io/"


def routing(services: list[Service] = SERVICES, **sources: Any) -> Routing:
    return destinations_for(EVENT, Sources(**sources), services, DEFAULTS, NOW)


def routes(app: dict[str, str] | None = None, **sources: Any) -> list[tuple[str, str, str]]:
    found = routing(app_annotations=app or {}, **sources)
    return [(route.trigger, route.service.name, route.recipient) for route in found.routes]


def test_recipients_are_read_as_written() -> None:
    assert routes({P + "subscribe.on-x.hook": ""}) == [("on-x", "hook", "")]
    assert routes({P + "subscribe.on-x.hook": " ; "}) == []
    assert routes({P + "subscribe.slack": "c"}) == [("on-slack", "slack", "c")]
    assert routes({P + "subscribe..email": "c"}) == [("on-default", "email", "c")]
    url = "https://h:8443/x"
    assert routes(globals=read_globals(f"- recipients: ['hook:{url}']")) == [("on-default", "hook", url)]


def test_recipients_are_split_at_semicolons_and_trimmed() -> None:
    assert routes({P + "subscribe.on-x.slack": " a ;; b"}) == [("on-x", "slack", "a"), ("on-x", "slack", "b")]


def test_the_longest_known_service_ends_a_trigger_name_with_dots() -> None:
    assert routes({P + "subscribe.on.x.team.slack": "a"}) == [("on.x", "team.slack", "a")]
    assert routes({P + "subscribe.on.x.slack": "a"}) == [("on.x", "slack", "a")]


def test_a_list_of_subscriptions_crosses_triggers_and_destinations() -> None:
    text = "- trigger: [a, b]\n  destinations:\n  - service: slack\n    recipients: [x, y]\n  - {service: hook}\n- trigger: [c]"
    assert routes({P + "subscriptions.more": text}) == [
        ("a", "slack", "x"), ("a", "slack", "y"), ("b", "slack", "x"), ("b", "slack", "y"), ("a", "hook", ""),
        ("b", "hook", ""),
    ]  # fmt: skip
    assert routes({P + "subscriptions": "- destinations: [{service: slack, recipients: [x]}]"}) == [
        ("on-slack", "slack", "x")
    ]


def test_broken_yaml_is_an_error_on_that_app_alone() -> None:
    found = routing(app_annotations={P + "subscriptions": "- [", P + "subscribe.on-x.slack": "a"})
    assert [route.recipient for route in found.routes] == ["a"]
    assert [problem.where for problem in found.problems] == ["annotation " + P + "subscriptions"]


def test_the_old_annotation_is_still_read_on_projects() -> None:
    key = "recipients.argocd-notifications.argoproj.io"
    found = routes(project_annotations={"on-x." + key: "slack:a, email:b@example.com", key: "slack:c"})
    assert found == [("on-x", "slack", "a"), ("on-x", "email", "b@example.com"), ("on-slack", "slack", "c")]


def test_two_sources_one_message() -> None:
    note = {P + "subscribe.on-x.slack": "c"}
    found = routing(
        app_annotations=note,
        project_annotations=note,
        globals=read_globals("- recipients: [email:z]\n- recipients: [slack:c]\n  triggers: [on-x]"),
    )
    (route,) = [route for route in found.routes if route.trigger == "on-x"]
    assert route.because == (
        f"annotation {P}subscribe.on-x.slack",
        f"project annotation {P}subscribe.on-x.slack",
        "global #2",
    )


def test_project_annotations_reach_other_namespaces() -> None:
    assert EVENT["app"]["namespace"] == "team-a"  # type: ignore[index]
    found = routes(project_annotations={P + "subscribe.on-x.slack": "shop"})
    assert found == [("on-x", "slack", "shop")]


def test_a_project_service_shadows_the_global_one() -> None:
    services = [
        Service("g", "slack"),
        Service("p", "slack", project="shop"),
        Service("o", "slack", project="other"),
    ]
    found = routing(services, app_annotations={P + "subscribe.on-x.slack": "c"})
    assert [route.service.key for route in found.routes] == ["p"]


def test_a_service_may_restrict_annotations_but_not_operators() -> None:
    services = [
        Service("s", "slack", recipients=("shop-*",), projects=("shop",)),
        Service("e", "email", projects=("x",)),
    ]
    found = routing(
        services,
        app_annotations={P + "subscribe.on-x.slack": "shop-a;other", P + "subscribe.on-x.email": "a"},
        globals=read_globals("- recipients: [slack:any]\n  triggers: [on-x]"),
    )
    assert [route.recipient for route in found.routes] == ["shop-a", "any"]
    assert [str(problem.error) for problem in found.problems] == [
        "the service 'email' is not open to the project 'shop'",
        "the service 'slack' does not allow the recipient 'other'",
    ]


def test_an_unknown_service_or_trigger_is_an_error_and_nothing_is_sent() -> None:
    sources = Sources(app_annotations={P + "subscribe.on-x.nosuch": "c", P + "subscribe.on-y.slack": "c"})
    found = destinations_for(EVENT, sources, SERVICES, DEFAULTS, NOW, triggers=["on-x"])
    assert found.routes == ()
    assert [str(problem.error) for problem in found.problems] == [
        "unknown service 'nosuch'",
        "unknown trigger 'on-y'",
    ]


def test_other_annotations_are_ignored() -> None:
    found = routing(
        app_annotations={"a": "b", P + "refresh": "x", "notified.notifications.argoproj.io": "{}"}
    )
    assert found == Routing((), (), ())


def native(**more: Any) -> list[tuple[str, str, str]]:
    row = NativeSubscription(
        "n", (("slack", "ops"),), **{"events": ("sync-failed", "drift-detected"), **more}
    )
    return routes(natives=[row])


@pytest.mark.parametrize(
    "narrowed",
    [
        {"projects": ("other",)},
        {"namespaces": ("team-b*",)},
        {"app_selector": parse_selector("tier=dev")},
        {"cluster_selector": parse_selector("!region")},
        {"minimum_severity": "critical"},
        {"made_at": NOW + timedelta(seconds=1)},
        {"until": NOW - timedelta(seconds=1)},
        {"events": ("created",)},
    ],
)
def test_a_native_subscription_sees_only_what_it_selects(narrowed: dict[str, Any]) -> None:
    assert native() == [("event:sync-failed", "slack", "ops")]
    assert native(**narrowed) == []


def test_a_native_subscription_may_name_triggers() -> None:
    assert native(triggers=("prod",), events=(), projects=("sh*",), minimum_severity="error") == [
        ("prod", "slack", "ops")
    ]


def test_a_mention_survives_merging() -> None:
    rows = [
        NativeSubscription(n, (("slack", "ops"),), triggers=("t",), mention=m)
        for n, m in (("a", ""), ("b", "@oncall"))
    ]
    (route,) = routing(natives=rows).routes
    assert (route.mention, route.because) == ("@oncall", ("subscription a", "subscription b"))


def test_why_and_why_not_are_answered() -> None:
    row = NativeSubscription("ops", (("slack", "ops"),), events=("sync-failed",), minimum_severity="critical")
    found = routing(natives=[row], app_annotations={P + "subscribe.on-x.slack": "c"})
    assert explain(found, "slack", "c") == [
        f"slack:c is told of on-x because: annotation {P}subscribe.on-x.slack"
    ]
    assert explain(found, "slack", "ops") == [
        "slack:ops is not told of event:sync-failed (subscription ops): the event is below critical"
    ]
    assert explain(found, "slack", "nobody") == ["nobody asked for slack:nobody"]


@pytest.mark.parametrize(
    ("text", "selects"),
    [
        ("", True), ("tier=prod", True), ("tier==prod,team!=x", True), ("tier in (dev, prod)", True),
        ("tier notin (prod)", False), ("team notin (a)", True), ("tier", True), ("!tier", False), ("! team", True),
        ("tier=", False), ("a.b/c=d", False), (" tier = prod , tier ", True),
    ],
)  # fmt: skip
def test_label_selectors_read_as_kubernetes_reads_them(text: str, selects: bool) -> None:
    assert parse_selector(text).matches({"tier": "prod"}) is selects


@pytest.mark.parametrize("text", ["a=b c", "a in b", "=b", "a in (b", "a>1", ",,", "!"])
def test_a_selector_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_selector(text)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([P + "subscribe", P + "subscribe.", P + "subscribe.a.slack", P + "subscriptions", P + "subscriptions.x", P + "subscribe..slack"]), st.text(max_size=40)))  # fmt: skip
def test_no_annotation_breaks_routing(annotations: dict[str, str]) -> None:
    found = routing(app_annotations=annotations)
    assert all(route.service.name in {"slack", "hook", "email", "team.slack"} for route in found.routes)


def test_an_application_without_a_namespace_counts_by_where_it_deploys_to() -> None:
    event = {**EVENT, "app": {"name": "api", "namespace": "", "destination_namespace": "team-a"}}
    for globs, found in ((("team-a*",), 1), (("team-b*",), 0)):
        native = NativeSubscription("n", (("slack", "c"),), events=("sync-failed",), namespaces=globs)
        assert (
            len(destinations_for(event, Sources(natives=[native]), SERVICES, DEFAULTS, NOW).routes) == found
        )


def test_an_explanation_tells_a_wish_from_a_message() -> None:
    found = routing(app_annotations={P + "subscribe.on-x.slack": "c;d"})
    (heard, quiet) = explain(found, "slack", told={("on-x", "slack", "c")})
    assert heard.startswith("slack:c is told of on-x because: ")
    assert quiet.startswith("slack:d asked for on-x, which has nothing new to tell, because: ")
