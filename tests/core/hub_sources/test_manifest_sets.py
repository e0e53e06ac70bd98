"""Manifest sets and input sets as values (sources.md 1, 3, 6)."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.manifest_sets import InvalidManifestSet, Origin, join, manifest_set, pack, unpack
from hub.core.sources import DirectoryOptions, SourceWarning
from hub.core.sources.inputs import FileInput, InputSet, ListingInput, listing_digest
from hub.core.sources.trees import File

KEY = b"k" * 32


def config_map(name, value="1", namespace="shop"):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"a": value},
    }


def secret(value):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"p": value}}


def one(*objects, file="a.yaml", number=1, warnings=()):
    return manifest_set(objects, [Origin(number, file)] * len(objects), KEY, warnings)


def test_s49_the_last_of_equal_objects_stays_with_a_warning():
    joined = join(
        [one(config_map("a", "1"), config_map("b")), one(config_map("a", "2"), file="b.yaml", number=2)], KEY
    )
    assert [(obj["metadata"]["name"], obj["data"]["a"]) for obj in joined.objects] == [("b", "1"), ("a", "2")]
    assert joined.origins == (Origin(1, "a.yaml"), Origin(2, "b.yaml"))
    assert [warning.code for warning in joined.warnings] == ["RepeatedResource"]
    assert joined.warnings[0].message == "ConfigMap/shop/a appears more than once; the one in b.yaml is used"


def test_objects_with_a_generated_name_are_all_different():
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "migrate-"}}
    assert len(join([one(job, dict(job))], KEY).objects) == 2


def test_other_groups_and_namespaces_are_other_objects():
    two = {**config_map("a"), "apiVersion": "example.com/v1"}
    assert len(join([one(config_map("a"), config_map("a", namespace="x"), two)], KEY).objects) == 3


def test_the_digest_follows_content_and_order_and_not_the_file_or_key_order():
    base = one(config_map("a"), config_map("b"))
    assert one(config_map("a"), config_map("b"), file="other.yaml").digest == base.digest
    assert one(dict(reversed(config_map("a").items())), config_map("b")).digest == base.digest
    assert one(config_map("b"), config_map("a")).digest != base.digest
    assert one(config_map("a", "2"), config_map("b")).digest != base.digest


def test_secrets_enter_the_digest_keyed():
    plain = one(secret("YQ=="))
    assert plain.holds_secret
    assert not one(config_map("a")).holds_secret
    assert manifest_set([secret("YQ==")], [Origin(1, "a")], b"other" * 8).digest != plain.digest
    assert one(secret("Yg==")).digest != plain.digest
    with pytest.raises(ValueError):
        manifest_set([secret("YQ==")], [Origin(1, "a")], b"")


def test_a_set_survives_storage():
    given_set = one(config_map("a", "ü"), secret("YQ=="), warnings=[SourceWarning("X", "y")])
    assert unpack(pack(given_set)) == given_set


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"x",
        pack(one())[:-2],
        zlib.compress(b"[]"),
        zlib.compress(b'{"format": 9}'),
        zlib.compress(b'{"format": 1}'),
    ],
)
def test_bytes_that_are_no_set_are_refused(stored):
    with pytest.raises(InvalidManifestSet):
        unpack(stored)


def test_the_repr_of_a_set_shows_no_object():
    assert "SENTINEL" not in repr(one(secret("SENTINEL")))


INPUTS = InputSet(
    (FileInput("web/.argocd-source.yaml", "absent"), FileInput("web/Chart.yaml", "absent")),
    (ListingInput("web", DirectoryOptions(True, "*.yaml", "", False), "d1", "t1"),),
)


def test_an_input_set_survives_json():
    for inputs in (INPUTS, InputSet(), InputSet((), (), "c" * 40)):
        assert InputSet.from_json(inputs.as_json()) == inputs
        assert InputSet.from_json(inputs.as_json()).key == inputs.key


def test_s03_the_tree_id_of_a_listing_is_no_part_of_the_key():
    other = InputSet(INPUTS.files, (INPUTS.listings[0]._replace(tree="t2"),))
    assert other.key == INPUTS.key
    assert InputSet(INPUTS.files, (INPUTS.listings[0]._replace(digest="d2"),)).key != INPUTS.key
    assert InputSet(INPUTS.files, INPUTS.listings, "c" * 40).key != INPUTS.key


@given(st.lists(st.tuples(st.text(max_size=5), st.text("abc", max_size=3)), max_size=4))
def test_different_lists_have_different_digests(pairs):
    files = [File(path, found) for path, found in pairs]
    assert listing_digest(files) != listing_digest([*files, File("more", "id")])
    assert listing_digest(files) == listing_digest(list(files))


def test_the_links_on_the_way_count():
    assert listing_digest([File("a", "b", ("c",))]) != listing_digest([File("a", "b")])
