"""The objects `time`, `strings`, `sync` and `repo` of expressions and templates (notifications.md 3.4).

`repo` answers from the event alone: nothing here touches the network. What it reads (the emitter collects it):

    event["commits"]         [{"sha", "message", "author", "date" (RFC 3339), "tags": [text]}]
    event["source_details"]  {"type", "helm": {"name", "valueFiles", "parameters": [{"name", "value"}], "values",
                              "fileParameters": [{"name", "path"}]}, "kustomize": {…}, "directory": {…}}

Shape of the names: `argo-cd util/notification/expression`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus, urlsplit

from notifications.core.gotimes import LAYOUTS, METHODS, UNITS, Clock, Duration, Time, parse_rfc3339
from notifications.core.gotimes.values import ZERO_NS
from notifications.core.govalues import Func, Struct, kind_of

Remark = Callable[[str], None]
_UNIT_NAMES = {
    "Nanosecond": "ns",
    "Microsecond": "us",
    "Millisecond": "ms",
    "Second": "s",
    "Minute": "m",
    "Hour": "h",
}
NAMESPACE_MEMBERS: dict[str, frozenset[str]] = {
    "time": frozenset(["Parse", "Now", *_UNIT_NAMES, *LAYOUTS]),
    "strings": frozenset(["ReplaceAll", "ToUpper", "ToLower"]),
    "sync": frozenset(["GetInfoItem"]),
    "repo": frozenset(
        ["RepoURLToHTTPS", "FullNameByRepoURL", "QueryEscape", "GetCommitMetadata", "GetAppDetails"]
    ),
}
METHOD_NAMES = METHODS | {"GetParameterValueByName", "GetFileParameterPathByName"}
_MAX_TEXT = 64 * 1024


def namespaces(event: Mapping[str, Any], clock: Clock, remark: Remark) -> dict[str, Struct]:
    """All four, for one evaluation or one rendering. `remark` hears what had to be left empty."""
    return {
        "time": _time(clock),
        "strings": Struct(
            _funcs(
                Func("strings.ReplaceAll", _replace_all, 3, 3),
                Func("strings.ToUpper", lambda text: _text(text).upper(), 1, 1),
                Func("strings.ToLower", lambda text: _text(text).lower(), 1, 1),
            )
        ),
        "sync": Struct(_funcs(Func("sync.GetInfoItem", _info_item, 2, 2))),
        "repo": Struct(
            _funcs(
                Func("repo.RepoURLToHTTPS", lambda url: repo_url_to_https(_text(url)), 1, 1),
                Func("repo.FullNameByRepoURL", lambda url: full_name(_text(url)), 1, 1),
                Func("repo.QueryEscape", lambda text: quote_plus(_text(text)), 1, 1),
                Func("repo.GetCommitMetadata", lambda sha: _commit(event, _text(sha), remark), 1, 1),
                Func("repo.GetAppDetails", lambda: _details(event), 0, 0),
            )
        ),
    }


def _funcs(*given: Func) -> dict[str, Any]:
    return {func.name.rpartition(".")[2]: func for func in given}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"needs text, not {kind_of(value)}")
    return value


def _time(clock: Clock) -> Struct:
    constants: dict[str, Any] = {name: Duration(UNITS[unit]) for name, unit in _UNIT_NAMES.items()}
    functions = _funcs(
        Func("time.Parse", lambda text: parse_rfc3339(_text(text)), 1, 1), Func("time.Now", clock.time, 0, 0)
    )
    return Struct({**constants, **LAYOUTS, **functions})


def _replace_all(text: object, old: object, new: object) -> str:
    whole, before, after = _text(text), _text(old), _text(new)
    if len(whole) + whole.count(before) * len(after) > _MAX_TEXT:
        raise ValueError("makes a text of more than 64 KiB")
    return whole.replace(before, after)


def _info_item(app: object, name: object) -> object:
    """The sync information item of that name, of the running or else the last operation; nil when there is none."""
    wanted = _text(name)
    for path in (("operation", "info"), ("status", "operationState", "operation", "info")):
        found: Any = app
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        for item in found if isinstance(found, list) else []:
            if isinstance(item, dict) and item.get("name") == wanted:
                return item.get("value")
    return None


def repo_url_to_https(url: str) -> str:
    """Scheme https, user dropped, scp form understood, `.git` kept. ValueError for something that is no URL."""
    if "://" not in url:
        host, colon, path = url.partition(":")
        if not colon or not host or "/" in host:
            raise ValueError("needs the URL of a repository")
        return f"https://{host.rpartition('@')[2]}/{path.lstrip('/')}"
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("needs the URL of a repository")
    # A port belongs to http(s) only: the port of an ssh address says nothing about the web server.
    port = f":{parts.port}" if parts.port and parts.scheme in ("http", "https") else ""
    return f"https://{parts.hostname}{port}{parts.path}"


def full_name(url: str) -> str:
    """The first two parts of the path, `.git` dropped: `owner/name`."""
    path = urlsplit(repo_url_to_https(url)).path
    parts = [part for part in path.removesuffix("/").removesuffix(".git").split("/") if part]
    return "/".join(parts[:2])


def _commit(event: Mapping[str, Any], sha: str, remark: Remark) -> Struct:
    commits = event.get("commits")
    known = [item for item in commits if isinstance(item, dict)] if isinstance(commits, list) else []
    found = next((item for item in known if sha and item.get("sha") == sha), None)
    if found is None:
        remark(f"the commit {sha[:12] or '(none)'} is not known; its author and message are empty")
        found = {}
    try:
        date = parse_rfc3339(found.get("date") or "")
    except (ValueError, TypeError):
        date = Time(ZERO_NS)
    tags = found.get("tags")
    return Struct(
        {
            "Message": str(found.get("message") or ""),
            "Author": str(found.get("author") or ""),
            "Date": date,
            "Tags": list(tags) if isinstance(tags, list) else [],
        }
    )


def _details(event: Mapping[str, Any]) -> Struct:
    details = event.get("source_details")
    details = details if isinstance(details, dict) else {}
    helm = details.get("helm")
    return Struct(
        {
            "Type": str(details.get("type") or ""),
            "Helm": _helm(helm) if isinstance(helm, dict) else None,
            "Kustomize": details.get("kustomize"),
            "Directory": details.get("directory"),
        }
    )


def _helm(helm: dict[str, Any]) -> Struct:
    parameters = [item for item in helm.get("parameters") or [] if isinstance(item, dict)]
    files = [item for item in helm.get("fileParameters") or [] if isinstance(item, dict)]

    def finder(items: list[dict[str, Any]], key: str) -> Callable[[object], str]:
        def find(name: object) -> str:
            wanted = _text(name)
            return next((str(item.get(key, "")) for item in items if item.get("name") == wanted), "")

        return find

    return Struct(
        {
            "Name": str(helm.get("name") or ""),
            "ValueFiles": list(helm.get("valueFiles") or []),
            "Parameters": parameters,
            "Values": str(helm.get("values") or ""),
            "FileParameters": files,
        },
        {
            "GetParameterValueByName": Func("GetParameterValueByName", finder(parameters, "value"), 1, 1),
            "GetFileParameterPathByName": Func("GetFileParameterPathByName", finder(files, "path"), 1, 1),
        },
    )
