"""Applications depend on Applications; cycles are refused when saved (sync-semantics.md 12 rule 13)."""

from __future__ import annotations

import pytest

from hub.models import Application
from hub.services import applications
from hub.services.actors import Actor
from hub.services.documents import InvalidDocument
from tests.hub import factories

DANA = Actor(kind="user", name="dana", via="api", is_admin=True)
pytestmark = pytest.mark.django_db


def document(name: str, *needs: str, by_annotation: bool = False) -> dict[str, object]:
    factories.project()
    factories.cluster()
    policy = {} if by_annotation else {"depends_on": [{"application": other} for other in needs]}
    return {
        "name": name,
        "project": "shop",
        "sources": [{"repo_url": "https://git.example.com/shop/web.git", "path": "deploy"}],
        "destination": {"cluster": "dev", "namespace": "shop"},
        "sync_policy": policy,
        "annotations": {"gitops-hub.io/depends-on": ", ".join(needs)} if by_annotation else {},
    }


def refused(name: str, *needs: str, by_annotation: bool = False) -> str:
    with pytest.raises(InvalidDocument) as caught:
        applications.update(
            DANA, Application.objects.get(name=name), document(name, *needs, by_annotation=by_annotation)
        )
    return str(caught.value.fields["sync_policy.depends_on"][0])


@pytest.mark.parametrize("by_annotation", [False, True])
def test_a_cycle_is_refused_when_saved_and_nothing_is_stored(by_annotation: bool) -> None:
    applications.create(DANA, document("db"))
    applications.create(DANA, document("api", "db", by_annotation=by_annotation))
    applications.create(DANA, document("web", "api", by_annotation=by_annotation))
    text = refused("db", "web", by_annotation=by_annotation)
    assert text == "cannot wait for web, which waits for db: a cycle never ends"
    assert Application.objects.get(name="db").sync_policy.get("depends_on", []) == []
    assert Application.objects.get(name="db").annotations == {}


def test_an_application_cannot_wait_for_itself() -> None:
    with pytest.raises(InvalidDocument) as caught:
        applications.create(DANA, document("web", "web"))
    assert caught.value.fields == {"sync_policy.depends_on": ["cannot wait for itself: a cycle never ends"]}


def test_a_diamond_and_names_that_do_not_exist_are_no_cycle() -> None:
    applications.create(DANA, document("db", "nobody"))
    applications.create(DANA, document("api", "db"))
    applications.create(DANA, document("jobs", "db"))
    assert applications.create(DANA, document("web", "api", "jobs")).name == "web"
