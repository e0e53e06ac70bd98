"""A plain HTTP client for the contract suite: requests as they go over the wire, answers as they come."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]
PLURALS = {
    "ConfigMap": "configmaps",
    "CronJob": "cronjobs",
    "CustomResourceDefinition": "customresourcedefinitions",
    "DaemonSet": "daemonsets",
    "Deployment": "deployments",
    "EndpointSlice": "endpointslices",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "Ingress": "ingresses",
    "Job": "jobs",
    "LimitRange": "limitranges",
    "Namespace": "namespaces",
    "NetworkPolicy": "networkpolicies",
    "PersistentVolume": "persistentvolumes",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Pod": "pods",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "PriorityClass": "priorityclasses",
    "ReplicaSet": "replicasets",
    "ResourceQuota": "resourcequotas",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "StatefulSet": "statefulsets",
    "StorageClass": "storageclasses",
    "Lease": "leases",
    "Widget": "widgets",
    "Gadget": "gadgets",
}
CLUSTER_SCOPED = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
    "PersistentVolume",
    "PriorityClass",
    "StorageClass",
    "Gadget",
}
APPLY = "application/apply-patch+yaml"
PATCH_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


@dataclass(slots=True)
class Answer:
    """One answer. `body` is decoded JSON, or None when it is none; `text` is what came."""

    status: int
    headers: dict[str, str]
    text: str
    body: Any = None

    @property
    def rv(self) -> str:
        return str(self.body["metadata"]["resourceVersion"])


@dataclass(slots=True)
class Stream:
    """The lines of a watch; `take` gives the next event that is no periodic bookmark."""

    response: http.client.HTTPResponse
    events: list[Body] = field(default_factory=list)

    def next(self) -> Body | None:
        """The next event, or None at the clean end of the stream. Raises TimeoutError."""
        line = self.response.readline()
        if not line:
            return None
        event: Body = json.loads(line)
        self.events.append(event)
        return event

    def until(self, wanted: Callable[[Body], bool]) -> Body:
        """The first event from here on that is wanted."""
        while (event := self.next()) is not None:
            if wanted(event):
                return event
        raise AssertionError(f"the stream ended after {self.events}")


@dataclass(slots=True)
class Api:
    """One API server. `sort` is `sandbox` or `real`; `namespace` is the test's own."""

    sort: str
    url: str
    token: str
    ca_pem: str = ""
    namespace: str = ""
    handle: Any = None

    def connect(self, timeout: float = 30.0) -> http.client.HTTPConnection:
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme == "https":
            context = ssl.create_default_context(cadata=self.ca_pem)
            return http.client.HTTPSConnection(parts.netloc, timeout=timeout, context=context)
        return http.client.HTTPConnection(parts.netloc, timeout=timeout)

    def send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Any,
        headers: dict[str, str],
        query: dict[str, str],
    ) -> http.client.HTTPResponse:
        target = urllib.parse.urlsplit(self.url).path + path
        if query:
            target += "?" + urllib.parse.urlencode(query)
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        base = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json",
            "User-Agent": "contract/1",
        }
        if raw is not None:
            base["Content-Type"] = "application/json"
        connection.request(method, target, raw, base | headers)
        return connection.getresponse()

    def request(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: str
    ) -> Answer:
        """One request and its answer, whatever it is."""
        connection = self.connect()
        try:
            response = self.send(connection, method, path, body, headers or {}, query)
            text = response.read().decode()
            kept = {name.lower(): value for name, value in response.getheaders()}
        finally:
            connection.close()
        answer = Answer(response.status, kept, text)
        if "json" in kept.get("content-type", "") and text:
            answer.body = json.loads(text)
        return answer

    # --- objects

    def path(self, obj: Body, *, collection: bool = False, sub: str = "") -> str:
        """The URL path of an object, or of its collection."""
        version, kind = obj["apiVersion"], obj["kind"]
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if kind not in CLUSTER_SCOPED:
            path += f"/namespaces/{obj['metadata'].get('namespace') or self.namespace}"
        path += f"/{PLURALS[kind]}"
        if not collection:
            path += f"/{obj['metadata']['name']}"
        return path + (f"/{sub}" if sub else "")

    def apply(
        self, obj: Body, *, manager: str = "gitops-hub", force: bool = True, sub: str = "", **query: str
    ) -> Answer:
        asked = {"fieldManager": manager, "force": "true" if force else "false", **query}
        return self.request("PATCH", self.path(obj, sub=sub), obj, headers={"Content-Type": APPLY}, **asked)

    def applied(self, obj: Body, **options: Any) -> Body:
        """Apply that must succeed; the object."""
        answer = self.apply(obj, **options)
        assert answer.status in (200, 201), answer.text
        found: Body = answer.body
        return found

    def create(self, obj: Body, **query: str) -> Answer:
        return self.request("POST", self.path(obj, collection=True), obj, **query)

    def replace(self, obj: Body, **query: str) -> Answer:
        return self.request("PUT", self.path(obj), obj, **query)

    def patch(self, obj: Body, patch: Any, sort: str = "merge", *, sub: str = "", **query: str) -> Answer:
        headers = {"Content-Type": PATCH_TYPES[sort]}
        return self.request("PATCH", self.path(obj, sub=sub), patch, headers=headers, **query)

    def get(self, obj: Body, **query: str) -> Answer:
        return self.request("GET", self.path(obj), **query)

    def live(self, obj: Body) -> Body:
        """The object as it is now; it must exist."""
        answer = self.get(obj)
        assert answer.status == 200, answer.text
        found: Body = answer.body
        return found

    def delete(self, obj: Body, body: Body | None = None, **query: str) -> Answer:
        return self.request("DELETE", self.path(obj), body, **query)

    def list(self, obj: Body, **query: str) -> Answer:
        return self.request("GET", self.path(obj, collection=True), **query)

    @contextmanager
    def watch(
        self, obj: Body, *, timeout: float = 15.0, accept: str = "application/json", **query: str
    ) -> Iterator[Stream]:
        """An open watch of the collection of `obj`."""
        connection = self.connect(timeout)
        try:
            path = self.path(obj, collection=True)
            response = self.send(connection, "GET", path, None, {"Accept": accept}, {"watch": "1", **query})
            assert response.status == 200, response.read()
            yield Stream(response)
        finally:
            if connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)
            connection.close()


def eventually(look: Callable[[], Any], seconds: float = 20.0, what: str = "it never came true") -> Any:
    """The first true value of `look`, asked again until the deadline."""
    end = time.monotonic() + seconds
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(what)
        time.sleep(0.02)


def entry(obj: Body, manager: str, operation: str = "", subresource: str = "") -> Body | None:
    """The managedFields entry of a manager."""
    for held in obj["metadata"].get("managedFields", ()):
        same = held["manager"] == manager and (not operation or held["operation"] == operation)
        if same and held.get("subresource", "") == subresource:
            found: Body = held
            return found
    return None


def condition(obj: Body, sort: str) -> Body:
    """A condition of an object, or an empty one."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == sort), {})
