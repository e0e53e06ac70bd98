"""Secrets in differences for people (sync-semantics.md 6.6)."""

from __future__ import annotations

from clusters.core.diff import Masker, baseline_of, compare, drift, masked_diff
from tests.core.clusters_diff.cases import KEY, answer_of, deployment, edited, secret

OLD, NEW = "b2xkc2VjcmV0", "bmV3c2VjcmV0"


def test_e44_secret_values_never_show():
    target, live = secret(a=NEW, b=OLD, c=OLD), answer_of(secret(a=OLD, b=OLD, c=NEW))
    lines = masked_diff(compare(target, live).differences, Masker(), secret=True)
    told = [(line.path, line.desired, line.live) for line in lines]
    assert told == [
        (".data.a", "++++++++ (a1)", "++++++++ (b2)"),
        (".data.c", "++++++++ (b2)", "++++++++ (a1)"),
    ]
    assert not any(value in str(lines) + "".join(map(str, lines)) for value in (OLD, NEW))


def test_a_drift_of_a_secret_is_masked_too():
    made = baseline_of(answer_of(secret(a=OLD)), secret(a=OLD), "h", key=KEY)
    found = drift(made, edited(answer_of(secret(a=NEW))), key=KEY)
    assert found is not None
    (line,) = masked_diff(found.changes, Masker(), secret=True)
    assert str(line) == ".data.a: ++++++++ (b2) -> ++++++++ (a1)"


def test_a_whole_data_map_that_appears_or_goes_is_masked_value_by_value():
    target = secret(a=NEW)
    live = answer_of(secret(a=NEW))
    del live["data"]
    (line,) = masked_diff(compare(target, live).differences, Masker(), secret=True)
    assert (line.desired, line.live) == ('{"a":"++++++++ (a1)"}', None)


def test_equal_values_have_equal_masks_in_all_objects():
    masker = Masker()
    first, second = masker.object(secret(a=OLD)), masker.object(secret(x=OLD, y=NEW))
    assert first["data"]["a"] == second["data"]["x"] != second["data"]["y"]


def test_invalid_secrets_are_masked_as_they_are():
    masker = Masker()
    broken = {**secret(), "data": ["password1"], "stringData": {"a": 12345, "b": {"c": "password2"}}}
    told = str(masker.object(broken))
    assert not any(value in told for value in ("password1", "password2", "12345"))


def test_sensitive_annotations_and_last_applied():
    obj = deployment()
    obj["metadata"]["annotations"] = {
        "x/token": "hunter2",
        "plain": "shown",
        "kubectl.kubernetes.io/last-applied-configuration": '{"data":{"a":"hunter3"}}',
    }
    masked = Masker(("x/token",)).object(obj)
    assert masked["metadata"]["annotations"] == {"x/token": "++++++++ (a1)", "plain": "shown"}
    live = answer_of(deployment())
    lines = masked_diff(compare(obj, live).differences, Masker(("x/token",)), secret=False)
    assert "hunter" not in "".join(map(str, lines))
    assert obj["metadata"]["annotations"]["x/token"] == "hunter2"


def test_values_of_secrets_leave_messages():
    message = Masker().text(f"expected string, got {OLD}", secret(a=OLD))
    assert message == "expected string, got ++++++++ (a1)"


def test_plain_values_are_json():
    live = answer_of(deployment())
    live["spec"]["replicas"] = 5
    (line,) = masked_diff(compare(deployment(), live).differences, Masker(), secret=False)
    assert str(line) == ".spec.replicas: 5 -> 2"
