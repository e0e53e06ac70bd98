"""GitHub by an App: commit status, deployment, pull request comment, check run, repository dispatch.

Each is one step. A deployment and a check run carry the token of the Delivery and can be asked for; a comment carries
it in a hidden mark and is looked for before it is written, so repeating it is harmless (notifications.md 6.4 and 10).
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import notifications.channels.base as base
from guard.redact import remember
from notifications.channels.base import Answer, DeliveryError, Network, Owed, Receipt, Request, Step
from notifications.core.namespaces import full_name
from notifications.core.templates import Message

TYPE = "github"
# Machines read it: every message stands alone.
FOLDS = False
SECRETS = frozenset(["privateKey"])
KNOWN = SECRETS | {"appID", "installationID", "enterpriseBaseURL"}
MAX_DESCRIPTION = 140
MAX_COMMENT = 65_536
_MANY = "too many statuses"
_PAGES = 20
Part = Mapping[str, Any]


def check(settings: Mapping[str, Any]) -> list[str]:
    return [f"{key} is missing" for key in ("appID", "installationID", "privateKey") if not settings.get(key)]


# -- preparing


def prepare(message: Message, _recipient: str, _settings: Mapping[str, Any], owed: Owed) -> list[Step]:
    """One step per sub-block of the template, else a commit status. Raises DeliveryError without a repository."""
    part: Part = message.parts.get("github") or {}
    place = _place(part, owed.event)
    steps = []
    if part.get("status") or not any(key in part for key in _MAKERS):
        steps.append(_status(message, part.get("status") or {}, place))
    for key, make in _MAKERS.items():
        if isinstance(part.get(key), Mapping):
            steps += make(part[key], place, owed)
    return steps


def _place(part: Part, event: Mapping[str, Any]) -> dict[str, str]:
    """Repository and revision: as templated, else the first of the event."""
    revisions = [one for one in event.get("revisions") or () if isinstance(one, Mapping)]
    first = revisions[0] if revisions else {}
    url = str(part.get("repoURLPath") or first.get("repo") or "")
    sha = str(part.get("revisionPath") or first.get("sha") or "")
    try:
        name = full_name(url)
    except ValueError:
        name = ""
    if name.count("/") != 1 or not sha or "<no value>" in (url, sha):
        raise DeliveryError("no_revision", "the event names no repository and revision", kind="message")
    return {"repo": "/".join(quote(piece, safe="") for piece in name.split("/")), "sha": quote(sha, safe="")}


def _status(message: Message, part: Part, place: dict[str, str]) -> Step:
    states = {"success": "success", "info": "success", "warning": "pending"}
    body = {
        "state": str(part.get("state") or states.get(message.severity, "failure")),
        "context": str(part.get("label") or "gitops-hub"),
        "description": _cut(message.body or message.title, MAX_DESCRIPTION),
        "target_url": str(part.get("targetURL") or message.link or ""),
    }
    return Step("status", {**place, "body": body}, "harmless")


def _deployment(part: Part, place: dict[str, str], owed: Owed) -> list[Step]:
    body = {
        "ref": str(part.get("reference") or place["sha"]),
        "environment": str(part.get("environment") or "production"),
        "auto_merge": part.get("autoMerge") is not False,
        "required_contexts": list(part.get("requiredContexts") or []),
        "transient_environment": bool(part.get("transientEnvironment")),
        "payload": {"hub_delivery": owed.token},
    }
    status = {
        "state": str(part.get("state") or "success"),
        "environment_url": str(part.get("environmentURL") or ""),
        "log_url": str(part.get("logURL") or ""),
        "auto_inactive": True,
    }
    return [
        Step("deployment", {**place, "body": body}, "ask"),
        Step("deployment-status", {**place, "body": status}, "harmless"),
    ]


def _comment(part: Part, place: dict[str, str], owed: Owed) -> list[Step]:
    tag = str(part.get("commentTag") or "")
    mark = f"<!-- hub:tag:{tag} -->" if tag else f"<!-- hub:delivery:{owed.token} -->"
    content = _cut(str(part.get("content") or ""), MAX_COMMENT - len(mark) - 1)
    body = {"body": f"{content}\n{mark}"}
    return [Step("comment", {**place, "body": body, "mark": mark}, "harmless")]


def _check_run(part: Part, place: dict[str, str], owed: Owed) -> list[Step]:
    output = part.get("output") or {}
    body = {
        "name": str(part.get("name") or "gitops-hub"),
        "head_sha": place["sha"],
        "external_id": owed.token,
        **{
            key: str(part[key])
            for key in ("details_url", "status", "started_at", "completed_at")
            if part.get(key)
        },
    }
    if part.get("conclusion"):
        body["conclusion"] = str(part["conclusion"])
    elif body.get("status") == "completed":
        body["conclusion"] = "neutral"
    if output:
        body["output"] = {
            key: _cut(str(output.get(key) or ""), MAX_COMMENT) for key in ("title", "summary", "text")
        }  # type: ignore[assignment]
    return [Step("check-run", {**place, "body": body}, "ask")]


def _dispatched(part: Part, place: dict[str, str], _: Owed) -> list[Step]:
    body: dict[str, Any] = {"event_type": _cut(str(part.get("event_type") or "gitops-hub"), 100)}
    if isinstance(part.get("client_payload"), Mapping):
        body["client_payload"] = part["client_payload"]
    return [Step("dispatch", {**place, "body": body}, "blind")]


_MAKERS = {
    "deployment": _deployment,
    "pullRequestComment": _comment,
    "checkRun": _check_run,
    "repositoryDispatch": _dispatched,
}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


# -- sending


def carry_out(step: Step, settings: Mapping[str, Any], network: Network, owed: Owed) -> Receipt:
    """Raises DeliveryError."""
    api = _Api(settings, network)
    repo, sha = f"/repos/{step.request['repo']}", step.request["sha"]
    if step.name == "comment":
        return _commented(api, repo, sha, step)
    paths = {
        "status": f"{repo}/statuses/{sha}",
        "deployment": f"{repo}/deployments",
        "deployment-status": f"{repo}/deployments/{owed.receipts.get('deployment', '')}/statuses",
        "check-run": f"{repo}/check-runs",
        "dispatch": f"{repo}/dispatches",
    }
    answer = api.call("POST", paths[step.name], step.request["body"])
    made = base.read_json(answer)
    identity = str(made.get("id", "")) if isinstance(made, Mapping) else ""
    if step.name == "deployment" and not identity:
        raise DeliveryError(
            "no_deployment", "GitHub merged instead of deploying", kind="message", answer=answer.text
        )
    return Receipt({step.name: identity} if identity else {}, f"{answer.status}")


def _commented(api: _Api, repo: str, sha: str, step: Step) -> Receipt:
    """Every open pull request of the commit: the comment with our mark is replaced, or written."""
    pulls = base.read_json(api.call("GET", f"{repo}/commits/{sha}/pulls"))
    numbers = (
        [one["number"] for one in pulls if one.get("state") == "open"] if isinstance(pulls, list) else []
    )
    for number in numbers[:10]:
        ours = _comment_with(api, repo, number, step.request["mark"])
        if ours is not None:
            api.call("PATCH", f"{repo}/issues/comments/{ours['id']}", step.request["body"])
        else:
            api.call("POST", f"{repo}/issues/{number}/comments", step.request["body"])
    return Receipt({}, f"{len(numbers)} pull requests")


def _token_of(payload: object) -> object:
    """Others' deployments may carry anything, texts too."""
    return payload.get("hub_delivery") if isinstance(payload, Mapping) else None


