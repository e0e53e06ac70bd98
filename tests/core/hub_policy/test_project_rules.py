"""Project rules (access-and-api.md 1.1 to 1.5, PR1 to PR11)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.core.discovery import Discovery, KindInfo
from clusters.core.manifests import ResourceKey
from hub.core.policy import (
    ApplicationFacts,
    Destination,
    Fence,
    HubPlaces,
    SourceFact,
    judge_application,
    judge_key,
    judge_objects,
    normal_url,
    read_rules,
    violations_by_key,
)
from hub.core.policy.patterns import kind_glob, place_glob, source_glob

OPEN = {
    "sources": {"allow": ["*"]},
    "destinations": {"allow": [{"server": "*", "name": "*", "namespace": "*"}]},
    "cluster_kinds": {"allow": [{"group": "*", "kind": "*"}]},
}
EAST = Destination(asked_name="east", server="https://east", name="east", namespace="shop")
DISCOVERY = Discovery(
    {
        ("", "ConfigMap"): KindInfo("", "v1", "ConfigMap", "configmaps", True),
        ("", "Secret"): KindInfo("", "v1", "Secret", "secrets", True),
        ("", "Namespace"): KindInfo("", "v1", "Namespace", "namespaces", False),
    }
)


def rules(**changes):
    found, errors = read_rules({**OPEN, **changes})
    assert errors == {}
    return found


def fence(*ceilings, **changes):
    return Fence("shop", rules(**changes), tuple(read_rules(c)[0] for c in ceilings))


def app(url="https://git.example.com/shop/web", destination=EAST, **more):
    return ApplicationFacts("web", (SourceFact(url),), destination, **more)


def numbers(violations):
    return [violation.rule for violation in violations]


def config(name="c", namespace="shop", kind="ConfigMap"):
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


@pytest.mark.parametrize(
    ("language", "pattern", "text", "answer"),
    [
        ("source", "*", "https://a/b/c", True),
        ("source", "https://a/*", "https://a/b", True),
        ("source", "https://a/*", "https://a/b/c", False),
        ("source", "https://a/**", "https://a/b/c", True),
        ("source", "HTTPS://A/B.git", "https://a/b", True),
        ("source", "git@host:org/*", "ssh://git@host/org/web.git", True),
        ("source", "https://a/{b,c}", "https://a/c", True),
        ("place", "https://*", "https://a/b", True),
        ("place", "team-?", "team-a", True),
        ("place", "Team", "team", False),
        ("place", "[!a]x", "bx", True),
        ("kind", "*", "apps", True),
        ("kind", "*", "a/b", False),
        ("kind", "[^a]x", "bx", True),
        ("kind", "[^a]x", "ax", False),
        ("kind", "{a,b}", "a", False),
        ("kind", "{a,b}", "{a,b}", True),
        ("kind", "", "", True),
        ("kind", "", "apps", False),
        ("kind", "**", "a/b", False),
    ],
)
def test_pattern_languages(language, pattern, text, answer):
    compiled = {"source": source_glob, "place": place_glob, "kind": kind_glob}[language](pattern)
    value = normal_url(text) if language == "source" else text
    assert compiled.matches(value) is answer


def test_an_absent_list_of_sources_and_destinations_permits_nothing():
    empty, errors = read_rules({})
    assert errors == {}
    assert numbers(judge_application(Fence("shop", empty), app())) == [3, 6]


def test_pr4_a_deny_always_beats_an_allow():
    found = judge_application(fence(sources={"allow": ["*"], "deny": ["https://git.example.com/**"]}), app())
    assert [(v.rule, v.reason) for v in found] == [
        (3, "source https://git.example.com/shop/web is denied by project shop")
    ]


def test_pr5_a_deny_entry_never_allows_anything():
    found = judge_application(
        fence(sources={"allow": ["https://a/*"], "deny": ["https://b/x"]}), app("https://c/d")
    )
    assert numbers(found) == [3]


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        ({"sources": {"allow": ["!*"]}}, "sources.allow.0", "deny everything"),
        ({"sources": {"allow": ["!https://a"]}}, "sources.allow.0", "deny list"),
        ({"sources": {"allow": ["[a"]}}, "sources.allow.0", "is not closed (at 0)"),
        ({"sources": {"allow": ["*x" * 17]}}, "sources.allow.0", "more than 16 wildcards"),
        ({"sources": {"allow": ["x" * 513]}}, "sources.allow.0", "longer than 512"),
        ({"sources": ["*"]}, "sources", "allow and deny"),
        ({"destinations": {"allow": [{"namespace": "*"}]}}, "destinations.allow.0", "server or a name"),
        ({"destinations": {"allow": [{"server": "*"}]}}, "destinations.allow.0", "namespace"),
        ({"cluster_kinds": {"allow": [{"group": "*"}]}}, "cluster_kinds.allow.0", "needs a kind"),
        ({"switches": {"automatic": True}}, "switches.automatic", "is not known"),
        ({"limits": {"applications": -1}}, "limits.applications", "at least 0"),
        ({"windows": [{}]}, "windows.0", "kind must be"),
    ],
)
def test_pr2_what_does_not_compile_is_refused_with_its_place(change, path, says):
    _, errors = read_rules(change)
    assert any(says in sentence for sentence in errors[path])


def test_rules_that_cannot_be_read_let_nothing_through():
    closed, errors = read_rules({**OPEN, "destinations": {"allow": "everywhere"}})
    assert errors
    shut = Fence("shop", closed)
    assert 1 in numbers(judge_application(shut, app()))
    assert violations_by_key(shut, EAST, [config()], DISCOVERY)


def test_every_violation_is_returned():
    where = Destination(asked_name="east", server="https://east", name="east", namespace="other")
    allowed = [{"name": "east", "namespace": "shop"}]
    found = judge_application(
        fence(sources={"allow": []}, destinations={"allow": allowed}, switches={"automated": False}),
        app(destination=where, namespace="teams", automated=True),
    )
    assert numbers(found) == [2, 3, 6, 8]
    assert all(violation.reason for violation in found)


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        (Destination(asked_server="https://east", asked_name="east"), [4]),
        (Destination(), [4]),
        (Destination(asked_name="nowhere", registered=False), [4]),
        (
            Destination("", "east", server="https://east", name="east", namespace="shop", scoped_to="other"),
            [5],
        ),
        (Destination("", "east", server="s", name="east", namespace="b", namespaces=("a",)), [7]),
    ],
)
def test_destination_rules(destination, expected):
    assert numbers(judge_application(fence(), app(destination=destination))) == expected


def test_only_project_clusters_and_their_implicit_allow():
    shut = {"destinations": {"allow": []}, "only_project_clusters": True}
    own = Destination("", "east", server="s", name="east", namespace="shop", scoped_to="shop")
    assert numbers(judge_application(fence(**shut), app())) == [5, 6]
    assert judge_application(fence(**shut), app(destination=own)) == []
    denied = {**shut, "destinations": {"deny": [{"name": "east", "namespace": "*"}]}}
    assert numbers(judge_application(fence(**denied), app(destination=own))) == [6]


def test_an_absent_half_never_matches():
    by_server = fence(destinations={"allow": [{"server": "", "namespace": "*"}]})
    assert numbers(judge_application(by_server, app())) == [6]


def test_a_repository_of_another_project_never_serves():
    scoped = ApplicationFacts("web", (SourceFact("https://a/b", "other"),), EAST)
    assert numbers(judge_application(fence(), scoped)) == [3]
    own = ApplicationFacts("web", (SourceFact("https://a/b", "shop"),), EAST)
    assert judge_application(fence(sources={"allow": []}), own) == []
    assert numbers(judge_application(fence(sources={"allow": [], "deny": ["https://a/*"]}), own)) == [3]


def test_a_source_that_climbs_is_refused():
    allowed = fence(sources={"allow": ["https://git.example.com/shop/**"]})
    assert numbers(judge_application(allowed, app("https://git.example.com/shop/../secret"))) == [3]


def test_kind_lists_by_scope():
    bare = fence(cluster_kinds=None)
    found = judge_objects(bare, EAST, [config(), config("x", "", "Namespace")], DISCOVERY)
    assert [(v.rule, v.object) for v in found] == [(11, "Namespace/x")]
    none = fence(namespaced_kinds={"allow": []})
    assert numbers(judge_objects(none, EAST, [config()], DISCOVERY)) == [11]
    named = fence(namespaced_kinds={"deny": [{"kind": "Secret", "name": "hub-*"}]})
    found = judge_objects(
        named, EAST, [config("hub-key", kind="Secret"), config("x", kind="Secret")], DISCOVERY
    )
    assert [v.object for v in found] == ["Secret/shop/hub-key"]


def test_pr9_a_kind_nobody_knows_is_refused_unless_its_crd_is_in_the_plan():
    widget = {"apiVersion": "e.io/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "shop"}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.e.io"},
        "spec": {"group": "e.io", "names": {"kind": "Widget"}, "scope": "Namespaced"},
    }
    known = Discovery(
        {
            ("apiextensions.k8s.io", "CustomResourceDefinition"): KindInfo(
                "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "crds", False
            )
        }
    )
    assert numbers(judge_objects(fence(), EAST, [widget], known)) == [10]
    assert judge_objects(fence(), EAST, [crd, widget], known) == []


def test_the_own_namespace_of_a_manifest_is_judged():
    shop_only = fence(destinations={"allow": [{"name": "east", "namespace": "shop"}]})
    found = judge_objects(shop_only, EAST, [config(), config("d", "kube-system")], DISCOVERY)
    assert [(v.rule, v.object) for v in found] == [(12, "ConfigMap/kube-system/d")]
    narrow = Destination(
        "", "east", server="s", name="east", namespace="shop", namespaces=("shop",), cluster_resources=False
    )
    found = judge_objects(fence(), narrow, [config("x", "", "Namespace"), config("c", "other")], DISCOVERY)
    assert [(v.rule, v.object) for v in found] == [(12, "Namespace/x"), (12, "ConfigMap/other/c")]


def test_the_hub_protects_its_own_places():
    here = Destination("", "east", server="https://east", name="east", namespace="shop", is_hub_cluster=True)
    key = ResourceKey("", "Secret", "shop", "keyring")
    places = HubPlaces("gitops-hub", frozenset({key}))
    desired = [
        config("c", "gitops-hub"),
        config("gitops-hub", "", "Namespace"),
        config("keyring", kind="Secret"),
    ]
    assert numbers(judge_objects(fence(), here, desired, DISCOVERY, hub=places)) == [13, 13, 13]
    assert (
        judge_objects(fence(), here, desired, DISCOVERY, hub=HubPlaces("gitops-hub", may_manage=True)) == []
    )
    assert judge_objects(fence(), EAST, desired, DISCOVERY, hub=places) == []


def test_a_ceiling_must_agree():
    ceiling = {
        **OPEN,
        "namespaced_kinds": {"deny": [{"kind": "Secret"}]},
        "sources": {"allow": ["https://a/**"]},
    }
    both = fence(ceiling)
    assert [v.reason for v in judge_application(both, app("https://b/c"))] == [
        "source https://b/c is not permitted by a ceiling over project shop"
    ]
    assert numbers(judge_objects(both, EAST, [config(kind="Secret")], DISCOVERY)) == [11]


def test_pr8_a_live_object_that_is_not_permitted_has_a_reason():
    secret = ResourceKey("", "Secret", "shop", "s")
    shut = fence(namespaced_kinds={"deny": [{"kind": "Secret"}]})
    assert violations_by_key(shut, EAST, [config()], DISCOVERY, live=[secret]) == {
        secret: "kind Secret is denied by project shop"
    }
    assert numbers(judge_key(shut, EAST, secret, namespaced=True)) == [11]


def test_an_archived_project_permits_nothing():
    archived = Fence("shop", rules(), archived=True)
    assert numbers(judge_application(archived, app())) == [1]
    assert violations_by_key(archived, EAST, [config()], DISCOVERY) == {
        ResourceKey("", "ConfigMap", "shop", "c"): "project shop is archived"
    }


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["sources", "destinations", "cluster_kinds", "namespaced_kinds", "windows", "switches", "limits"]
        ),
        st.one_of(JSON, st.fixed_dictionaries({"allow": JSON, "deny": JSON})),
    )
)
def test_any_document_gives_rules_and_what_is_broken_is_closed(doc):
    found, errors = read_rules(doc)
    if any(not path.startswith("windows") for path in errors):
        assert found.closed
    assert judge_application(Fence("shop", found), app())
