"""`manage.py notifications …`: import, look, try out, and mend; what only reads works with files alone (notifications.md 11)."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError

import notifications.services as services
from notifications.core import catalogue, marks
from notifications.core.imports import Imported, ReportLine
from notifications.core.imports import import_config as read_config
from notifications.core.templates import ImportedTemplate, NativeTemplate
from notifications.core.triggers import NativeTrigger, Trigger
from notifications.errors import NotificationError
from notifications.models import Delivery, Destination, EventCopy, Service
from notifications.models import Template as TemplateRow
from notifications.models import Trigger as TriggerRow
from notifications.services import clock, configured, owing, silences

ME = "the command line"
EMPTY = ":empty"


class Command(BaseCommand):
    help = "Notifications: import a configuration, render templates, explain, test, send again, silence."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        one = commands.add_parser("import", help="take over a configuration of argocd-notifications")
        one.add_argument("--config-map", required=True, help="a file, or - for standard input")
        one.add_argument("--secret", default=EMPTY, help="a file, or :empty")
        one.add_argument("--project", default="", help="the project that owns it (self-service)")
        one.add_argument("--dry-run", action="store_true")
        for name in ("templates", "triggers"):
            one = commands.add_parser(name, help=f"list {name}")
            one.add_argument("name", nargs="?")
            one.add_argument("-o", "--output", choices=["wide", "name", "json", "yaml"], default="wide")
            one.add_argument("--config-map", help="read this file instead of the database")
        for name in ("render", "trigger"):
            one = commands.add_parser(
                name, help="what a template would send" if name == "render" else "what a trigger says"
            )
            one.add_argument("name")
            one.add_argument("--event", help="the key of a stored event")
            one.add_argument("--app", help="the newest stored event of this application")
            one.add_argument("--file", help="an event, or an Application of Argo CD, as YAML or JSON")
            one.add_argument("--config-map", help="read this file instead of the database")
            one.add_argument("--service", default="slack", help="the type of the channel")
            one.add_argument("--recipient", default="console:stdout", help="service:recipient")
        self._acts(commands)

    def _acts(self, commands: Any) -> None:
        one = commands.add_parser("explain", help="who gets an event, why, why not")
        one.add_argument("event")
        one.add_argument("--recipient", default="")
        one = commands.add_parser("send-test", help="send a fixed text to a destination")
        one.add_argument("destination", help="its number, or service:recipient")
        one = commands.add_parser("deliveries", help="list deliveries")
        one.add_argument("--state", choices=Delivery.State.values)
        one.add_argument("--limit", type=int, default=50)
        one = commands.add_parser("resend", help="send deliveries again")
        one.add_argument("ids", nargs="+", type=int)
        one = commands.add_parser("mark-sent", help="close an unconfirmed delivery")
        one.add_argument("id", type=int)
        one = commands.add_parser("silence", help="suppress what matches for a time; without arguments: list")
        for key in silences.MATCHED:
            one.add_argument(f"--{key}", default="")
        one.add_argument("--hours", type=float, default=0.0)
        one.add_argument("--reason", default="")
        one.add_argument("--end", type=int, help="end this silence now")
        one = commands.add_parser("events", help="list stored events")
        one.add_argument("--app", default="")
        one.add_argument("--limit", type=int, default=50)

    def handle(self, *_: Any, **options: Any) -> None:
        act = getattr(self, "_" + options["command"].replace("-", "_"))
        try:
            act(options)
        except NotificationError as error:
            raise CommandError(f"{error} {f'({error.hint})' if error.hint else ''}".strip()) from None

    # -- configuration

    def _import(self, options: dict[str, Any]) -> None:
        config = _load(options["config_map"])
        secret = {} if options["secret"] == EMPTY else _load(options["secret"])
        report = services.import_config(
            config, secret, project=options["project"], dry_run=options["dry_run"]
        )
        self._report(report)
        if any(line.outcome == "refused" for line in report):
            self.stdout.write("Refused keys were left out; everything else was taken over.")
        if options["dry_run"]:
            self.stdout.write("Dry run: nothing was stored.")

    def _report(self, report: tuple[ReportLine, ...]) -> None:
        for line in report:
            place = f":{line.line}" if line.line else ""
            rest = " - ".join(part for part in (line.sentence, line.hint) if part)
            self.stdout.write(f"{line.outcome:8} {line.key}{place}  {rest}".rstrip())

    def _templates(self, options: dict[str, Any]) -> None:
        if options["config_map"]:
            data = _load(options["config_map"]).get("data") or {}
            known = {
                key.partition(".")[2]: str(text) for key, text in data.items() if key.startswith("template.")
            }
        else:
            known = dict.fromkeys(catalogue.default_templates(), "(catalogue)")
            known |= {row.name: row.text for row in TemplateRow.objects.all()}
        self._listed(known, options)

    def _triggers(self, options: dict[str, Any]) -> None:
        if options["config_map"]:
            data = _load(options["config_map"]).get("data") or {}
            known = {
                key.partition(".")[2]: str(text) for key, text in data.items() if key.startswith("trigger.")
            }
        else:
            known = dict.fromkeys((*catalogue.default_triggers(), *catalogue.default_native()), "(catalogue)")
            known |= {row.name: row.text for row in TriggerRow.objects.all()}
        self._listed(known, options)

    def _listed(self, known: dict[str, str], options: dict[str, Any]) -> None:
        name, output = options["name"], options["output"]
        if name and name not in known:
            raise CommandError(f"there is none of the name {name!r}")
        shown = {name: known[name]} if name else dict(sorted(known.items()))
        if output == "json":
            self.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False))
        elif output == "yaml":
            self.stdout.write(yaml.safe_dump(shown, allow_unicode=True, sort_keys=True))
        else:
            for key, text in shown.items():
                first = text.strip().splitlines()[0] if text.strip() else ""
                self.stdout.write(key if output == "name" else f"{key:40} {first[:80]}")

    # -- trying out

    def _render(self, options: dict[str, Any]) -> None:
        event = self._event(options)
        found, missing = self._template(options)
        preview = services.preview(
            event,
            found,
            channel=options["service"],
            recipient=options["recipient"],
            context=self._config(options).context if options["config_map"] else configured.load().context,
            missing=missing,
        )
        self.stdout.write(json.dumps(preview.steps, indent=2, ensure_ascii=False, default=str))
        for remark in preview.remarks:
            self.stdout.write(f"remark: {remark}")
        if preview.fallback:
            self.stdout.write(f"fallback: {preview.fallback}")

    def _template(self, options: dict[str, Any]) -> tuple[list[ImportedTemplate | NativeTemplate], list[str]]:
        name = options["name"]
        if options["config_map"]:
            imported = self._config(options)
            found: list[ImportedTemplate | NativeTemplate] = [
                one for one in imported.templates if one.name == name
            ]
            return found, [] if found else [name]
        found, missing, problem = configured.templates_of([name], "")
        if problem is not None:
            raise problem
        return found, missing

    def _trigger(self, options: dict[str, Any]) -> None:
        event = self._event(options)
        trigger: Trigger | NativeTrigger | None = None
        if options["config_map"]:
            imported = self._config(options)
            context = imported.context
            found = [one for one in imported.triggers if one.name == options["name"]]
            trigger = found[0] if found else None
        else:
            config = configured.load()
            context, rule = config.context, config.rule(options["name"], "")
            if rule is not None and rule.problem is not None:
                raise rule.problem
            trigger = rule.trigger if rule is not None else None
        if trigger is None:
            raise CommandError(f"there is no trigger {options['name']!r}")
        self.stdout.write(f"{'CONDITION':36} {'RESULT':8} {'ONCEPER':24} ERROR")
        for one in services.try_trigger(trigger, event, context):
            self.stdout.write(f"{one.condition:36} {one.result:8} {one.once_per:24} {one.error}".rstrip())

    def _config(self, options: dict[str, Any]) -> Imported:
        return read_config(_load(options["config_map"]), {})

    def _event(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["file"]:
            return _as_event(_load(options["file"]))
        rows = EventCopy.objects.order_by("-id")
        if options["event"]:
            copy = rows.filter(key=options["event"]).first()
        elif options["app"]:
            copy = rows.filter(data__app__name=options["app"]).first()
        else:
            raise CommandError("name an event: --event KEY, --app NAME or --file FILE")
        if copy is None:
            raise CommandError("there is no such event")
        return dict(copy.data)

    # -- looking and mending

    def _explain(self, options: dict[str, Any]) -> None:
        for line in services.explain(options["event"], options["recipient"]):
            self.stdout.write(line)

    def _send_test(self, options: dict[str, Any]) -> None:
        given = options["destination"]
        rows = Destination.objects.select_related("service")
        name, _, recipient = given.partition(":")
        row = rows.filter(pk=int(given)).first() if given.isdigit() else None
        row = row or rows.filter(service__name=name, recipient=recipient).first()
        if row is None and (service := Service.objects.filter(name=name).order_by("project").first()):
            # A place that was never written to is what one wants to test first.
            row = owing.destinations([(str(service.pk), recipient)])[str(service.pk), recipient]
        if row is None:
            known = ", ".join(Service.objects.order_by("name").values_list("name", flat=True)) or "none yet"
            raise CommandError(f"there is no destination {given!r}; services: {known}")
        tested = services.send_test(row.pk, ME)
        if not tested.ok:
            raise CommandError(f"{tested.code}: {tested.sentence} {tested.hint}".strip())
        self.stdout.write(f"sent to {row}")

    def _deliveries(self, options: dict[str, Any]) -> None:
        rows = Delivery.objects.select_related("destination__service", "event").order_by("-id")
        if options["state"]:
            rows = rows.filter(state=options["state"])
        for row in rows[: options["limit"]]:
            event = row.event.name if row.event is not None else row.kind
            self.stdout.write(
                f"{row.pk:8} {row.state:11} {row.attempts:3} {row.destination!s:32} {event:20} {row.error_code} {row.error}".rstrip()
            )

    def _resend(self, options: dict[str, Any]) -> None:
        for number in options["ids"]:
            self.stdout.write(f"delivery {number} is sent again as {services.resend(number, ME)}")

    def _mark_sent(self, options: dict[str, Any]) -> None:
        services.mark_sent(options["id"], ME)
        self.stdout.write(f"delivery {options['id']} is marked as sent")

    def _silence(self, options: dict[str, Any]) -> None:
        now = clock.now()
        if options["end"]:
            silences.end(options["end"], now)
            self.stdout.write(f"silence {options['end']} has ended")
            return
        matcher = {key: options[key] for key in silences.MATCHED if options[key]}
        if matcher:
            if options["hours"] <= 0 or not options["reason"]:
                raise CommandError("a silence needs --hours and --reason")
            made = silences.create(
                matcher, now, now + timedelta(hours=options["hours"]), ME, options["reason"]
            )
            self.stdout.write(f"silence {made.pk} until {made.ends_at.isoformat(timespec='minutes')}")
            return
        for row in silences.active(now):
            self.stdout.write(
                f"{row.pk:6} until {row.ends_at.isoformat(timespec='minutes')} {row.matcher} {row.reason}"
            )

    def _events(self, options: dict[str, Any]) -> None:
        rows = EventCopy.objects.order_by("-id")
        if options["app"]:
            rows = rows.filter(data__app__name=options["app"])
        for row in rows[: options["limit"]]:
            when = row.occurred_at.isoformat(timespec="seconds")
            self.stdout.write(f"{when} {row.severity:8} {row.name:20} {row.key}  {row.summary}")


def _load(place: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if place == "-" else Path(place).read_text()
        loaded = yaml.safe_load(text)
    except (OSError, yaml.YAMLError) as error:
        raise CommandError(f"{place} cannot be read: {error}") from None
    if not isinstance(loaded, dict):
        raise CommandError(f"{place} holds no map")
    return loaded


def _as_event(loaded: dict[str, Any]) -> dict[str, Any]:
    """An event as it is, or an Application of Argo CD as the event that shows it."""
    if loaded.get("kind") != "Application":
        return loaded
    metadata, spec = loaded.get("metadata") or {}, loaded.get("spec") or {}
    name = str(metadata.get("name", ""))
    return {
        "id": "file",
        "key": "file",
        "name": "observed",
        "occurred_at": clock.now().isoformat(),
        "severity": "info",
        "summary": f"{marks.scrub(name)} from a file",
        "app": {
            "name": name,
            "namespace": metadata.get("namespace", ""),
            "uid": metadata.get("uid", name),
            "project": spec.get("project", ""),
            "labels": metadata.get("labels") or {},
            "annotations": metadata.get("annotations") or {},
        },
        "project": {"name": spec.get("project", "")},
        "application": loaded,
    }
