"""/clusters: registered safely, never readable back; what a probe changes (W34, W35, B8; CL2, CL3, CL8, CL12, CL13)."""

from __future__ import annotations

import base64
import datetime
import json
import socket
import subprocess
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.urls import get_resolver
from django.utils import timezone

from clusters.models import Cluster
from clusters.services.probing import Probe
from hub.models import Application, AuditEvent, Event, ResourceStatus, User
from hub.services import clusters, probing
from tests.hub import factories
from tests.hub.conftest import Api

pytestmark = pytest.mark.django_db
TOKEN = "sentinel-token-93ab1"


def certificate(name: str, *, ca: bool, days: int = 30) -> tuple[str, str]:
    """A self-signed certificate and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return built.public_bytes(serialization.Encoding.PEM).decode(), pem.decode()


def kubeconfig(**users: dict[str, Any]) -> str:
    """One context per user, all at the same address."""
    ca, _ = certificate("ca", ca=True)
    server = {
        "server": "https://127.0.0.1:6443",
        "certificate-authority-data": base64.b64encode(ca.encode()).decode(),
    }
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": next(iter(users)),
            "clusters": [{"name": "one", "cluster": server}],
            "users": [{"name": name, "user": user} for name, user in users.items()],
            "contexts": [{"name": name, "context": {"cluster": "one", "user": name}} for name in users],
        }
    )


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process, no file, no connection, while a kubeconfig is looked at."""
    assert get_resolver().url_patterns  # modules of the doors read files when they are imported

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError(f"something was started, opened or dialled: {args}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("os.system", refuse)
    monkeypatch.setattr("builtins.open", refuse)


def test_w34_a_kubeconfig_with_an_exec_plugin_is_refused_and_nothing_runs(
    dana: User, nothing_runs: None
) -> None:
    text = kubeconfig(dev={"exec": {"command": "touch", "args": ["/tmp/never"], "apiVersion": "v1"}})
    answer = Api(dana).post("/clusters/preview", {"kubeconfig": text})
    assert (answer.status_code, answer.json()["code"]) == (400, "kubeconfig_exec_refused")
    assert answer.json()["hint"]


@pytest.mark.parametrize(
    ("user", "code"),
    [
        ({"exec": {"command": "true"}}, "kubeconfig_exec_refused"),
        ({"auth-provider": {"config": {"cmd-path": "/bin/true"}}}, "kubeconfig_auth_provider_refused"),
        ({"tokenFile": "/etc/passwd"}, "kubeconfig_path_refused"),
        ({"client-certificate": "/etc/passwd"}, "kubeconfig_path_refused"),
        ({"username": "a", "password": TOKEN}, "kubeconfig_password_refused"),
        ({"token": TOKEN, "as": "admin"}, "kubeconfig_impersonation_refused"),
    ],
)
def test_b8_commands_files_and_foreign_identities_are_refused_by_name(
    dana: User, nothing_runs: None, user: dict[str, Any], code: str
) -> None:
    body = {"name": "dev", "kubeconfig": kubeconfig(dev=user)}
    for answer in (
        Api(dana).post("/clusters", body),
        Api(dana).post("/clusters/preview", {"kubeconfig": body["kubeconfig"]}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert TOKEN not in answer.content.decode()
    assert not Cluster.objects.exists()


def test_w35_a_context_is_registered_and_get_shows_no_secret(dana: User, nudged: list[Any]) -> None:
    claims = (
        base64.urlsafe_b64encode(json.dumps({"sub": "hub", "exp": 1893456000}).encode()).decode().rstrip("=")
    )
    jwt = f"x.{claims}.{TOKEN}"
    text = kubeconfig(stage={"token": "another-token"}, prod={"token": jwt})
    shown = Api(dana).post("/clusters/preview", {"kubeconfig": text}).json()
    assert [context["name"] for context in shown["contexts"]] == ["stage", "prod"]
    made = Api(dana).post("/clusters", {"name": "prod", "kubeconfig": text, "context": "prod"})
    assert made.status_code == 201, made.content
    cluster = Cluster.objects.get()
    assert cluster.token.reveal() == jwt
    assert nudged == [("probe", cluster.id)]
    read = Api(dana).get("/clusters/prod")
    assert TOKEN not in read.content.decode() + made.content.decode()
    credential = read.json()["credential"]
    assert (credential["kind"], credential["subject"]) == ("token", "hub")
    assert credential["expires_at"] == "2030-01-01T00:00:00+00:00"
    assert len(credential["fingerprint"]) == 16
    assert TOKEN not in str(list(AuditEvent.objects.values()))


def test_w35_the_first_probe_connects_it_and_its_applications_look(
    dana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = factories.cluster("dev")
    app = factories.application("web", cluster=cluster)
    asked: list[Any] = []
    monkeypatch.setattr(
        probing.clusters,
        "probe",
        lambda connection: asked.append(connection) or Probe("Connected", version="v1.36.0"),
    )
    assert probing.probe(cluster.id) == [app.id]
    cluster.refresh_from_db()
    assert (cluster.state, cluster.version) == ("Connected", "v1.36.0")
    assert len(asked) == 1
    assert probing.probe(cluster.id) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"server": "http://10.0.0.1"}, "server"),
        ({"server": "https://user:x@127.0.0.1"}, "server"),
        ({"server": "https://127.0.0.1/?a=b"}, "server"),
        ({"server": "https://169.254.169.254"}, "server"),
        ({"server": "https://10.1.2.3"}, "server"),
        ({"server": "https://[::ffff:169.254.169.254]"}, "server"),
        ({"server": ""}, "server"),
        ({"ca_pem": "no certificate"}, "ca_pem"),
        ({"client_key_pem": "x"}, "client_certificate_pem"),
        ({"proxy_url": "http://127.0.0.1:3128"}, "proxy_url"),
        ({"insecure_skip_tls_verify": True}, "insecure_skip_tls_verify"),
        ({"in_cluster": True}, "in_cluster"),
        ({"max_in_flight": 0}, "max_in_flight"),
        ({"shard": 99}, "shard"),
        ({"project": "nope"}, "project"),
    ],
)
def test_what_cannot_be_used_is_refused_by_field(dana: User, changes: dict[str, Any], field: str) -> None:
    body = {"name": "dev", "server": "https://127.0.0.1:6443", "token": TOKEN} | changes
    answer = Api(dana).post("/clusters", body)
    assert answer.status_code == 422, answer.content
    assert field in answer.json()["fields"]
    assert TOKEN not in answer.content.decode()


