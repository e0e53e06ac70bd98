"""The command line: verbs, tables, JSON, exit codes (OB3, W37, F12, A1)."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_httpserver import HTTPServer

from clusters.models import Cluster
from clusters.services.probing import Probe
from guard.fields import DecryptionError
from hub import cli
from hub.models import (
    AuditEvent,
    HubIdentity,
    Project,
    Repository,
    ResourceStatus,
    SyncOperation,
    User,
    WorkerProcess,
)
from hub.services import condition, heartbeats, polling, probing
from hub.tasks import nudges
from tests.hub import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(nudges, "look", lambda ids, **_: found.append(("look", list(ids))))
    monkeypatch.setattr(nudges, "send", lambda task, args, **_: found.append((task, *args)))
    return found


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and what was said meanwhile."""
    out, err = StringIO(), StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_app_list_is_a_table_for_people_and_json_for_programs() -> None:
    factories.application("web", sync_status="Synced", health_status="Healthy", revisions=["a" * 40])
    _, table, _ = run("app", "list")
    lines = table.splitlines()
    assert lines[0].split() == [
        "NAME",
        "PROJECT",
        "CLUSTER",
        "NAMESPACE",
        "SYNC",
        "HEALTH",
        "PHASE",
        "REVISION",
    ]
    assert lines[1].split() == ["web", "shop", "dev", "shop", "Synced", "Healthy", "-", "a" * 12]
    assert json.loads(run("app", "list", "-o", "json")[1])[0]["name"] == "web"
    assert run("app", "list", "--project", "bank")[1] == "none\n"


def test_app_get_shows_the_document_and_a_missing_one_is_a_sentence() -> None:
    factories.application("web")
    assert json.loads(run("app", "get", "web", "-o", "json")[1])["destination"]["namespace"] == "shop"
    with pytest.raises(CommandError, match="there is no application nope"):
        call_command("app", "get", "nope")


def test_app_sync_accepts_an_operation_and_joins_an_equal_one(sent: list[Any]) -> None:
    app = factories.application("web")
    _, _, said = run("app", "sync", "web", "--prune")
    assert said == "operation 1 began\n"
    assert run("app", "sync", "web", "--prune")[2] == "operation 1 was joined\n"
    operation = SyncOperation.objects.get()
    assert operation.request == {"prune": True}
    assert operation.initiator["via"] == "cli"
    assert ("look", [app.id]) in sent


def test_app_wait_ends_with_0_when_synced_and_healthy() -> None:
    factories.application("web", sync_status="Synced", health_status="Healthy")
    code, _, said = run("app", "wait", "web")
    assert (code, said) == (0, "web: Synced, Healthy\n")


def test_app_wait_ends_with_1_when_the_operation_failed() -> None:
    app = factories.application("web", sync_status="OutOfSync")
    app.operations.create(number=1, phase="Failed", message="Deployment api was refused")
    code, _, said = run("app", "wait", "web")
    assert code == 1
    assert "Deployment api was refused" in said


def test_app_wait_ends_with_124_when_time_is_up() -> None:
    app = factories.application("web", sync_status="OutOfSync", health_status="Progressing")
    app.operations.create(number=1, phase="Running", wait={"reason": "Deployment api is not ready"})
    code, _, said = run("app", "wait", "web", "--timeout", "0")
    assert code == 124
    assert "operation 1 Running (Deployment api is not ready)" in said


def test_app_diff_names_the_paths_and_ends_with_1() -> None:
    app = factories.application("web")
    assert run("app", "diff", "web")[0] == 0
    ResourceStatus.objects.create(
        application=app,
        kind="ConfigMap",
        namespace="shop",
        name="settings",
        status="OutOfSync",
        drift=[{"path": ".data.level", "desired": '"info"', "live": '"debug"'}],
    )
    code, table, _ = run("app", "diff", "web")
    assert code == 1
    assert ".data.level" in table


def test_app_get_says_what_the_application_waits_for() -> None:
    app = factories.application("web")
    app.operations.create(
        number=1,
        phase="Running",
        wait={"reason": "sync window freeze denies", "until": "2027-01-01T00:00:00+00:00"},
    )
    said = run("app", "get", "web")[1]
    assert "sync 1 Running: sync window freeze denies (until 2027-01-01T00:00:00+00:00)" in said


