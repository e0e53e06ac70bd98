"""`manage.py cluster VERB`: clusters from the command line of the hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from clusters.models import Cluster
from hub.errors import HubError
from hub.management.doors import VerbCommand, actor
from hub.services import clusters, probing
from hub.tasks import nudges

COLUMNS = ("name", "server", "state", "version", "shard", "credential_kind", "state_message")


def line(cluster: Cluster) -> dict[str, Any]:
    return {column: getattr(cluster, column) for column in COLUMNS}


def text_of(path: str) -> str:
    """A file, or the standard input for `-`. Secrets are never arguments: those show in process lists (C1)."""
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", "") or "not text"
        raise HubError("unreadable_file", f"{path} cannot be read: {reason}") from None


class Command(VerbCommand):
    help = "Clusters: add, list, probe"

    def arguments(self, verb: str, parser: CommandParser) -> None:
        if verb == "probe":
            parser.add_argument("name")
        if verb == "add":
            parser.add_argument("name")
            parser.add_argument("--kubeconfig", default="", help="a file, - for the standard input")
            parser.add_argument("--context", default="")
            parser.add_argument("--server", default="")
            parser.add_argument("--token-file", default="", help="a file, - for the standard input")
            parser.add_argument("--ca-file", default="")
            parser.add_argument("--project", default="", help="for this project alone")
            parser.add_argument(
                "--namespace", action="append", default=[], help="restrict to it; may be repeated"
            )

    def do_list(self, options: dict[str, Any]) -> None:
        """All clusters"""
        self.show(options, [line(cluster) for cluster in Cluster.objects.order_by("name")], COLUMNS)

    def do_add(self, options: dict[str, Any]) -> None:
        """Register a cluster by kubeconfig, or by address, token and CA"""
        document: dict[str, Any] = {"name": options["name"]}
        for field, option in (("kubeconfig", "kubeconfig"), ("token", "token_file"), ("ca_pem", "ca_file")):
            if options[option]:
                document[field] = text_of(options[option]).strip() + ("" if field == "token" else "\n")
        for field in ("context", "server", "project"):
            if options[field]:
                document[field] = options[field]
        if options["namespace"]:
            document["namespaces"] = options["namespace"]
        cluster = clusters.register(actor(), document)
        nudges.send("hub.probe", [str(cluster.id)])
        self.show(options, [line(cluster)], COLUMNS)

    def do_probe(self, options: dict[str, Any]) -> None:
        """Ask it now how it is; code 1 unless it is Connected or Degraded"""
        cluster = Cluster.objects.filter(name=options["name"]).first()
        if cluster is None:
            raise HubError("not_found", f"there is no cluster {options['name']}", "manage.py cluster list")
        clusters.probe_now(actor(), cluster)
        nudges.look(probing.probe(cluster.id))
        cluster.refresh_from_db()
        self.show(options, [line(cluster)], COLUMNS)
        if cluster.state not in probing.UP:
            sys.exit(1)
