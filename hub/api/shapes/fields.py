"""Pieces that shapes are made of."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

Fields = dict[str, Any]


def make(name: str, words: str, /, **fields: Any) -> type[s.Serializer[Any]]:
    """A serializer class by name; the class docstring becomes the description in the schema."""
    return type(name, (s.Serializer,), {"__doc__": words, "__module__": __name__, **fields})


def text(**options: Any) -> s.CharField:
    return s.CharField(**{"required": False, "allow_blank": True} | options)


def secret(**options: Any) -> s.CharField:
    return s.CharField(**{"required": False, "allow_blank": True, "write_only": True} | options)


def flag() -> s.BooleanField:
    return s.BooleanField(required=False)


def number() -> s.IntegerField:
    return s.IntegerField(required=False, min_value=-(2**31), max_value=2**31)


def moment() -> s.DateTimeField:
    return s.DateTimeField(required=False, allow_null=True)


def words() -> s.DictField:
    return s.DictField(child=s.CharField(allow_blank=True), required=False)


def texts() -> s.ListField:
    return s.ListField(child=s.CharField(allow_blank=True), required=False)


def anything() -> s.JSONField:
    return s.JSONField(required=False)


def objects() -> s.ListField:
    return s.ListField(child=s.DictField(), required=False)
