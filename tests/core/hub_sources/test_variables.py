"""Build variables (sources.md 4.8)."""

from __future__ import annotations

import pytest

from hub.core.sources import Source
from hub.render.variables import ApplicationFacts, ClusterFacts, build_variables, names_revision, substitute

VALUES = {"NAME": "web", "A_1": "x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$NAME", "web"),
        ("${NAME}-x", "web-x"),
        ("$NAMEX", ""),
        ("$A_1.", "x."),
        ("$UNKNOWN-", "-"),
        ("${UNKNOWN}-", "-"),
        ("$$NAME", "$NAME"),
        ("$$", "$"),
        ("cost: 5$", "cost: 5$"),
        ("$ NAME $.", "$ NAME $."),
        ("$1$*$#$@$!$?$-", ""),
        ("$12", "2"),
        ("${", ""),
        ("${}x", "x"),
        ("${NAME", "NAME"),
        ("a$/b", "a$/b"),
    ],
)
def test_substitution(text, expected):
    assert substitute(text, VALUES) == expected


def test_the_variables_of_an_application():
    source = Source("https://h/a", path="apps/web", target_revision="main")
    found = build_variables(
        ApplicationFacts("web", "shop", "team-a", own_namespace="tenants"),
        ClusterFacts("1.32.0", ("v1", "apps/v1")),
        source,
        "3f2c1ab0d" + "0" * 31,
    )
    assert found == {
        "ARGOCD_APP_NAME": "tenants_web",
        "ARGOCD_APP_NAMESPACE": "shop",
        "ARGOCD_APP_PROJECT_NAME": "team-a",
        "ARGOCD_APP_REVISION": "3f2c1ab0d" + "0" * 31,
        "ARGOCD_APP_REVISION_SHORT": "3f2c1ab",
        "ARGOCD_APP_REVISION_SHORT_8": "3f2c1ab0",
        "ARGOCD_APP_SOURCE_PATH": "apps/web",
        "ARGOCD_APP_SOURCE_REPO_URL": "https://h/a",
        "ARGOCD_APP_SOURCE_TARGET_REVISION": "main",
        "KUBE_VERSION": "1.32.0",
        "KUBE_API_VERSIONS": "v1,apps/v1",
    }


def test_texts_that_name_the_revision_are_found():
    assert names_revision("tag-${ARGOCD_APP_REVISION_SHORT}")
    assert names_revision("$ARGOCD_APP_REVISION")
    assert not names_revision("$$ARGOCD_APP_REVISION $ARGOCD_APP_NAME")
