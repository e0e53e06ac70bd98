"""What an argocd-cm says about comparing (sync-semantics.md 6.1, 6.2)."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.core.diff import ResourceRules, read_argocd_resources

EAST = "https://east.example.com"


def test_an_empty_document_changes_nothing():
    assert read_argocd_resources({"timeout.reconciliation": "180s"}) == ResourceRules()


def test_ignored_differences_speak_of_their_kind_or_of_all():
    entry = {"jsonPointers": ["/spec/replicas"], "managedFieldsManagers": ["kube-controller-manager"]}
    found = read_argocd_resources(
        {
            "resource.customizations.ignoreDifferences.apps_Deployment": entry,
            "resource.customizations.ignoreDifferences.all": {"jqPathExpressions": [".metadata.labels"]},
        }
    )
    assert [(rule.group, rule.kind, rule.origin) for rule in found.ignore] == [
        ("apps", "Deployment", "system"),
        ("*", "*", "system"),
    ]
    assert found.ignore[0].json_pointers == ("/spec/replicas",)
    assert found.ignore[0].managers == ("kube-controller-manager",)
    assert found.ignore[1].jq_paths == (".metadata.labels",)


def test_exclusions_hold_in_the_clusters_they_name():
    rules = read_argocd_resources(
        {
            "resource.exclusions": [
                {"apiGroups": ["cilium.io"], "kinds": ["CiliumIdentity"], "clusters": ["*"]},
                {"kinds": ["Lease", "Event*"], "clusters": ["https://west*"]},
            ]
        }
    )
    assert rules.excluded_kinds(EAST) == (("cilium.io", "CiliumIdentity"),)
    assert rules.excluded_kinds("https://west.example.com") == (
        ("cilium.io", "CiliumIdentity"),
        ("*", "Lease"),
        ("*", "Event*"),
    )


def test_compare_options_and_known_types():
    rules = read_argocd_resources(
        {
            "resource.compareoptions": {"ignoreAggregatedRoles": True, "ignoreResourceStatusField": "crd"},
            "resource.customizations.knownTypeFields.example.com_Widget": [
                {"field": "spec.cpu", "type": "core/Quantity"}
            ],
        }
    )
    assert (rules.ignore_aggregated_roles, rules.ignore_status) == (True, "crd")
    assert rules.known_types == {"example.com_Widget": {"spec.cpu": "core/Quantity"}}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"resource.exclusions": {"kinds": ["A"]}}, "resource.exclusions has to be a list"),
        ({"resource.exclusions": [{"clusters": ["*"]}]}, "needs apiGroups or kinds"),
        ({"resource.exclusions": [{"kinds": [1]}]}, "has to be a list of texts"),
        ({"resource.compareoptions": {"ignoreResourceStatusField": "some"}}, "use all, crd or none"),
        ({"resource.customizations.ignoreDifferences.all": ["x"]}, "has to be a map"),
    ],
)
def test_what_cannot_be_read_names_its_key(data: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        read_argocd_resources(data)