def test_app_takeover_names_its_resources() -> None:
    app = factories.application("web")
    with pytest.raises(CommandError, match="is not group/Kind/namespace/name"):
        call_command("app", "takeover", "web", "--resource", "ConfigMap/one")
    assert run("app", "takeover", "web", "--resource", "/ConfigMap/shop/one", "--reason", "moving")[0] == 0
    operation = app.operations.get()
    assert operation.kind == "takeover"
    chosen = {"group": "", "kind": "ConfigMap", "namespace": "shop", "name": "one"}
    assert operation.request == {"reason": "moving", "resources": [chosen]}


def test_app_refresh_terminate_and_history() -> None:
    app = factories.application("web")
    with pytest.raises(CommandError, match="no operation of web is running"):
        call_command("app", "terminate", "web")
    app.operations.create(number=1, phase="Running")
    assert run("app", "terminate", "web")[1] == "operation 1 will end\n"
    assert run("app", "refresh", "web", "--hard")[0] == 0
    assert "Running" in run("app", "history", "web")[1]
    assert list(AuditEvent.objects.order_by("id").values_list("action", "via")) == [
        ("terminate", "cli"),
        ("refresh", "cli"),
    ]


def test_cluster_add_reads_the_token_from_a_file_and_never_shows_it(tmp_path: Path, sent: list[Any]) -> None:
    (tmp_path / "token").write_text("a-very-secret-token\n")
    arguments = ("--server", "https://127.0.0.1:6443", "--token-file", str(tmp_path / "token"))
    _, table, _ = run("cluster", "add", "dev", *arguments)
    cluster = Cluster.objects.get()
    assert cluster.token.reveal() == "a-very-secret-token"
    assert "secret" not in table + run("cluster", "list", "-o", "json")[1]
    assert sent == [("hub.probe", str(cluster.id))]


def test_cluster_probe_ends_with_1_when_it_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.cluster("dev")
    monkeypatch.setattr(probing.clusters, "probe", lambda connection: Probe("Unreachable", "refused"))
    assert run("cluster", "probe", "dev")[0] == 1
    monkeypatch.setattr(probing.clusters, "probe", lambda connection: Probe("Connected", version="v1.36.0"))
    code, table, _ = run("cluster", "probe", "dev")
    assert (code, "v1.36.0" in table) == (0, True)


def test_repo_add_list_and_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("a-very-secret-password\n")
    url = "https://git.example.com/shop/web.git"
    run("repo", "add", url, "--username", "robot", "--password-file", str(tmp_path / "password"))
    assert Repository.objects.get().password.reveal() == "a-very-secret-password"
    assert "secret" not in run("repo", "list")[1]
    monkeypatch.setattr(polling, "poll", lambda key: Repository.objects.update(state="Connected") and [])
    assert run("repo", "probe", url)[0] == 0
    monkeypatch.setattr(polling, "poll", lambda key: Repository.objects.update(state="Failed") and [])
    assert run("repo", "probe", url)[0] == 1


def test_project_create_and_list(tmp_path: Path, alice: User) -> None:
    (tmp_path / "rules.json").write_text('{"sources": {"allow": ["https://git.example.com/**"]}}')
    run("project", "create", "team", "--rules-file", str(tmp_path / "rules.json"), "--owner", "alice")
    project = Project.objects.get(name="team")
    assert project.rules["sources"]["allow"] == ["https://git.example.com/**"]
    assert project.members.get().user == alice
    assert "team" in run("project", "list")[1]
    (tmp_path / "rules.json").write_text('{"sources": "all"}')
    with pytest.raises(CommandError, match="sources"):
        call_command("project", "create", "other", "--rules-file", str(tmp_path / "rules.json"))


def test_alive_worker_and_tick_judge_the_newest_beat() -> None:
    assert run("alive", "worker") == (1, "worker never beat\n", "")
    WorkerProcess.objects.create(id="worker@a:1", role="worker", seen_at=timezone.now())
    WorkerProcess.objects.create(
        id="tick@a:1", role="tick", seen_at=timezone.now() - timezone.timedelta(minutes=5)
    )
    assert run("alive", "worker")[0] == 0
    assert run("alive", "tick")[0] == 1