def _comment_with(api: _Api, repo: str, number: int, mark: str) -> Any:
    """The comment of a pull request that carries our mark, however many there are; None when there is none."""
    for page in range(1, _PAGES + 1):
        path = f"{repo}/issues/{number}/comments?per_page=100&page={page}"
        found = base.read_json(api.call("GET", path)) or []
        ours = next((one for one in found if mark in str(one.get("body", ""))), None)
        if ours is not None or len(found) < 100:
            return ours
    return None


def ask(step: Step, settings: Mapping[str, Any], network: Network, owed: Owed) -> Receipt | None:
    """Look for what carries the token of this Delivery. Raises DeliveryError when GitHub cannot be asked."""
    api, repo, sha = _Api(settings, network), f"/repos/{step.request['repo']}", step.request["sha"]
    if step.name == "deployment":
        # By what was asked for: a deployment of a branch carries the commit that the branch had by then.
        ref = quote(str(step.request["body"]["ref"]), safe="")
        found = base.read_json(api.call("GET", f"{repo}/deployments?ref={ref}&per_page=100"))
        ours = [one for one in found or [] if _token_of(one.get("payload")) == owed.token]
    else:
        found = base.read_json(api.call("GET", f"{repo}/commits/{sha}/check-runs?per_page=100"))
        ours = [one for one in (found or {}).get("check_runs", []) if one.get("external_id") == owed.token]
    return Receipt({step.name: str(ours[0]["id"])}, "found") if ours else None


