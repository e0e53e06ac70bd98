"""Configuration of argocd-notifications to records and a report; each key stands alone (notifications.md 4.1).

import_config(configmap, secret, labelled={}) -> Imported      never fails: what cannot be read is in the report
import_told(application, triggers, now) -> {trigger: states}   from `notified.notifications.argoproj.io`
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from notifications.core.catalogue import default_templates
from notifications.core.routing import Defaults, GlobalSubscription, read_globals
from notifications.core.templates import CHANNELS, NOT_YET, ImportedTemplate, read_template
from notifications.core.triggers import ConditionState, Trigger, read_trigger, taken_over
from notifications.core.yamls import as_text, load_yaml
from notifications.errors import ConfigError, PlacedError

TOLD_ANNOTATION = "notified.notifications.argoproj.io"
_SECRET = re.compile(r"\$([A-Za-z0-9_-]+)(?::([A-Za-z0-9._-]+))?")
_ASKED = re.compile(r"\.secrets\.([A-Za-z0-9_]+)|index\s+\$?\.secrets\s+\"([A-Za-z0-9_.-]+)\"")
_OLD = {"config.yaml": "triggers, templates and subscriptions", "notifiers.yaml": "services"}
Outcome = Literal["taken", "remark", "refused"]


@dataclass(frozen=True)
class ReportLine:
    """What became of one key. `line` counts from 1 inside the value of that key; 0 when no place is known."""

    key: str
    outcome: Outcome
    sentence: str = ""
    hint: str = ""
    line: int = 0


@dataclass(frozen=True)
class ImportedService:
    """`settings` hold secrets in the clear: store them encrypted. `granted` are the names that `.secrets` may give.

    `supported` False: the type is read and kept, nothing is sent through it yet.
    """

    name: str
    type: str
    settings: Mapping[str, Any]
    granted: tuple[str, ...] = ()
    supported: bool = True


@dataclass(frozen=True)
class Imported:
    """Everything that could be read. `secrets` are the values that services may be granted, by name."""

    triggers: tuple[Trigger, ...]
    templates: tuple[ImportedTemplate, ...]
    services: tuple[ImportedService, ...]
    subscriptions: tuple[GlobalSubscription, ...]
    defaults: Defaults
    context: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    report: tuple[ReportLine, ...] = ()


def import_config(
    configmap: Mapping[str, Any],
    secret: Mapping[str, Any] | None = None,
    labelled: Mapping[str, Mapping[str, Any]] | None = None,
) -> Imported:
    """`configmap` and `secret` are Kubernetes objects; `labelled` the Secrets that `$name:key` may name, by name."""
    data = configmap.get("data") or {}
    importer = _Importer(
        secret_values(secret or {}), {name: secret_values(one) for name, one in (labelled or {}).items()}
    )
    for key in sorted(data):
        importer.key(str(key), as_text(data[key]))
    return importer.imported()


def secret_values(secret: Mapping[str, Any]) -> dict[str, str]:
    """The texts of a Secret: `data` is base64, `stringData` wins. What is no base64 or no text is left out."""
    values: dict[str, str] = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            # Line ends in base64 mean nothing, as in Kubernetes.
            values[str(key)] = base64.b64decode("".join(str(value).split()), validate=True).decode()
        except (binascii.Error, ValueError):
            continue
    return values | {str(key): as_text(value) for key, value in (secret.get("stringData") or {}).items()}


class _Importer:
    def __init__(self, secrets: Mapping[str, str], labelled: Mapping[str, Mapping[str, str]]) -> None:
        self.secrets = secrets
        self.labelled = labelled
        self.triggers: list[Trigger] = []
        self.templates: list[ImportedTemplate] = []
        self.services: list[ImportedService] = []
        self.subscriptions: tuple[GlobalSubscription, ...] = ()
        self.default_triggers: tuple[str, ...] = ()
        self.by_service: dict[str, tuple[str, ...]] = {}
        self.context: dict[str, str] = {}
        self.report: list[ReportLine] = []
        self.asked: dict[str, set[str]] = {}

    def key(self, key: str, text: str) -> None:
        """One key; its failure is its own."""
        kind, _, name = key.partition(".")
        readers: dict[str, Callable[[str, str], list[str]]] = {
            "trigger": self.trigger,
            "template": self.template,
            "service": self.service,
            "subscriptions": self.globals,
            "defaultTriggers": self.defaults,
            "context": self.variables,
        }
        if key in _OLD:
            sentence = f"the old form of {_OLD[key]} is not applied"
            self.report.append(
                ReportLine(key, "refused", sentence, "write trigger.*, template.* and service.* keys")
            )
            return
        reader = readers.get(kind)
        needs_name = kind in ("trigger", "template", "service")
        if reader is None or (needs_name is not bool(name) and kind != "defaultTriggers"):
            self.report.append(ReportLine(key, "refused", "this key is not known"))
            return
        try:
            remarks = reader(name, text)
        except PlacedError as problem:
            self.report.append(ReportLine(key, "refused", problem.sentence, problem.hint, problem.line))
            return
        lines = [ReportLine(key, "remark", remark) for remark in remarks]
        self.report.extend(lines or [ReportLine(key, "taken")])

    def trigger(self, name: str, text: str) -> list[str]:
        trigger = read_trigger(name, text)
        self.triggers.append(trigger)
        bad = [condition for condition in trigger.conditions if condition.problem is not None]
        off = [
            f"the condition {one.key} is off: {one.problem} ({one.problem.hint})"
            for one in bad
            if one.problem
        ]
        return [*trigger.remarks, *off]

    def template(self, name: str, text: str) -> list[str]:
        template = read_template(name, text)
        self.templates.append(template)
        for path, leaf in template.blocks.get("webhook", {}).items():
            found = _ASKED.findall(as_text(leaf.value))
            self.asked.setdefault(path[0], set()).update(plain or quoted for plain, quoted in found)
        return [*template.remarks, *(f"{channel} is not supported yet" for channel in template.not_yet)]

    def service(self, name: str, text: str) -> list[str]:
        kind, _, own = name.partition(".")
        if kind not in CHANNELS and kind not in NOT_YET and kind != "console":
            raise ConfigError("unsupported", f"the service type {kind[:40]!r} is not known")
        loaded = load_yaml(text)
        if loaded is not None and not isinstance(loaded, dict):
            raise ConfigError("shape", "a service is a map of settings")
        unknown: list[str] = []
        settings = self.substituted(loaded or {}, unknown)
        self.services.append(ImportedService(own or kind, kind, settings, supported=kind not in NOT_YET))
        remarks = [f"{word} is in no Secret and stays as it is written" for word in dict.fromkeys(unknown)]
        if kind in NOT_YET:
            remarks.append(f"{kind} is not supported yet")
        return [*remarks, "annotations may name any recipient and project; restrict it in the service"]

    def substituted(self, value: Any, unknown: list[str]) -> Any:
        """`$word` and `$secret-name:key` in texts and keys, on the parsed tree, so that no value becomes YAML."""
        if isinstance(value, dict):
            return {
                self.substituted(str(key), unknown): self.substituted(item, unknown)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.substituted(item, unknown) for item in value]
        if not isinstance(value, str):
            return value

        def secret(found: re.Match[str]) -> str:
            word, key = found[1], found[2]
            if key is not None and key in self.labelled.get(word, {}):
                return self.labelled[word][key]
            if word in self.secrets:
                return self.secrets[word] + (f":{key}" if key is not None else "")
            unknown.append(found[0])
            return found[0]

        return _SECRET.sub(secret, value)

    def globals(self, _: str, text: str) -> list[str]:
        self.subscriptions = read_globals(text)
        return []

    def defaults(self, service: str, text: str) -> list[str]:
        loaded = load_yaml(text)
        if not isinstance(loaded, list):
            raise ConfigError("shape", "default triggers are a list of names")
        names = tuple(as_text(name) for name in loaded)
        if service:
            self.by_service[service] = names
        else:
            self.default_triggers = names
        return []

    def variables(self, _: str, text: str) -> list[str]:
        loaded = load_yaml(text)
        if not isinstance(loaded, dict):
            raise ConfigError("shape", "context is a map of texts")
        self.context = {str(key): as_text(value) for key, value in loaded.items()}
        return []

    def imported(self) -> Imported:
        self.cross_checks()
        services = [
            ImportedService(
                one.name, one.type, one.settings, tuple(sorted(self.asked.get(one.name, ()))), one.supported
            )
            for one in self.services
        ]
        return Imported(
            triggers=tuple(self.triggers),
            templates=tuple(self.templates),
            services=tuple(services),
            subscriptions=self.subscriptions,
            defaults=Defaults(self.default_triggers, self.by_service),
            context=self.context,
            secrets=self.secrets,
            report=tuple(self.report),
        )

    def cross_checks(self) -> None:
        """What one key says about another: names that nothing has."""
        templates = {template.name for template in self.templates} | set(default_templates())
        for trigger in self.triggers:
            sent = dict.fromkeys(name for condition in trigger.conditions for name in condition.send)
            for name in sent:
                if name not in templates:
                    sentence = f"there is no template {name[:60]!r}; its messages use the fallback"
                    self.report.append(ReportLine(f"trigger.{trigger.name}", "remark", sentence))
        for service in self.services:
            for name in sorted(self.asked.get(service.name, ())):
                if name not in self.secrets:
                    sentence = f"a template asks for the secret {name[:60]!r}, which does not exist"
                    self.report.append(ReportLine(f"service.{service.type}", "remark", sentence))


def import_told(
    application: Mapping[str, Any], triggers: tuple[Trigger, ...], now: datetime
) -> dict[str, dict[str, ConditionState]]:
    """What Argo CD already told about this Application, per trigger; nothing of it is told again."""
    metadata = application.get("metadata") or {}
    annotation = (metadata.get("annotations") or {}).get(TOLD_ANNOTATION)
    if not isinstance(annotation, str):
        return {}
    found = {
        trigger.name: taken_over(annotation, trigger, str(metadata.get("namespace", "")), now)
        for trigger in triggers
    }
    return {name: states for name, states in found.items() if states}