def test_alive_here_judges_only_what_runs_on_this_host() -> None:
    """The health check of one worker's container is not content with the beat of another."""
    WorkerProcess.objects.create(id="worker@elsewhere:1", role="worker", seen_at=timezone.now())
    assert run("alive", "worker")[0] == 0
    assert run("alive", "worker", "--here") == (1, "worker never beat\n", "")
    heartbeats.beat("worker")
    assert run("alive", "worker", "--here")[0] == 0


def test_alive_web_asks_readyz_by_the_public_name(httpserver: HTTPServer, settings: Any) -> None:
    settings.HUB_URL = "https://hub.example.com"
    expected = {"Host": "hub.example.com", "X-Forwarded-Proto": "https"}
    httpserver.expect_ordered_request("/readyz", headers=expected).respond_with_json({"status": "ok"})
    httpserver.expect_ordered_request("/readyz").respond_with_json({}, status=503)
    assert run("alive", "web", "--url", httpserver.url_for("/")) == (0, "web answers 200\n", "")
    assert run("alive", "web", "--url", httpserver.url_for("/"))[0] == 1
    assert run("alive", "web", "--url", "http://127.0.0.1:9")[0] == 1


def test_a1_createadmin_shows_a_random_password_once() -> None:
    _, said, _ = run("createadmin", "root")
    password = said.split("password")[1].split()[0]
    root = User.objects.get(username="root")
    assert root.is_superuser
    assert root.check_password(password)
    assert password not in str(AuditEvent.objects.values_list("after", "reason"))
    with pytest.raises(CommandError, match="not available"):
        call_command("createadmin", "root")


def test_a1_a_fresh_install_has_no_user_at_all() -> None:
    assert not User.objects.exists()


def raw(table: str, column: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table}")
        return str(cursor.fetchone()[0])


def test_w37_f12_rotate_keys_moves_everything_to_the_first_key(settings: Any) -> None:
    old, new = settings.HUB_ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    cluster = Cluster(name="dev", server="https://dev.example.com")
    cluster.token = "sentinel-token-value"
    cluster.save()
    settings.HUB_ENCRYPTION_KEYS = [new, old]
    assert run("rotate_keys", "--check")[0] == 1
    code, said, _ = run("rotate_keys")
    assert code == 0
    assert "2 were re-encrypted" in said
    assert run("rotate_keys", "--check")[0] == 0
    settings.HUB_ENCRYPTION_KEYS = [new]
    assert Cluster.objects.get().token.reveal() == "sentinel-token-value"
    assert len(HubIdentity.objects.get().mask_key.reveal()) == 64
    assert "sentinel" not in raw("clusters_cluster", "token")


def test_w37_with_a_wrong_key_readyz_fails_and_no_ciphertext_is_shown(settings: Any) -> None:
    cluster = Cluster(name="dev", server="https://dev.example.com")
    cluster.token = "sentinel-token-value"
    cluster.save()
    settings.HUB_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", "parts": ["keys"]})
    assert raw("clusters_cluster", "token")[:20] not in answer.content.decode()
    code, _, said = run("rotate_keys")
    assert code == 1
    assert "clusters.Cluster.token" in said
    with pytest.raises(DecryptionError):
        Cluster.objects.get().token.reveal()
    assert condition.readiness() == {"keys": "a stored secret cannot be decrypted with HUB_ENCRYPTION_KEYS"}


def test_f12_ciphertext_copied_to_another_row_is_an_error_and_never_text() -> None:
    for name in ("dev", "prod"):
        cluster = Cluster(name=name, server=f"https://{name}.example.com")
        cluster.token = f"sentinel-{name}-token"
        cluster.save()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE clusters_cluster SET token = (SELECT token FROM clusters_cluster WHERE name = 'prod')"
            " WHERE name = 'dev'"
        )
    with pytest.raises(DecryptionError):
        Cluster.objects.get(name="dev").token.reveal()
    assert "Cluster.token" in run("rotate_keys")[2]


def test_the_program_hub_runs_the_same_commands(capsys: pytest.CaptureFixture[str]) -> None:
    factories.application("web")
    cli.main(["app", "list"])
    assert "web" in capsys.readouterr().out
