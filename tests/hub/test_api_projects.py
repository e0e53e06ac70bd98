"""/projects, /repositories, operations, events, audit (PR19, PR21; W01-W05, W17; F2; AP9)."""

from __future__ import annotations

from typing import Any

import pytest

from hub.models import Application, AuditEvent, Project, Repository, ResourceStatus, SyncOperation, User
from tests.hub import factories
from tests.hub.conftest import Api

pytestmark = pytest.mark.django_db
URL = "https://git.example.com/shop/web.git"
SENTINEL = "sentinel-5d21c-password"


def document(**changes: Any) -> dict[str, Any]:
    return {
        "name": "web",
        "project": "shop",
        "sources": [{"repo_url": URL, "path": "deploy"}],
        "destination": {"cluster": "dev", "namespace": "shop"},
    } | changes


def rules(**changes: Any) -> dict[str, Any]:
    return factories.OPEN | changes


@pytest.fixture
def narrow(shop: Project) -> Project:
    factories.cluster("dev")
    shop.rules = rules(sources={"allow": ["https://git.example.com/shop/*"]})
    shop.save()
    return shop


def test_w01_git_and_case_are_normalised_away(alice: User, narrow: Project) -> None:
    source = {"repo_url": "https://GIT.example.com/Shop/web.git", "path": "x"}
    assert Api(alice).post("/applications", document(sources=[source])).status_code == 201


def test_w02_a_star_is_one_segment(alice: User, narrow: Project) -> None:
    source = {"repo_url": "https://git.example.com/shop/team/web", "path": "x"}
    answer = Api(alice).post("/applications", document(sources=[source]))
    assert (answer.status_code, answer.json()["code"]) == (422, "source_not_permitted")
    assert answer.json()["fields"]["sources"][0].startswith("rule 3:")


def test_w05_a_denied_destination_is_refused_by_rule_6(alice: User, shop: Project) -> None:
    factories.cluster("dev")
    everywhere = {"name": "*", "namespace": "*"}
    shop.rules = rules(
        destinations={"allow": [everywhere], "deny": [{"name": "*", "namespace": "kube-system"}]}
    )
    shop.save()
    answer = Api(alice).post(
        "/applications", document(destination={"cluster": "dev", "namespace": "kube-system"})
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "destination_not_permitted")
    assert "rule 6" in answer.json()["fields"]["destination"][0]


def test_the_project_default_denies_everything(dana: User) -> None:
    factories.cluster("dev")
    answer = Api(dana).post("/applications", document(project="default"))
    assert answer.status_code == 422
    assert set(answer.json()["fields"]) == {"sources", "destination"}


def test_w17_pr19_a_change_that_breaks_applications_names_them(dana: User, shop: Project) -> None:
    factories.application("web")
    closed = {"rules": rules(sources={"allow": ["https://elsewhere/**"]})}
    api = Api(dana)
    refused = api.patch("/projects/shop", closed, If_Match="*")
    assert (refused.status_code, refused.json()["code"]) == (422, "would_break_applications")
    assert "web" in refused.json()["message"]
    told = api.patch("/projects/shop?dry_run=true", closed, If_Match="*")
    assert told.json()["affected"] == ["web"]
    assert Project.objects.get(name="shop").rules == factories.OPEN
    assert api.patch("/projects/shop?accept_invalid=true", closed, If_Match="*").status_code == 200
    assert Application.objects.filter(name="web").exists()


def test_pr2_rules_that_cannot_be_read_are_refused_with_their_place(dana: User) -> None:
    answer = Api(dana).post("/projects", {"name": "team", "rules": {"sources": {"allow": "all"}, "typo": 1}})
    assert answer.status_code == 422
    assert any(path.startswith("rules.sources") for path in answer.json()["fields"])


def test_pr21_a_project_in_use_and_default_stay(dana: User, shop: Project) -> None:
    factories.application("web")
    assert Api(dana).delete("/projects/shop").json()["code"] == "in_use"
    assert Api(dana).delete("/projects/default").json()["code"] == "protected"


def test_members_are_changed_by_owners(alice: User, charlie: User) -> None:
    api = Api(alice)
    members = [{"user": "alice", "role": "owner"}, {"user": "charlie", "role": "reader"}]
    answer = api.patch("/projects/shop", {"members": members}, If_Match="*")
    assert answer.status_code == 200, answer.content
    assert Api(charlie).get("/projects/shop").status_code == 200
    unknown = api.patch("/projects/shop", {"members": [{"user": "nobody", "role": "owner"}]}, If_Match="*")
    assert unknown.status_code == 422
    assert Project.objects.get(name="shop").members.count() == 2


def test_a_repository_takes_credentials_and_never_gives_them_back(alice: User, nudged: list[Any]) -> None:
    api = Api(alice)
    made = api.post(
        "/repositories", {"url": URL, "project": "shop", "username": "robot", "password": SENTINEL}
    )
    assert made.status_code == 201, made.content
    key = made.json()["id"]
    assert nudged[0][0] == "poll"
    assert SENTINEL not in made.content.decode() + api.get(f"/repositories/{key}").content.decode()
    assert made.json()["credential_kind"] == "password"
    kept = api.patch(f"/repositories/{key}", {"password": "", "username": "other"}, If_Match=made["ETag"])
    assert kept.status_code == 200, kept.content
    assert Repository.objects.get().password.reveal() == SENTINEL
    removed = api.patch(f"/repositories/{key}", {"password": None}, If_Match=kept["ETag"])
    assert removed.json()["credential_kind"] == "none"
    assert api.post(f"/repositories/{key}/probe").status_code == 202
    assert api.delete(f"/repositories/{key}").status_code == 204
    assert SENTINEL not in str(list(AuditEvent.objects.values()))


