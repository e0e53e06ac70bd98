"""Record what a Kubernetes release serves: `clusters/sandbox/data/kinds.json`, from its published API description.

    python -m tests.live.contract.record_kinds <folder with the modules kubernetes@v1.N.P, api@v0.N.P, ...> <1.N.P>

Only facts are kept: which kinds and subresources there are, the name, type and list key of each field, and what
becomes of an empty field. No prose. Only stable versions are kept.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[3] / "clusters" / "sandbox" / "data" / "kinds.json"
STABLE = re.compile(r"v\d+")
LEFT_OUT = {"internal.apiserver.k8s.io", "storagemigration.k8s.io"}
PREFIXES = ("io.k8s.apimachinery.pkg.apis.", "io.k8s.apimachinery.pkg.", "io.k8s.api.", "io.k8s.")
SCALARS = {
    ("integer", "int32"): "int32",
    ("integer", "int64"): "int64",
    ("integer", ""): "int64",
    ("number", "double"): "number",
    ("boolean", ""): "bool",
    ("string", ""): "string",
    ("string", "date-time"): "time",
    ("string", "byte"): "bytes",
}


def short(name: str) -> str:
    name = name.rpartition("/")[2]
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def type_of(prop: dict[str, Any], defs: dict[str, Any]) -> Any:
    """One field's type: a scalar's name, `#Definition`, or a dict with `list` or `map` (see sandbox/schema.py)."""
    if "allOf" in prop:
        prop = {**prop["allOf"][0], **{k: v for k, v in prop.items() if k != "allOf"}}
    if "$ref" in prop:
        name = short(prop["$ref"])
        target = defs[name]
        if target.get("format") == "int-or-string":
            return "int-or-string"
        if name.endswith("resource.Quantity"):
            return "quantity"
        if "properties" not in target:
            return type_of(target, defs) if target.get("type") in ("string", "array") else "any"
        if prop.get("x-kubernetes-map-type") == "atomic" and target.get("x-kubernetes-map-type") != "atomic":
            return {"ref": name, "atomic": True}
        return "#" + name
    if prop.get("type") == "array":
        made: dict[str, Any] = {"list": type_of(prop["items"], defs)}
        if prop.get("x-kubernetes-list-type", "atomic") != "atomic":
            made["type"] = prop["x-kubernetes-list-type"]
        if "x-kubernetes-list-map-keys" in prop:
            made["keys"] = prop["x-kubernetes-list-map-keys"]
        if "merge" in prop.get("x-kubernetes-patch-strategy", ""):
            made["patch"] = prop.get("x-kubernetes-patch-merge-key", "")
        return made
    if "additionalProperties" in prop:
        made = {"map": type_of(prop["additionalProperties"], defs)}
        return made | ({"atomic": True} if prop.get("x-kubernetes-map-type") == "atomic" else {})
    return SCALARS.get((prop.get("type", ""), prop.get("format", "")), "any")


def definition(schema: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    fields = {name: type_of(prop, defs) for name, prop in schema["properties"].items()}
    made: dict[str, Any] = {"fields": fields}
    if schema.get("required"):
        made["required"] = schema["required"]
    defaults = {
        k: p["default"]
        for k, p in schema["properties"].items()
        if p.get("default") not in (None, {}, "", 0, False)
    }
    if defaults:
        made["key_defaults"] = defaults
    if schema.get("x-kubernetes-map-type") == "atomic":
        made["atomic"] = True
    return made


def empties(folder: Path, release: str) -> dict[str, dict[str, str]]:
    """What becomes of an empty field, by definition, read off the published types.

    d: left out when zero. z: written with its zero value. n: written as null when absent. s: an object that is
    always written. Fields that are kept as sent do not stand here.
    """
    minor = release.partition(".")[2]
    roots = [(folder / f"api@v0.{minor}", ""), (folder / f"apimachinery@v0.{minor}" / "pkg" / "apis", "")]
    for module in ("apiextensions-apiserver", "kube-aggregator"):
        roots.append((folder / f"{module}@v0.{minor}" / "pkg" / "apis", f"{module}.pkg.apis."))
    structs: dict[str, dict[str, tuple[str, str]]] = {}
    for root, prefix in roots:
        for path in sorted([*root.glob("*/v*/types.go"), *root.glob("*/v*/types_jsonschema.go")]):
            if STABLE.fullmatch(path.parent.name):
                package = f"{prefix}{path.parent.parent.name}.{path.parent.name}."
                structs |= {package + name: fields for name, fields in go_structs(path.read_text()).items()}
    return {name: dict.fromkeys(fields, "") | flatten(name, structs) for name, fields in structs.items()}


def go_structs(text: str) -> dict[str, dict[str, tuple[str, str]]]:
    found = {}
    for name, body in re.findall(r"^type (\w+) struct \{\n(.*?)^\}", text, re.M | re.S):
        fields = {}
        for go_type, tag in re.findall(r"^\t(?:\w+\s+)?([\w.*\[\]]+)\s+`json:\"([^\"]*)\"", body, re.M):
            field, _, options = tag.partition(",")
            fields[field or f"inline {go_type}"] = (go_type, options)
        found[name] = fields
    return found


def flatten(name: str, structs: dict[str, dict[str, tuple[str, str]]]) -> dict[str, str]:
    out: dict[str, str] = {}
    package = name.rpartition(".")[0]
    for field, (go_type, options) in structs.get(name, {}).items():
        if field.startswith("inline "):
            out |= flatten(f"{package}.{go_type}", structs)
            continue
        optional = "omitempty" in options
        if go_type.startswith("*"):
            out[field] = "" if optional else "n"
        elif go_type.startswith(("[", "map")):
            out[field] = "d" if optional else "n"
        else:
            out[field] = "omitzero" if "omitzero" in options else "d" if optional else "z"
    return out


def empty_rules(rules: dict[str, str], fields: dict[str, Any]) -> dict[str, str]:
    """The rules of one definition; structs are never left out unless the type says so."""
    made = {}
    for field, rule in rules.items():
        sort = fields.get(field)
        if not rule or sort is None or field in ("apiVersion", "kind") or sort in ("any", "time"):
            continue
        if isinstance(sort, str) and (sort.startswith("#") or sort == "int-or-string"):
            rule = "n" if rule == "n" else "s" if rule in "dz" and sort != "int-or-string" else ""
        elif sort == "quantity":
            rule = "z"
        if rule and rule != "omitzero":
            made[field] = rule
    return made


def references(node: Any) -> set[str]:
    if isinstance(node, str):
        return {node[1:]} if node.startswith("#") else set()
    if isinstance(node, dict):
        found = {node["ref"]} if isinstance(node.get("ref"), str) else set()
        return found.union(*(references(v) for v in node.values()))
    return set()


def resources_of(group: str, version: dict[str, Any]) -> list[dict[str, Any]]:
    made = []
    for entry in version["resources"]:
        row = {
            "group": group,
            "version": version["version"],
            "resource": entry["resource"],
            "kind": entry["responseKind"]["kind"],
            "singular": entry["singularResource"],
            "namespaced": entry["scope"] == "Namespaced",
            "verbs": entry["verbs"],
            "subresources": {
                sub["subresource"]: {"verbs": sub["verbs"], "response": sub["responseKind"]}
                for sub in entry.get("subresources", ())
            },
        }
        for key in ("shortNames", "categories"):
            if key in entry:
                row[key] = entry[key]
        made.append(row)
    return made


def read_resources(folder: Path) -> list[dict[str, Any]]:
    rows = []
    core = json.loads((folder / "discovery" / "api__v1.json").read_text())["resources"]
    nested: dict[str, dict[str, Any]] = {}
    for entry in core:
        name, _, sub = entry["name"].partition("/")
        response = {key: entry.get(key, "") for key in ("group", "version", "kind")}
        if sub:
            nested[name]["subresources"].append(
                {"subresource": sub, "verbs": entry["verbs"], "responseKind": response}
            )
            continue
        scope = "Namespaced" if entry["namespaced"] else "Cluster"
        extra = {key: entry[key] for key in ("shortNames", "categories") if key in entry}
        nested[name] = {"resource": name, "responseKind": response, "singularResource": entry["singularName"]}
        nested[name] |= {"scope": scope, "verbs": entry["verbs"], "subresources": []} | extra
    rows += resources_of("", {"version": "v1", "resources": list(nested.values())})
    for item in json.loads((folder / "discovery" / "aggregated_v2.json").read_text())["items"]:
        group = item["metadata"]["name"]
        for version in item["versions"]:
            if STABLE.fullmatch(version["version"]) and group not in LEFT_OUT:
                rows += resources_of(group, version)
    return rows


def main(modules: Path, release: str) -> None:
    folder = modules / f"kubernetes@v{release}" / "api"
    rules = empties(modules, release)
    raw: dict[str, Any] = {}
    for path in sorted((folder / "openapi-spec" / "v3").glob("api*_openapi.json")):
        raw |= {
            short(k): v
            for k, v in json.loads(path.read_text()).get("components", {}).get("schemas", {}).items()
        }
    resources = read_resources(folder)
    wanted = {(row["group"], row["version"], row["kind"]) for row in resources}
    wanted |= {("autoscaling", "v1", "Scale"), ("authentication.k8s.io", "v1", "TokenRequest")}
    kinds, todo, defs = {}, [], {}
    for name, schema in raw.items():
        for gvk in schema.get("x-kubernetes-group-version-kind", ()):
            if (gvk["group"], gvk["version"], gvk["kind"]) in wanted and not name.endswith("DeleteOptions"):
                kinds["/".join((gvk["group"], gvk["version"], gvk["kind"]))] = name
                todo.append(name)
    while todo:
        name = todo.pop()
        if name not in defs:
            defs[name] = definition(raw[name], raw)
            empty = empty_rules(rules.get(name, {}), defs[name]["fields"])
            if empty:
                defs[name]["empty"] = empty
            todo += references(defs[name])
    document = {"version": f"v{release}", "resources": resources, "kinds": kinds, "definitions": defs}
    TARGET.write_text(json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
