"""From a body to an object as it may be stored: values in shape, defaults filled in, rules kept."""

from __future__ import annotations

import base64
from typing import Any

import orjson

import clusters.sandbox.conform as shapes
import clusters.sandbox.immutables as immutables
import clusters.sandbox.validation as validation
from clusters.sandbox.answers import ApiError, invalid
from clusters.sandbox.backend import Options
from clusters.sandbox.conform import Findings
from clusters.sandbox.defaults import DEFAULTERS
from clusters.sandbox.registry import Served
from clusters.sandbox.schema import definition

Manifest = dict[str, Any]
METADATA = definition("meta.v1.ObjectMeta")


def shaped(served: Served, obj: Manifest, options: Options, act: str) -> Manifest:
    """`obj` as the types like it, with defaults. `act` is create, update, patch, or the words of an apply's error."""
    found = Findings()
    applying = act not in ("create", "update", "patch")
    if served.custom:
        out = shapes.pruned(obj, served.node, found)
        metadata = shapes.conform(out["metadata"], METADATA, found, "metadata")
        out = out if metadata is out["metadata"] else {**out, "metadata": metadata}
    else:
        wrong = "" if applying else shapes.wrong_types(obj, served.node)
        if wrong:
            raise _undecodable(served, wrong)
        out = shapes.conform(obj, served.node, found)
    if found.broken:
        if applying:
            kind = act.partition("; ")[2]
            text = f"failed to convert new object ({act}) to proper version: unable to convert unstructured object to "
            raise ApiError(500, f"{text}{kind}: {found.broken[0]}", reason="")
        raise _undecodable(served, found.broken[0])
    if found.unknown and not applying:
        _unknown_fields(served, found.unknown, options)
    defaulter = DEFAULTERS.get((served.group, served.kind))
    if defaulter is None or served.custom:
        return dict(out) if out is obj else out
    own: Manifest = orjson.loads(orjson.dumps(out))
    if own.get("kind") == "Secret":
        _take_string_data(own)
    defaulter(own)
    return own


def _take_string_data(secret: Manifest) -> None:
    plain = secret.pop("stringData", None)
    if plain:
        data = secret.setdefault("data", {})
        for key, value in plain.items():
            data[key] = base64.b64encode((value or "").encode()).decode()


def _undecodable(served: Served, why: str) -> ApiError:
    text = f'{served.kind} in version "{served.version}" cannot be handled as a {served.kind}: {why}'
    return ApiError(400, text)


def _unknown_fields(served: Served, unknown: list[str], options: Options) -> None:
    listed = [f'unknown field "{path}"' for path in unknown]
    if options.validation == "Strict":
        raise _undecodable(served, "strict decoding error: " + ", ".join(listed))
    if options.validation == "Warn":
        options.warnings.extend(listed)


def check(served: Served, obj: Manifest, old: Manifest | None) -> None:
    """Raises ApiError 422 for what an object may not be, or may not become from `old`."""
    key = (served.group, served.kind)
    causes = validation.metadata_causes(served, obj["metadata"]) if old is None else []
    if old is not None and obj["metadata"].get("labels") != old["metadata"].get("labels"):
        causes += validation.metadata_causes(served, obj["metadata"])
    if served.custom:
        raw = served.node.raw or {}
        causes += shapes.schema_causes(obj, raw, "") if raw else []
    else:
        causes += validation.required_causes(obj, served.node, "")
        validator = validation.VALIDATORS.get(key)
        if validator is not None and not causes:
            causes += validator(obj)
        rule = immutables.RULES.get(key)
        if rule is not None and old is not None:
            causes += rule(old, obj)
    if causes:
        raise invalid(served.kind, served.group, obj["metadata"]["name"], causes)
