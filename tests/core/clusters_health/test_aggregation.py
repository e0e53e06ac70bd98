"""The health of an Application: the worst of its parts, and who is to blame."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.core.health import STATUSES, Health, Part, aggregate, worse
from clusters.core.manifests import ResourceKey


def part(name: str, status: str | None, message: str = "", *, kind: str = "Deployment", **more: Any) -> Part:
    group = "argoproj.io" if kind == "Application" else "apps"
    health = Health(status, message) if status else None
    return Part(ResourceKey(group, kind, "shop", name), health, {"kind": kind}, **more)


def absent(name: str, *, had_baseline: bool) -> Part:
    return Part(ResourceKey("apps", "Deployment", "shop", name), None, None, had_baseline)


def test_statuses_are_ordered_from_best_to_worst() -> None:
    assert STATUSES == ("Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown")
    assert worse("Suspended", "Progressing") == "Progressing"
    assert worse("Unknown", "Degraded") == "Unknown"


def test_the_worst_part_counts_and_is_named() -> None:
    parts = [part("a", "Healthy"), part("b", "Progressing"), part("api", "Degraded", "out of memory")]
    assert aggregate(parts) == Health("Degraded", "Caused by apps/Deployment:shop/api: out of memory")


def test_other_causes_are_counted() -> None:
    parts = [part("api", "Degraded"), part("b", "Degraded"), part("c", "Degraded"), part("d", "Progressing")]
    assert aggregate(parts).message == "Caused by apps/Deployment:shop/api and 2 more"


def test_core_and_cluster_scoped_resources_are_named_without_empty_parts() -> None:
    broken = Part(ResourceKey("", "PersistentVolume", "", "data"), Health("Degraded"), {})
    assert aggregate([broken]).message == "Caused by PersistentVolume:data"


def test_nothing_wanted_is_healthy_and_nothing_readable_is_unknown() -> None:
    assert aggregate([]) == Health("Healthy")
    assert aggregate([part("a", "Healthy")], loaded=False).status == "Unknown"


def test_wanted_and_nothing_live_is_missing() -> None:
    parts = [absent("a", had_baseline=False), absent("b", had_baseline=False)]
    assert aggregate(parts) == Health("Missing", "none of its resources exists")


def test_a_resource_never_applied_does_not_worsen_the_whole() -> None:
    assert aggregate([part("a", "Healthy"), absent("b", had_baseline=False)]) == Health("Healthy")


def test_e60_missing_after_baseline_shows() -> None:
    health = aggregate([part("a", "Healthy"), absent("b", had_baseline=True)])
    assert health == Health("Missing", "Caused by apps/Deployment:shop/b: it was deleted")


def test_what_is_left_out_does_not_count() -> None:
    ignored = Part(
        ResourceKey("apps", "Deployment", "shop", "x"),
        Health("Degraded"),
        {"metadata": {"annotations": {"argocd.argoproj.io/ignore-healthcheck": "true"}}},
    )
    parts = [part("a", "Healthy"), ignored, part("hook", "Degraded", counts=False), part("cm", None)]
    assert aggregate(parts) == Health("Healthy")


@pytest.mark.parametrize(
    ("status", "whole"), [("Missing", "Healthy"), ("Unknown", "Healthy"), ("Degraded", "Degraded")]
)
def test_child_applications_count_only_when_they_are_known(status: str, whole: str) -> None:
    assert aggregate([part("a", "Healthy"), part("child", status, kind="Application")]).status == whole


@given(st.lists(st.sampled_from(STATUSES)))
def test_the_whole_is_never_better_than_its_worst_part(statuses: list[str]) -> None:
    whole = aggregate([part(str(number), status) for number, status in enumerate(statuses)])
    assert whole.status == max(statuses, key=STATUSES.index, default="Healthy")