def test_cl3_a_key_of_another_certificate_and_an_ended_one_are_refused(dana: User) -> None:
    pem, key = certificate("admin", ca=False)
    _, other = certificate("admin", ca=False)
    ended, its_key = certificate("admin", ca=False, days=-1)
    api = Api(dana)
    base = {"name": "dev", "server": "https://127.0.0.1:6443"}
    for pair in ((pem, other), (ended, its_key), (pem, "no key")):
        body = base | dict(zip(("client_certificate_pem", "client_key_pem"), pair, strict=True))
        assert api.post("/clusters", body).status_code == 422
    good = api.post("/clusters", base | {"client_certificate_pem": pem, "client_key_pem": key})
    assert good.status_code == 201, good.content
    assert good.json()["credential"]["subject"] == "admin"
    replaced = api.patch("/clusters/dev", {"token": TOKEN}, If_Match=good["ETag"])
    assert replaced.json()["credential"]["kind"] == "token"
    assert not Cluster.objects.get().client_key_pem


def test_cl8_an_empty_credential_keeps_the_stored_one(dana: User) -> None:
    cluster = factories.cluster("dev")
    cluster.token = TOKEN
    cluster.save()
    answer = Api(dana).patch("/clusters/dev", {"token": "", "labels": {"tier": "prod"}}, If_Match='"1"')
    assert answer.status_code == 200, answer.content
    cluster.refresh_from_db()
    assert (cluster.token.reveal(), cluster.labels, cluster.generation) == (TOKEN, {"tier": "prod"}, 2)


def test_a_cluster_is_not_registered_twice(dana: User) -> None:
    body = {"name": "dev", "server": "https://127.0.0.1:6443", "token": TOKEN}
    assert Api(dana).post("/clusters", body).status_code == 201
    again = Api(dana).post("/clusters", body | {"name": "other"})
    assert (again.status_code, again.json()["code"]) == (409, "server_taken")
    assert Api(dana).post("/clusters", body).json()["code"] in {"name_not_available", "server_taken"}


def test_an_owner_registers_for_the_own_project_alone(alice: User, bob: User) -> None:
    body = {"name": "dev", "server": "https://127.0.0.1:6443", "token": TOKEN}
    assert Api(alice).post("/clusters", body).status_code == 404
    assert Api(bob).post("/clusters", body | {"project": "shop"}).status_code == 403
    assert Api(alice).post("/clusters", body | {"project": "bank"}).status_code == 422
    assert Api(alice).post("/clusters", body | {"project": "shop"}).status_code == 201
    assert [row["name"] for row in Api(bob).get("/clusters").json()["items"]] == ["dev"]


def test_b3_rule_5_a_cluster_of_another_project_is_as_good_as_missing(alice: User, bank: Any) -> None:
    factories.cluster("vault", scope="bank")
    document = {
        "name": "web",
        "project": "shop",
        "sources": [{"repo_url": "https://git.example.com/a", "path": "x"}],
    }
    answers = [
        Api(alice).post("/applications", document | {"destination": {"cluster": name, "namespace": "x"}})
        for name in ("vault", "nixxx")
    ]
    texts = [answer.content.decode().replace("vault", "nixxx") for answer in answers]
    assert texts[0] == texts[1]