def probe(settings: Mapping[str, Any], network: Network) -> Receipt:
    """A fresh installation token proves the key. Raises DeliveryError."""
    _Api(settings, network).token()
    return Receipt({}, "ok")


class _Api:
    """Calls as an installation of the App; the token is made per attempt and never stored."""

    def __init__(self, settings: Mapping[str, Any], network: Network) -> None:
        self.settings, self.network, self._token = settings, network, ""
        self.root = str(settings.get("enterpriseBaseURL") or "https://api.github.com").rstrip("/")

    def token(self) -> str:
        if not self._token:
            installation = quote(str(self.settings.get("installationID") or ""), safe="")
            answer = self._send(
                "POST", f"/app/installations/{installation}/access_tokens", {}, self._assertion()
            )
            try:
                _raised(answer)
            except DeliveryError as error:
                # A token that was perhaps made does no harm; the next attempt makes another.
                kind = "passing" if error.kind == "unsure" else error.kind
                raise DeliveryError(
                    error.code, error.sentence, error.hint, kind=kind, retry_after=error.retry_after
                ) from None
            self._token = str((base.read_json(answer) or {}).get("token", ""))
            remember(self._token)
        return self._token

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """Raises DeliveryError; reading is never unsure."""
        try:
            answer = self._send(method, path, body, self.token())
            _raised(answer)
        except DeliveryError as error:
            if method == "GET" and error.kind == "unsure":
                raise DeliveryError(error.code, error.sentence, kind="passing") from None
            raise
        return answer

    def _send(self, method: str, path: str, body: Any, token: str) -> Answer:
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        data = b"" if body is None else json.dumps(body).encode()
        return base.send(Request(method, self.root + path, headers, data, most=1024 * 1024), self.network)

    def _assertion(self) -> str:
        """The App's own proof: a JWT of nine minutes, signed with its private key."""
        try:
            key = serialization.load_pem_private_key(
                str(self.settings.get("privateKey") or "").encode(), None
            )
        except (ValueError, TypeError):
            raise DeliveryError("bad_key", "privateKey is no PEM private key", kind="service") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise DeliveryError("bad_key", "privateKey is no RSA key", kind="service")
        now = int(time.time())
        claims = {"iat": now - 60, "exp": now + 540, "iss": str(self.settings.get("appID") or "")}
        head = (
            f"{_b64(json.dumps({'alg': 'RS256', 'typ': 'JWT'}).encode())}.{_b64(json.dumps(claims).encode())}"
        )
        return f"{head}.{_b64(key.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _raised(answer: Answer) -> None:
    """GitHub's own meanings before the usual ones."""
    text = answer.text
    limited = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
    if answer.status in (403, 429) and (limited or "rate limit" in text.lower()):
        wait = base.retry_after(answer, 60.0)
        raise DeliveryError("ratelimited", "GitHub asks to wait", kind="wait", retry_after=wait, answer=text)
    if answer.status == 422 and _MANY in text.lower():
        return
    if answer.status == 404:
        hint = "install the App in the repository and grant what it needs"
        raise DeliveryError(
            "http_404",
            "GitHub knows no such repository, or not for this App",
            hint,
            kind="message",
            answer=text,
        )
    base.judged(answer)
