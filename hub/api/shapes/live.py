"""Shapes of live objects, for OpenAPI alone."""

from __future__ import annotations

from rest_framework import serializers as s

from hub.api.shapes.fields import anything, flag, make, number, objects, text, texts

KEY = {"group": text(), "kind": text(), "namespace": text(), "name": text()}
Key = make("ObjectKey", "Names one object of a cluster.", **KEY)

TreeNode = make(
    "TreeNode",
    "One object of the tree; roots have no parents.",
    **{name: text() for name in ("group", "kind", "namespace", "name", "version", "uid")},
    parents=Key(many=True),
    targets=Key(many=True),
    managed=flag(),
    live=flag(),
    status=text(),
    message=text(),
    health=text(),
    health_message=text(),
    images=texts(),
    created=text(),
    deleting=flag(),
    info=s.DictField(child=s.CharField()),
    addresses=texts(),
)
TreeFold = make(
    "TreeFold",
    "A crowd of leaves of one kind below one parent.",
    parent=Key(allow_null=True),
    group=text(),
    kind=text(),
    count=number(),
    health=s.DictField(child=s.IntegerField()),
)
Incomplete = make(
    "IncompleteKind", "A kind that could not be listed.", group=text(), kind=text(), message=text()
)
Tree = make(
    "Tree",
    "Nodes, each after one of its parents.",
    nodes=TreeNode(many=True),
    folds=TreeFold(many=True),
    orphans=Key(many=True, required=False),
    incomplete=Incomplete(many=True),
)
Live = make(
    "LiveObject",
    "A live object; values of Secrets are masks.",
    **{name: text() for name in ("group", "kind", "namespace", "name")},
    wanted=flag(),
    managed=flag(),
    object=anything(),
)
Parameter = make(
    "ActionParameter",
    "An integer that an action needs.",
    name=text(),
    default=number(),
    minimum=number(),
    maximum=number(),
)
Action = make(
    "ResourceAction",
    "`disabled` says why it cannot be done now.",
    name=text(),
    title=text(),
    disabled=text(),
    parameters=Parameter(many=True),
)
Actions = make("ResourceActions", "Actions in a fixed order.", items=Action(many=True))
ActionRequest = make(
    "ResourceActionRequest",
    "`uid` makes sure that it is the object that was seen.",
    action=s.CharField(),
    parameters=s.DictField(required=False),
    uid=text(),
)
Done = make("ObjectsTouched", "What was written.", objects=Key(many=True), warnings=texts())
KubernetesEvents = make("KubernetesEvents", "Events of the cluster, oldest first.", items=objects())
