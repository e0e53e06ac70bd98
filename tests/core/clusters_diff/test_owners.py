"""Who owns a path: field managers along fieldsV1 trees (sync-semantics.md 9.3: "who did it" has an answer)."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.core.diff.fields import owners_at

LIVE: dict[str, Any] = {
    "metadata": {
        "managedFields": [
            {
                "manager": "annotator",
                "fieldsV1": {"f:metadata": {"f:annotations": {"f:example.com/last.seen": {}}}},
            },
            {"manager": "files", "fieldsV1": {"f:data": {".": {}, "f:app": {}, "f:app.properties": {}}}},
            {
                "manager": "injector",
                "fieldsV1": {
                    "f:spec": {
                        "f:template": {"f:spec": {"f:containers": {'k:{"name":"a.b"}': {"f:image": {}}}}},
                        "f:finalizers": {'v:"one"': {}},
                        "f:selector": {},
                    }
                },
            },
        ]
    }
}


@pytest.mark.parametrize(
    ("where", "managers"),
    [
        (".metadata.annotations.example.com/last.seen", {"annotator"}),
        (".metadata.annotations.example.com/last", set()),
        (".metadata.annotations", {"annotator"}),
        (".data.app.properties", {"files"}),
        (".data.app", {"files"}),
        (".data.other", set()),
        ('.spec.template.spec.containers[name="a.b"].image', {"injector"}),
        ('.spec.template.spec.containers[name="a"].image', set()),
        ('.spec.finalizers[="one"]', {"injector"}),
        (".spec.selector.matchLabels.app", {"injector"}),
        (".spec.template.spec.containers[order]", {"injector"}),
    ],
)
def test_names_with_dots_find_their_manager(where: str, managers: set[str]) -> None:
    assert owners_at(LIVE, where) == managers
