"""`manage.py app VERB`: applications from the command line of the hub."""

from __future__ import annotations

import sys
import time
from typing import Any

from django.core.management.base import CommandParser

from hub.errors import HubError
from hub.management.doors import VerbCommand, actor
from hub.models import Application, SyncOperation
from hub.models.operation import UNFINISHED
from hub.services import applications, operations
from hub.tasks import nudges

TIMED_OUT = 124
COLUMNS = ("name", "project", "cluster", "namespace", "sync", "health", "phase", "revision")
DIFFERENCE = ("kind", "namespace", "name", "status", "path", "live", "desired", "ignored_by")
POLL_S = 0.5


def line(app: Application) -> dict[str, Any]:
    return {
        "name": app.name,
        "project": app.project.name,
        "cluster": app.cluster.name,
        "namespace": app.destination_namespace,
        "sync": app.sync_status,
        "health": app.health_status,
        "phase": app.operation_phase,
        "revision": str((app.revisions or [""])[0])[:12],
    }


def find(name: str) -> Application:
    app = Application.objects.select_related("project", "cluster").filter(name=name).first()
    if app is None:
        raise HubError("not_found", f"there is no application {name}", "manage.py app list", status=404)
    return app


def _resource(text: str) -> dict[str, str]:
    """`group/Kind/namespace/name`; the first part is empty for the core group. Raises HubError."""
    parts = text.split("/")
    if len(parts) != 4 or not parts[1] or not parts[3]:
        raise HubError(
            "invalid", f"{text!r} is not group/Kind/namespace/name", "for example /Service/shop/web"
        )
    return dict(zip(("group", "kind", "namespace", "name"), parts, strict=True))


def _said(operation: SyncOperation) -> str:
    """What the newest operation did, or waits for and until when."""
    why = operation.wait.get("reason") or operation.message
    until = operation.wait.get("until")
    text = f"{operation.kind} {operation.number} {operation.phase}{f': {why}' if why else ''}"
    return f"{text} (until {until})" if until else text


