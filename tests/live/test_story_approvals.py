"""A production change, approved in Slack, on a whole hub: web, worker, beat, PostgreSQL, Redis, a real control plane, a
Git server, and a Slack on loopback. Repositories are polled once in ten minutes: only the webhook can be what made the
hub look.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests import gitserver
from tests.hub.chat import SECRET, Workspace
from tests.live.controlplane.instance import ControlPlane
from tests.live.services import Service
from tests.live.stack import Stack
from tests.live.worldview import until
from tests.slackserver import SlackServer

pytestmark = [pytest.mark.live, pytest.mark.production, pytest.mark.timeout(300)]
HOOK_SECRET = "webhook-secret-of-tests"
NS = f"story-{secrets.token_hex(3)}"
AUTOMATED = {"automated": {"prune": True, "self_heal": True}}
PEOPLE = {"alice": "UALICE", "dan": "UDAN", "erin": "UERIN"}


@dataclass
class Answer:
    status_code: int
    content: bytes


class Browser:
    """Posts raw bytes to the web process, as Slack and Git servers do."""

    def __init__(self, address: str) -> None:
        self.host = urlsplit(address).netloc

    def post(self, path: str, data: bytes, content_type: str, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection(self.host, timeout=20)
        try:
            connection.request("POST", path, data, {"Content-Type": content_type, **headers})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read())
        finally:
            connection.close()


@dataclass
class Story:
    stack: Stack
    workspace: Workspace
    repository: Path
    git_url: str
    browser: Browser

    def push(self, files: dict[str, str | None], author: str = gitserver.ALICE) -> str:
        """A commit, and the webhook that tells of it."""
        sha = gitserver.commit(self.repository, files, author=author, committer=author)
        payload = {"ref": "refs/heads/main", "after": sha, "repository": {"clone_url": self.git_url}}
        body = json.dumps(payload).encode()
        headers = {
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": sha,
            "X-Hub-Signature-256": "sha256="
            + hmac.new(HOOK_SECRET.encode(), body, hashlib.sha256).hexdigest(),
        }
        answer = self.browser.post("/api/webhook", body, "application/json", headers)
        assert answer.status_code == 200, answer
        return sha

    def image(self) -> str:
        found = self.stack.get(f"/apis/apps/v1/namespaces/{NS}/deployments/web")
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"]) if found else ""

    def requests(self) -> list[tuple[int, str]]:
        """(number, state) of every approval request."""
        return [
            tuple(row)
            for row in self.stack.sql("SELECT number, state FROM hub_approvalrequest ORDER BY number")
        ]

    def roots(self) -> list[str]:
        return [json.dumps(root, ensure_ascii=False) for root in self.workspace.slack.roots("ops")]

    def denied(self) -> list[tuple[str, str]]:
        query = (
            "SELECT actor_name, code FROM hub_auditevent WHERE resource = 'approval' AND outcome = 'denied'"
        )
        return [tuple(row) for row in self.stack.sql(query)]


def manifests(image: str) -> str:
    def hook(name: str, phase: str) -> str:
        annotations = (
            f"{{argocd.argoproj.io/hook: {phase}, argocd.argoproj.io/hook-delete-policy: BeforeHookCreation}}"
        )
        return (
            f"apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, annotations: {annotations}}}\n"
            "spec: {template: {metadata: {annotations: {sim/ends-after: 200ms}}, "
            f"spec: {{restartPolicy: Never, containers: [{{name: c, image: '{image}'}}]}}}}}}\n---\n"
        )

    return (
        hook("before", "PreSync")
        + f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{image: '{image}'}}\n---\n"
        + "apiVersion: apps/v1\nkind: Deployment\n"
        + 'metadata: {name: web, annotations: {argocd.argoproj.io/sync-wave: "1"}}\n'
        + "spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, "
        + f"spec: {{containers: [{{name: c, image: '{image}'}}]}}}}}}\n---\n"
        + hook("after", "PostSync")
    )


@pytest.fixture
def story(
    controlplane_programs: Path, postgres_service: Service, redis_service: Service, tmp_path: Path
) -> Iterator[Story]:
    repositories = tmp_path / "git"
    repositories.mkdir()
    with (
        ControlPlane() as plane,
        SlackServer() as slack,
        gitserver.https_server(repositories) as git,
        Stack(postgres_service, redis_service, plane, tmp_path) as stack,
    ):
        repository = gitserver.make_repo(repositories, "shop.git")
        stack.environment["HUB_POLL_SECONDS"] = "600"
        plane.request(
            "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}}
        )
        browser = Browser(stack.web())
        stack.start("beat", "beat")
        stack.worker("one")
        workspace = Workspace(slack, lambda: datetime.now(UTC), browser)
        tale = Story(stack, workspace, repository, git.url(repository), browser)
        _settle(tale, slack.url, git.ca_pem)
        try:
            yield tale
        except BaseException:
            print(stack.logs())
            raise


def _settle(story: Story, slack_url: str, ca_pem: str) -> None:
    """What the platform team sets up: people, their Slack accounts, repository, webhook, channel, application."""
    gitserver.commit(story.repository, {"deploy/all.yaml": manifests("shop:1")})
    settings = json.dumps({"token": "xoxb-good-token-1", "apiURL": slack_url, "signingSecret": SECRET})
    application = {
        "name": "shop-prod",
        "project": "shop",
        "sources": [{"repo_url": story.git_url, "path": "deploy"}],
        "destination": {"cluster": "real", "namespace": NS},
        "sync_policy": AUTOMATED,
    }
    story.stack.do(
        "from django.contrib.auth.models import Group\n"
        "from hub.models import WebhookSecret, ProjectMember\n"
        "from hub.services import accounts, chat\n"
        "from notifications.models import Service, Subscription\n"
        "shop = Project.objects.get(name='shop')\n"
        f"for name, sub in {PEOPLE!r}.items():\n"
        "    document = {'username': name, 'email': name + '@example.com', 'groups': ['platform-leads']}\n"
        "    user, _ = accounts.create(dana, document)\n"
        "    code = chat.offer('slack:T1', sub).rpartition('/')[2]\n"
        "    chat.confirm(Actor(kind='user', id=str(user.pk), name=name, via='web'), user, code)\n"
        "ProjectMember.objects.create(project=shop, group=Group.objects.get(name='platform-leads'), role='reader')\n"
        f"WebhookSecret.objects.create(provider='github', secret={HOOK_SECRET!r})\n"
        f"Service.objects.create(name='slack', type='slack', settings={settings!r})\n"
        "Subscription.objects.create(name='drift', destinations=['slack:#ops'],"
        " events=['drift-detected', 'drift-resolved'])\n"
        f"repositories.create(dana, {{'url': {story.git_url!r}, 'ca_pem': {ca_pem!r}}})\n"
        f"app = applications.create(dana, {application!r})\nnudges.look([app.id])"
    )
    for name, sub in PEOPLE.items():
        story.workspace.arrives(name, sub)
    until(lambda: story.stack.status("shop-prod") == ("Synced", "Healthy", "Succeeded"), 60)
    policy = {
        "name": "production",
        "scope": {"projects": ["shop"], "applications": ["*-prod"]},
        "require": [{"from": ["group:local:platform-leads"], "count": 2}],
        "destinations": ["slack:#ops"],
    }
    story.stack.do(f"from hub.services import approvals\napprovals.create_policy(dana, {policy!r})")


def test_a_production_change_is_approved_in_slack_and_told_in_one_thread(story: Story) -> None:
    workspace, stack = story.workspace, story.stack
    assert story.image() == "shop:1"

    # A commit changes the image: the card appears, and nothing is applied.
    began = time.monotonic()
    story.push({"deploy/all.yaml": manifests("shop:2")})
    until(story.roots, 20)
    print(f"the card appeared {time.monotonic() - began:.2f} s after the webhook")
    ((number, state),) = story.requests()
    assert state == "pending"
    card = workspace.text(number)
    for said in (
        f"Approval {number}: sync in shop-prod",
        f"apply apps/Deployment/{NS}/web",
        f"run batch/Job/{NS}/before PreSync",
        "2 of platform-leads",
    ):
        assert said in card
    assert story.image() == "shop:1"

    # The author is a lead too, and is refused privately.
    assert workspace.press("UALICE", workspace.buttons(number)["hub:approve"]).status_code == 200
    (told,) = workspace.whispered("UALICE")
    assert "wrote or committed a change of this plan" in told
    assert story.denied() == [("alice", "author")]
    assert workspace.thread(number) == []

    # Two leads approve: a line for each, then PreSync, waves, PostSync, and the result in the same thread.
    assert workspace.press("UDAN", workspace.buttons(number)["hub:approve"]).status_code == 200
    until(lambda: len(workspace.thread(number)) == 1)
    assert "dan approved, 1 of 2 votes" in workspace.thread(number)[0]
    assert story.image() == "shop:1"
    assert workspace.press("UERIN", workspace.buttons(number)["hub:approve"]).status_code == 200
    until(lambda: story.requests() == [(number, "done")], 60)
    assert story.image() == "shop:2"
    until(lambda: len(workspace.thread(number)) == 4)
    assert "erin approved, 2 of 2 votes" in workspace.thread(number)[1]
    assert "shop-prod is synced" in workspace.thread(number)[2]
    assert "deployed" in workspace.thread(number)[3]
    until(lambda: [*workspace.buttons(number)] == ["hub:open"])
    for job in ("before", "after"):
        found = stack.get(f"/apis/batch/v1/namespaces/{NS}/jobs/{job}")
        assert found is not None
        assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "shop:2"
        assert found["status"]["succeeded"] == 1
    assert len(story.roots()) == 1

    # Somebody edits the Deployment by hand: drift and, healed, its resolution, in a thread of its own.
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "shop:hacked"}]}}}}
    stack.plane.request(
        "PATCH",
        f"/apis/apps/v1/namespaces/{NS}/deployments/web",
        patch,
        content_type="application/strategic-merge-patch+json",
    )
    until(lambda: len(story.roots()) == 2, 40)
    (drift,) = [root for root in workspace.slack.roots("ops") if root not in workspace.cards(number)]
    until(lambda: any("in sync again" in line or "resolved" in line for line in _replies(story, drift)), 40)
    until(lambda: story.image() == "shop:2")
    assert len(workspace.thread(number)) == 4, "the card's thread is left alone"
    assert len(story.requests()) == 1, "healing needs no consent"

    # A second commit supersedes an unapproved first one, and its card says so.
    until(lambda: stack.status("shop-prod") == ("Synced", "Healthy", "Succeeded"), 40)
    story.push({"deploy/all.yaml": manifests("shop:3")})
    until(lambda: len(story.requests()) == 2, 20)
    first = story.requests()[1][0]
    until(lambda: workspace.cards(first))
    story.push({"deploy/all.yaml": manifests("shop:4")})
    until(lambda: [state for _, state in story.requests()] == ["done", "superseded", "pending"], 20)
    second = story.requests()[2][0]
    until(lambda: f"Superseded by approval {second}: the plan changed" in workspace.text(first))
    assert [*workspace.buttons(first)] == ["hub:open"]
    until(lambda: workspace.cards(second))
    assert "hub:approve" in workspace.buttons(second)
    assert story.image() == "shop:2"


def _replies(story: Story, root: dict[str, Any]) -> list[str]:
    replies = story.workspace.slack.replies("ops", root["ts"])
    return [json.dumps(reply, ensure_ascii=False) for reply in replies]
