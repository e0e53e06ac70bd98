"""A configuration of Argo CD, key by key (notifications.md 4.1)."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.core.imports import Imported, import_config, import_told, secret_values

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
CONFIG = yaml.safe_load(Path("tests/data/notifications/argocd-notifications-cm.yaml").read_text())
MANY_LINES = "-----BEGIN KEY-----\nabc: [x]\n-----END KEY-----\n"
SECRET = {
    "data": {"slack-token": base64.b64encode(b"xoxb-1").decode(), "bad": "%%%"},
    "stringData": {"path": "p", "hook-token": "t", "key": MANY_LINES},
}


def imported(data: dict[str, Any] | None = None) -> Imported:
    config = CONFIG if data is None else {"data": data}
    return import_config(config, SECRET, {"more": {"stringData": {"token": "deep"}}})


def outcomes(made: Imported) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for line in made.report:
        found.setdefault(line.key, []).append((line.outcome, line.sentence))
    return found


def test_each_key_is_taken_remarked_or_refused_alone() -> None:
    report = outcomes(imported())
    assert report["trigger.on-deployed"] == [("taken", "")]
    assert report["subscriptions"] == [("taken", "")]
    assert report["trigger.broken"][0][0] == "refused"
    assert report["template.bad"] == [("refused", "message: unknown function nosuch")]
    assert report["service.carrier-pigeon"] == [("refused", "the service type 'carrier-pigeon' is not known")]
    assert report["service.email"] == [("refused", "a service is a map of settings")]
    assert report["something"] == [("refused", "this key is not known")]
    assert report["config.yaml"][0][0] == "refused"
    assert ("remark", "telegram is not supported yet") in report["service.telegram"]
    assert ("remark", "$unknown-name is in no Secret and stays as it is written") in report["service.slack"]
    assert report["template.deployed"] == [
        ("remark", "a value that begins with {{ is read as if it were in quotes")
    ]


def test_what_was_taken_is_there() -> None:
    made = imported()
    assert [trigger.name for trigger in made.triggers] == ["on-deployed", "on-failed"]
    assert [template.name for template in made.templates] == ["deployed"]
    assert [(one.name, one.type, one.supported) for one in made.services] == [
        ("slack", "slack", True), ("telegram", "telegram", False), ("hook", "webhook", True),
    ]  # fmt: skip
    assert made.defaults.of("slack") == ("on-failed",)
    assert made.defaults.of("hook") == ("on-deployed",)
    assert made.context == {"argocdUrl": "https://argocd.example", "number": "5"}
    assert made.subscriptions[0].recipients == (("slack", "ops"), ("hook", "https://h:8443/x"))


def test_a_bad_condition_and_a_missing_template_are_remarks_with_a_place() -> None:
    said = outcomes(imported())["trigger.on-failed"]
    assert any("is off: line 1, column 1: let not supported" in sentence for _, sentence in said)
    assert ("remark", "there is no template 'nowhere'; its messages use the fallback") in said


def test_a_template_of_the_catalogue_is_not_missed() -> None:
    text = "- when: 'true'\n  send: [app-deployed]\n"
    assert outcomes(imported({"trigger.mine": text}))["trigger.mine"] == [("taken", "")]


def test_base64_may_have_line_ends() -> None:
    encoded = base64.b64encode(b"x" * 90).decode()
    folded = f"{encoded[:60]}\n{encoded[60:]}\n"
    assert secret_values({"data": {"a": folded}}) == {"a": "x" * 90}


def test_secrets_are_put_into_values_and_keys_of_the_parsed_tree() -> None:
    services = {one.name: one for one in imported().services}
    assert services["slack"].settings == {"token": "xoxb-1", "username": "$unknown-name"}
    assert services["hook"].settings == {
        "url": "https://h.example/p", "headers": [{"name": "Authorization", "value": "Bearer deep"}],
    }  # fmt: skip
    text = "recipientUrls: {$path: 'x$path:80'}\nprivateKey: $key\n"
    (service,) = imported({"service.teams-workflows": text}).services
    assert service.settings == {"recipientUrls": {"p": "xp:80"}, "privateKey": MANY_LINES}


def test_a_service_is_granted_the_secrets_that_its_templates_name() -> None:
    services = {one.name: one for one in imported().services}
    assert services["hook"].granted == ("hook-token",)
    assert services["slack"].granted == ()


def test_secrets_never_show_in_the_text_of_the_result() -> None:
    made = imported()
    assert "xoxb-1" not in json.dumps([line.__dict__ for line in made.report])
    assert "hook-token='t'" not in repr(made)


def test_a_secret_that_is_no_text_is_left_out() -> None:
    assert secret_values({"data": {"a": "%%", "b": base64.b64encode(b"\xff").decode(), "c": "Yw=="}}) == {
        "c": "c"
    }


def test_argo_state_is_taken_over_from_the_application() -> None:
    made = imported()
    key = made.triggers[0].conditions[0].key
    told = json.dumps({f"R:on-deployed:{key}:slack:ops": 1})
    app = {"metadata": {"namespace": "argocd", "annotations": {"notified.notifications.argoproj.io": told}}}
    states = import_told(app, made.triggers, NOW)
    (state,) = states["on-deployed"].values()
    assert dict(state.told) == {"R": NOW}
    assert import_told({"metadata": {}}, made.triggers, NOW) == {}


@pytest.mark.parametrize("data", [{}, {"trigger.": "x"}, {"trigger": "x"}, {"": ""}, {"service.slack": ""}])
def test_odd_keys_break_nothing(data: dict[str, str]) -> None:
    imported(data)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["trigger.a", "template.a", "service.slack", "subscriptions", "defaultTriggers", "context", "x"]),
        st.one_of(st.text(max_size=40), st.recursive(st.none() | st.booleans() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["when", "send", "message", "slack", "recipients", "selector"]), inner, max_size=3), max_leaves=6).map(json.dumps)),
    )
)  # fmt: skip
def test_any_configuration_ends_in_a_report(data: dict[str, str]) -> None:
    made = imported(data)
    assert {line.key for line in made.report} >= set(data)