class Command(VerbCommand):
    help = "Applications: list, get, sync, takeover, diff, wait, refresh, terminate, history"

    def arguments(self, verb: str, parser: CommandParser) -> None:
        if verb == "list":
            parser.add_argument("--project", default="")
            parser.add_argument("--cluster", default="")
            return
        parser.add_argument("name")
        if verb == "sync":
            parser.add_argument("--dry-run", action="store_true", help="ask the clusters, change nothing")
            parser.add_argument("--prune", action="store_true", help="also delete what is no longer in Git")
            parser.add_argument(
                "--force", action="store_true", help="delete and create what cannot be changed"
            )
            parser.add_argument("--revision", default="", help="another commit, tag or branch")
            parser.add_argument("--reason", default="")
            parser.add_argument("--wait", action="store_true", help="as `app wait` afterwards")
        if verb == "takeover":
            parser.add_argument("--dry-run", action="store_true", help="ask the clusters, change nothing")
            parser.add_argument(
                "--resource", action="append", default=[], help="group/Kind/namespace/name; may be repeated"
            )
            parser.add_argument("--reason", default="")
        if verb == "refresh":
            parser.add_argument("--hard", action="store_true", help="also render anew")
        if verb in {"wait", "sync"}:
            parser.add_argument("--timeout", type=float, default=300.0, help="seconds")

    def do_list(self, options: dict[str, Any]) -> None:
        """All applications"""
        rows = Application.objects.select_related("project", "cluster").order_by("name")
        if options["project"]:
            rows = rows.filter(project__name=options["project"])
        if options["cluster"]:
            rows = rows.filter(cluster__name=options["cluster"])
        self.show(options, [line(app) for app in rows], COLUMNS)

    def do_get(self, options: dict[str, Any]) -> None:
        """One application: its conditions, what it waits for, and why nothing starts by itself"""
        app = find(options["name"])
        last = app.operations.order_by("-number").first()
        self.show_one(
            options,
            applications.document(app)
            | line(app)
            | {
                "health_message": app.health_message,
                "operation": _said(last) if last is not None else "",
                "conditions": app.conditions,
                "gate": app.gate,
                "pin": app.pin,
            },
        )

    def do_sync(self, options: dict[str, Any]) -> None:
        """Ask for a sync; an equal one that is unfinished is joined"""
        app = find(options["name"])
        asked: dict[str, Any] = {name: True for name in ("dry_run", "prune", "force") if options[name]}
        if options["revision"]:
            asked["revisions"] = [options["revision"]]
        if options["reason"]:
            asked["reason"] = options["reason"]
        operation, created = operations.request(actor(), app, operations.read_request(asked))
        nudges.look([app.id])
        self.stderr.write(f"operation {operation.number} {'began' if created else 'was joined'}")
        if options["wait"]:
            self._wait(options, operation)
        else:
            self.show_one(options, {"number": operation.number, "phase": operation.phase})

    def do_takeover(self, options: dict[str, Any]) -> None:
        """Take over what others own and this application wants"""
        app = find(options["name"])
        asked: dict[str, Any] = {"reason": options["reason"]} if options["reason"] else {}
        if options["dry_run"]:
            asked["dry_run"] = True
        if options["resource"]:
            asked["resources"] = [_resource(text) for text in options["resource"]]
        operation = operations.takeover(actor(), app, operations.read_takeover(asked))
        nudges.look([app.id])
        self.show_one(options, {"number": operation.number, "phase": operation.phase})

    def do_diff(self, options: dict[str, Any]) -> None:
        """What differs from Git, masked; code 1 when anything does"""
        app = find(options["name"])
        rows = app.resources.exclude(status__in=("Synced", "")).order_by("kind", "namespace", "name")
        found = []
        for row in rows:
            key = {"kind": row.kind, "namespace": row.namespace, "name": row.name, "status": row.status}
            found += [key | entry for entry in row.drift] or [key | {"path": row.reason}]
        self.show(options, found, DIFFERENCE)
        if found:
            sys.exit(1)

    def do_wait(self, options: dict[str, Any]) -> None:
        """Until synced and healthy: code 0; failed: 1; time-out: 124"""
        find(options["name"])
        self._wait(options, None)

    def _wait(self, options: dict[str, Any], operation: SyncOperation | None) -> None:
        deadline = time.monotonic() + options["timeout"]
        said = ""
        while True:
            app = find(options["name"])
            code, sentence = self._verdict(app, operation)
            if sentence != said:
                self.stderr.write(sentence)
                said = sentence
            if code is None and time.monotonic() >= deadline:
                self.stderr.write(f"time-out after {options['timeout']:g} s")
                code = TIMED_OUT
            if code is not None:
                self.show(options, [line(app)], COLUMNS)
                if code:
                    sys.exit(code)
                return
            time.sleep(POLL_S)

    def _verdict(self, app: Application, asked: SyncOperation | None) -> tuple[int | None, str]:
        """An exit code, or None while it can still become well; and where it stands."""
        where = f"{app.name}: {app.sync_status}, {app.health_status}"
        last = app.operations.order_by("-number").first()
        if last is not None and last.phase in UNFINISHED:
            reason = last.wait.get("reason") or last.message
            return None, f"{where}, operation {last.number} {last.phase}{f' ({reason})' if reason else ''}"
        if asked is not None and asked.request.get("dry_run") and last is not None:
            return (0 if last.phase == SyncOperation.Phase.SUCCEEDED else 1), f"dry run: {last.message}"
        if last is not None and last.phase in {SyncOperation.Phase.FAILED, SyncOperation.Phase.ERROR}:
            return 1, f"{where}, operation {last.number} {last.phase}: {last.message}"
        if app.sync_status == "Synced" and app.health_status == "Healthy":
            return 0, where
        return None, where

    def do_refresh(self, options: dict[str, Any]) -> None:
        """Ask the repositories and compare"""
        app = find(options["name"])
        applications.refresh(actor(), app, hard=options["hard"])
        for repository in app.source_states.filter(repository__isnull=False).values_list(
            "repository", flat=True
        ):
            nudges.send("hub.poll", [str(repository)])
        nudges.look([app.id])
        self.stdout.write(f"{app.name} will be looked at")

    def do_terminate(self, options: dict[str, Any]) -> None:
        """End the running operation"""
        app = find(options["name"])
        operation = operations.terminate(actor(), app)
        nudges.look([app.id])
        self.stdout.write(f"operation {operation.number} will end")

    def do_history(self, options: dict[str, Any]) -> None:
        """Operations, newest first"""
        rows = find(options["name"]).operations.order_by("-number")[:50]
        columns = ("number", "kind", "phase", "by", "revision", "message", "created_at", "finished_at")
        found = [
            {
                "number": row.number,
                "kind": row.kind,
                "phase": row.phase,
                "by": row.initiator.get("name", ""),
                "revision": str((row.revisions or [""])[0])[:12],
                "message": row.message,
                "created_at": row.created_at,
                "finished_at": row.finished_at,
            }
            for row in rows
        ]
        self.show(options, found, columns)
