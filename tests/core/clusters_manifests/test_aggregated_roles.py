"""The rules of an aggregated ClusterRole are its controller's; ours are only those that we really name."""

from __future__ import annotations

import pytest

from clusters.core.manifests import Manifest, clean

AGGREGATION = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


def role(**more: object) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "r"},
        **more,
    }


@pytest.mark.parametrize("rules", [[], None])
def test_empty_rules_beside_an_aggregation_are_not_sent(rules: object) -> None:
    assert "rules" not in clean(role(aggregationRule=AGGREGATION, rules=rules))


def test_rules_that_say_something_and_empty_rules_without_aggregation_stay() -> None:
    assert clean(role(aggregationRule=AGGREGATION, rules=[RULE]))["rules"] == [RULE]
    assert clean(role(rules=[]))["rules"] == []
