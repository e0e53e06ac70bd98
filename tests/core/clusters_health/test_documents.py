"""Custom health rules as people write them (sync-semantics.md 8.3)."""

from __future__ import annotations

import pytest

from clusters.core.health import (
    BrokenRule,
    CelCase,
    CelRule,
    LuaRule,
    RuleBook,
    read_argocd_health,
    read_health,
)


def test_a_text_is_lua_and_a_list_is_cel() -> None:
    rules = read_health(
        {
            "example.com_Database": [{"when": "self.status.ok", "status": "Healthy", "message": "fine"}],
            "apps_*": "return {}",
        }
    )
    assert rules == {
        "example.com_Database": CelRule((CelCase("self.status.ok", "Healthy", "fine"),)),
        "apps_*": LuaRule("return {}"),
    }
    assert read_health(None) == {}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "a Lua script or a list of cases"),
        ("  ", "a Lua script or a list of cases"),
        ([], "a Lua script or a list of cases"),
        (["x"], "case 0 has to be a map"),
        (
            [{"when": "true", "status": "Healthy", "color": "x"}],
            "case 0 has to be a map of when, status and message",
        ),
        ([{"when": True, "status": "Healthy"}], "case 0 needs when and status as texts"),
        ([{"when": "true"}], "case 0 needs when and status as texts"),
        ([{"when": "true", "status": "Fine"}], "'Fine' is not a health status"),
    ],
)
def test_what_cannot_be_read_is_kept_as_a_broken_rule(value: object, says: str) -> None:
    rules = read_health({"Pod": value, "Service": "return nil"})
    broken = rules["Pod"]
    assert isinstance(broken, BrokenRule)
    assert says in broken.message
    assert rules["Service"] == LuaRule("return nil")


def test_rules_that_are_no_map_break_every_kind_and_say_so() -> None:
    book = RuleBook(read_health(["x"]))
    assert isinstance(book.find({"apiVersion": "v1", "kind": "Pod"}), BrokenRule)


def test_an_argocd_cm_is_read_with_or_without_its_envelope() -> None:
    data = {
        "resource.customizations.health.example.com_Database": "return nil",
        "resource.customizations.health.Pod": "return nil",
        "resource.customizations.useOpenLibs.Pod": "true",
        "timeout.reconciliation": "180s",
    }
    wanted = {"example.com_Database": LuaRule("return nil"), "Pod": LuaRule("return nil")}
    assert read_argocd_health(data) == wanted
    assert read_argocd_health({"apiVersion": "v1", "kind": "ConfigMap", "data": data}) == wanted
    assert read_argocd_health({"kind": "ConfigMap"}) == {}


def test_an_empty_book_is_false_and_finds_nothing() -> None:
    assert not RuleBook({})
    assert RuleBook({"Pod": LuaRule("return nil")})
    assert RuleBook({}).find({"apiVersion": "v1", "kind": "Pod"}) is None