def test_c2_user_info_in_an_address_moves_into_the_credential(dana: User) -> None:
    made = Api(dana).post("/repositories", {"url": f"https://robot:{SENTINEL}@git.example.com/a.git"})
    assert made.status_code == 201, made.content
    assert made.json()["url"] == "https://git.example.com/a.git"
    assert SENTINEL not in made.content.decode()


@pytest.mark.parametrize(
    "url", ["--upload-pack=x", "ext::sh", "file:///etc", "https://a\nb", "-oProxyCommand=x@h:p", ""]
)
def test_f2_hostile_addresses_are_refused(dana: User, url: str, settings: Any) -> None:
    settings.HUB_ALLOW_LOOPBACK = False
    assert Api(dana).post("/repositories", {"url": url}).status_code in {400, 422}
    assert not Repository.objects.exists()


def test_a_poll_that_runs_meanwhile_keeps_what_it_wrote(dana: User) -> None:
    key = Api(dana).post("/repositories", {"url": URL}).json()["id"]
    from hub.services import repositories
    from hub.services.actors import SYSTEM

    seen = Repository.objects.get(id=key)
    Repository.objects.filter(id=key).update(refs_digest="polled", state="Connected")
    repositories.update(SYSTEM, seen, {"username": "robot"})
    assert Repository.objects.get(id=key).refs_digest == "polled"


def test_ap9_a_sync_is_accepted_and_an_equal_one_joined(alice: User, nudged: list[Any]) -> None:
    app = factories.application("web")
    api = Api(alice)
    first, second = (api.post("/applications/web/sync", {"prune": True}) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202), first.content
    assert first.json()["id"] == second.json()["id"]
    assert ("look", [app.id]) in nudged
    assert api.get("/applications/web/operation").json()["request"] == {"prune": True}
    ended = api.delete("/applications/web/operation")
    assert ended.json()["terminate_requested"] is True
    assert api.get("/applications/web/history").json()["items"][0]["number"] == 1
    assert api.get(f"/operations/{first.json()['id']}").status_code == 200
    assert api.get("/operations?application=web&actor=alice").json()["items"][0]["phase"] == "Queued"


def test_b5_a_sync_takes_no_manifests(alice: User) -> None:
    factories.application("web")
    answer = Api(alice).post("/applications/web/sync", {"manifests": ["kind: Pod"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert not SyncOperation.objects.exists()


def test_confirming_names_the_digest_that_waits(alice: User) -> None:
    app = factories.application("web")
    SyncOperation.objects.create(
        application=app, number=1, phase="Running", wait={"digest": "abc", "code": "confirmation"}
    )
    api = Api(alice)
    assert api.post("/applications/web/confirm", {"digest": "other"}).json()["code"] == "nothing_to_confirm"
    assert api.post("/applications/web/confirm", {}).status_code == 400
    answer = api.post("/applications/web/confirm", {"digest": "abc"})
    [given] = answer.json()["confirmed"]
    assert (given["digest"], given["by"], given["choice"]) == ("abc", "alice", "")


def test_resources_and_diff(bob: User) -> None:
    app = factories.application("web")
    ResourceStatus.objects.create(
        application=app, kind="ConfigMap", name="a", status="Synced", health="Healthy"
    )
    drift = [{"path": ".data.x", "desired": '"1"', "live": '"2"'}]
    ResourceStatus.objects.create(
        application=app, kind="ConfigMap", name="b", status="OutOfSync", drift=drift
    )
    api = Api(bob)
    assert [row["name"] for row in api.get("/applications/web/resources?kind=ConfigMap").json()["items"]] == [
        "a",
        "b",
    ]
    lines = api.get("/applications/web/diff").json()["items"]
    assert [(row["name"], row["lines"]) for row in lines] == [("b", drift)]


@pytest.mark.parametrize(
    ("rules", "path", "sentence"),
    [
        ({"window": []}, "rules.window", "is not a rule"),
        ({"roles": []}, "rules.roles", "is not supported yet"),
        ({"orphans": {"enabled": "yes"}}, "rules.orphans.enabled", "must be true or false"),
        ({"orphans": []}, "rules.orphans", "must be a map"),
        ({"deletion": []}, "rules.deletion", "must be a map"),
        ({"deletion": {"protected": []}}, "rules.deletion.protected", "is not a field"),
        (
            {"deletion": {"protected_kinds": ["Namespace"]}},
            "rules.deletion.protected_kinds[0]",
            "must be a map",
        ),
        ({"deletion": {"budget": 5}}, "rules.deletion.budget", "must be a map"),
        ({"timeouts": {"SyncTimeout": "5m"}}, "rules.timeouts.SyncTimeout", "is not known"),
        ({"governs": ["deletions"]}, "rules.governs", "'deletions' is not known"),
        ({"deletion": {"budget": {"most": "ten"}}}, "rules.deletion.budget.most", "must be a whole number"),
        (
            {"deletion": {"protected_kinds": [{"group": "apps"}]}},
            "rules.deletion.protected_kinds[0].kind",
            "is required",
        ),
        (
            {"ignore_differences": [{"kind": "Deployment", "x": 1}]},
            "rules.ignore_differences[0].x",
            "is not a field",
        ),
    ],
)
def test_a_rule_that_would_mean_nothing_is_refused(dana: User, rules: Any, path: str, sentence: str) -> None:
    answer = Api(dana).post("/projects", {"name": "team", "rules": rules})
    assert answer.status_code == 422, answer.content
    assert list(answer.json()["fields"]) == [path]
    assert answer.json()["fields"][path][0].startswith(sentence)