def test_cl12_pausing_and_going_on(dana: User, nudged: list[Any]) -> None:
    cluster = factories.cluster("dev")
    app = factories.application("web", cluster=cluster)
    assert Api(dana).post("/clusters/dev/pause").json()["state"] == "Paused"
    assert probing.due() == []
    assert probing.probe(cluster.id) == []
    assert Api(dana).delete("/clusters/dev/pause").json()["state"] == "Unknown"
    assert probing.due() == [cluster.id]
    assert ("look", [app.id]) in nudged


def test_cl12_a_cluster_in_use_stays_and_names_its_applications(dana: User) -> None:
    factories.application("web", cluster=factories.cluster("dev"))
    answer = Api(dana).delete("/clusters/dev")
    assert (answer.status_code, answer.json()["code"]) == (409, "in_use")
    assert "web" in answer.json()["message"]
    Application.objects.all().delete()
    assert Api(dana).delete("/clusters/dev").json() == {"deleted": "dev", "left_behind": {}}


def test_a_cluster_that_is_gone_lets_go_of_what_is_being_detached(dana: User) -> None:
    """The report says what was last seen there, in the answer, the event and the audit (10.4)."""
    cluster = factories.cluster("dev")
    app = factories.application("web", cluster=cluster)
    other = factories.application("db", cluster=cluster)
    ResourceStatus.objects.create(application=app, kind="ConfigMap", namespace="shop", name="a", uid="u")
    Application.objects.filter(id=app.id).update(deletion_requested_at=timezone.now(), on_delete="detach")
    answer = Api(dana).delete("/clusters/dev?force=true")
    assert (answer.status_code, answer.json()["message"]) == (409, "1 applications use dev: db")
    Application.objects.filter(id=other.id).update(deletion_requested_at=timezone.now(), on_delete="detach")
    assert Api(dana).delete("/clusters/dev").json()["code"] == "in_use", "nobody said that it is gone"
    left = {"web": ["ConfigMap/shop/a"], "db": []}
    assert Api(dana).delete("/clusters/dev?force=true").json()["left_behind"] == left
    assert not Application.objects.exists()
    event = Event.objects.get(application=app.id, name="deleted")
    assert event.data["detail"]["left_behind"] == ["ConfigMap/shop/a"]
    assert AuditEvent.objects.filter(action="let go", object_name="web").exists()


def test_cl13_a_new_cluster_gets_the_shard_with_the_fewest_objects(settings: Any) -> None:
    settings.HUB_SHARDS = 2
    busy = factories.cluster("busy", shard=0)
    factories.cluster("quiet", shard=1)
    factories.cluster("calm", shard=1)
    ResourceStatus.objects.create(
        application=factories.application("web", cluster=busy), kind="ConfigMap", name="a"
    )
    assert clusters.emptiest_shard() == 1


def test_a_lost_cluster_is_told_once_and_its_return_ends_the_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = factories.cluster("dev", state="Connected")
    factories.application("web", cluster=cluster)
    answers = iter(["Unreachable", "Unreachable", "Connected", "Unreachable", "Degraded"])
    monkeypatch.setattr(
        probing.clusters, "probe", lambda connection: Probe(next(answers), "connection refused")
    )
    for _ in range(5):
        probing.probe(cluster.id)
    found = list(Event.objects.order_by("id").values_list("name", "key", "severity"))
    prefix = f"{cluster.id}/unreachable"
    assert found == [
        ("cluster-unreachable", f"{prefix}/1", "critical"),
        ("cluster-recovered", f"{prefix}/1/recovered", "success"),
        ("cluster-unreachable", f"{prefix}/2", "critical"),
        ("cluster-recovered", f"{prefix}/2/recovered", "success"),
    ]
    told = Event.objects.get(key=f"{prefix}/1").data
    assert told["detail"] == {"applications": ["web"], "applications_total": 1}
    assert Event.objects.get(key=f"{prefix}/1/recovered").data["resolves"] == f"{prefix}/1"


def test_a_cluster_seen_for_the_first_time_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = factories.cluster("dev")
    monkeypatch.setattr(probing.clusters, "probe", lambda connection: Probe("Unreachable", "refused"))
    probing.probe(cluster.id)
    assert not Event.objects.exists()
    cluster.refresh_from_db()
    wait = (cluster.next_probe_at - timezone.now()).total_seconds()
    assert 20 < wait <= 30


def test_a_probe_of_replaced_credentials_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = factories.cluster("dev", state="Connected")

    def slow(connection: Any) -> Probe:
        Cluster.objects.filter(id=cluster.id).update(generation=2)
        return Probe("Unauthorized", "no")

    monkeypatch.setattr(probing.clusters, "probe", slow)
    assert probing.probe(cluster.id) == []
    assert Cluster.objects.get().state == "Connected"
