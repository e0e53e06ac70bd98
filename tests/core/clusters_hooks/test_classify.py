"""What each manifest is, by its annotations (sync-semantics.md 2.2, 3.7, 3.8)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.core.hooks import PHASES, classify, hook_timeout, read_wave
from clusters.core.plan.options import SyncOptions, parse_sync_options, resource_options

HOOK, WAVE = "argocd.argoproj.io/hook", "argocd.argoproj.io/sync-wave"
POLICY, HELM, WEIGHT = "argocd.argoproj.io/hook-delete-policy", "helm.sh/hook", "helm.sh/hook-weight"


def job(**annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "annotations": {k.replace("__", "/"): v for k, v in annotations.items()}},
    }


def with_annotations(annotations: object) -> dict[str, Any]:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "annotations": annotations}}


@pytest.mark.parametrize(
    ("annotations", "kind", "phases", "deletion"),
    [
        ({}, "resource", (), ()),
        ({HOOK: "Skip"}, "skip", (), ()),
        ({HOOK: "Skip, PreSync"}, "hook", ("PreSync",), ()),
        ({HOOK: " PostSync ,PreSync"}, "hook", ("PreSync", "PostSync"), ()),
        ({HOOK: "presync"}, "ignored", (), ()),
        ({HOOK: "PreDelete"}, "hook", (), ("PreDelete",)),
        ({HOOK: "PostDelete,SyncFail"}, "hook", ("SyncFail",), ("PostDelete",)),
        ({HELM: "pre-install,pre-upgrade"}, "hook", ("PreSync",), ()),
        ({HELM: "post-upgrade"}, "hook", ("PostSync",), ()),
        ({HELM: "pre-delete"}, "hook", (), ("PreDelete",)),
        ({HELM: "crd-install"}, "resource", (), ()),
        ({HELM: "crd-install,pre-install"}, "hook", ("PreSync",), ()),
        ({HELM: "test"}, "ignored", (), ()),
        ({HELM: "pre-rollback,post-rollback"}, "ignored", (), ()),
        ({HOOK: "Sync", HELM: "post-install"}, "hook", ("Sync",), ()),
        ({HOOK: "typo", HELM: "post-install"}, "hook", ("PostSync",), ()),
        ({HOOK: ""}, "resource", (), ()),
    ],
)
def test_class_of_a_manifest(annotations, kind, phases, deletion):
    found = classify(with_annotations(annotations))
    assert (found.kind, found.phases, found.deletion) == (kind, phases, deletion)


def test_a_typo_is_named_and_a_helm_test_is_not():
    assert classify(with_annotations({HOOK: "PresSync"})).unknown == ("PresSync",)
    assert classify(with_annotations({HELM: "test"})).unknown == ()


@pytest.mark.parametrize(
    ("annotations", "wave", "warnings"),
    [
        ({}, 0, 0),
        ({WAVE: "-5"}, -5, 0),
        ({WAVE: "+3"}, 3, 0),
        ({WAVE: "1_0", WEIGHT: "7"}, 7, 1),
        ({WAVE: "first"}, 0, 1),
        ({WAVE: "٣"}, 0, 1),
        ({WEIGHT: "2"}, 2, 0),
        ({WAVE: "1", WEIGHT: "x"}, 1, 0),
    ],
)
def test_wave_is_an_integer_or_a_warning(annotations, wave, warnings):
    found, told = read_wave(with_annotations(annotations))
    assert (found, len(told)) == (wave, warnings)


def test_e21_helm_hooks_map():
    found = classify(
        with_annotations(
            {
                HELM: "pre-install",
                WEIGHT: "-5",
                "helm.sh/hook-delete-policy": "hook-succeeded",
                POLICY: "HookFailed",
            }
        )
    )
    assert found.phases == ("PreSync",)
    assert found.wave == -5
    assert found.policies == {"HookSucceeded", "HookFailed"}


def test_no_policy_means_before_hook_creation_also_after_a_typo():
    assert classify(with_annotations({HOOK: "Sync"})).policies == {"BeforeHookCreation"}
    found = classify(with_annotations({HOOK: "Sync", POLICY: "hook-succeeded"}))
    assert found.policies == {"BeforeHookCreation"}
    assert "hook-succeeded" in found.warnings[0]


@given(
    st.one_of(
        st.none(),
        st.text(),
        st.lists(st.integers()),
        st.dictionaries(
            st.sampled_from([HOOK, WAVE, POLICY, HELM, WEIGHT, "argocd.argoproj.io/sync-options"]),
            st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.lists(st.text())),
        ),
    )
)
def test_any_annotation_gives_an_answer_and_never_an_exception(annotations):
    manifest = with_annotations(annotations)
    found = classify(manifest)
    assert set(found.phases) <= set(PHASES)
    options, _ = resource_options(SyncOptions(), manifest, manifest)
    assert options.prune in ("true", "false", "confirm")


@given(st.lists(st.one_of(st.text(), st.integers(), st.none())))
def test_any_list_of_options_gives_options_and_warnings(texts):
    options, warnings = parse_sync_options(texts)
    assert isinstance(options, SyncOptions)
    assert all(isinstance(w, str) for w in warnings)


def test_options_of_the_application_are_read():
    options, warnings = parse_sync_options(
        [
            "CreateNamespace=true",
            "Prune=confirm",
            "PrunePropagationPolicy=background",
            "ApplyOutOfSyncOnly=true",
            "WaveTimeout=1h30m",
            "DegradedGrace=0",
        ]
    )
    assert warnings == ()
    assert options == SyncOptions(
        create_namespace=True,
        prune="confirm",
        propagation="Background",
        apply_out_of_sync_only=True,
        wave_timeout=5400.0,
        degraded_grace=0.0,
    )
    assert SyncOptions.from_json(options.to_json()) == options


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Prnue=false", "not known"),
        ("Prune", "not known"),
        ("Prune=no", "not understood"),
        ("HelmHooks=both", "not understood"),
        ("WaveTimeout=soon", "not understood"),
    ],
)
def test_what_is_not_understood_is_a_warning(text, says):
    options, warnings = parse_sync_options([text])
    assert options == SyncOptions()
    assert says in warnings[0]


def test_the_resource_wins_over_the_application():
    app, _ = parse_sync_options(["Replace=true", "Force=true", "Validate=false"])
    target = with_annotations({"argocd.argoproj.io/sync-options": "Replace=false, Validate=true"})
    options, warnings = resource_options(app, target)
    assert (options.replace, options.force, options.validate, warnings) == (False, True, True, ())


def test_replace_counts_on_the_live_object_and_prune_does_not_on_a_target():
    live = with_annotations({"argocd.argoproj.io/sync-options": "Force=true,Replace=true,Prune=false"})
    options, _ = resource_options(SyncOptions(), with_annotations({}), live)
    assert options.recreate
    assert options.prune == "true"
    assert resource_options(SyncOptions(), None, live)[0].prune == "false"


def test_an_option_of_applications_has_no_effect_on_a_resource():
    target = with_annotations({"argocd.argoproj.io/sync-options": "CreateNamespace=true"})
    options, warnings = resource_options(SyncOptions(), target)
    assert warnings == ("sync option CreateNamespace has no effect on a single resource",)
    assert options == resource_options(SyncOptions(), with_annotations({}))[0]


def test_resource_policy_keep_means_delete_false_and_guarded():
    options, _ = resource_options(SyncOptions(), None, with_annotations({"helm.sh/resource-policy": "keep"}))
    assert options.keep
    assert options.delete == "false"


@pytest.mark.parametrize(
    ("annotation", "own", "expected"),
    [(None, None, 7200.0), ("10m", None, 600.0), ("soon", None, 7200.0), ("3h", 60, 60.0), ("0", 60, 60.0)],
)
def test_the_shorter_deadline_of_a_hook_counts(annotation, own, expected):
    manifest = with_annotations({"gitops-hub.io/timeout": annotation} if annotation else {})
    manifest["spec"] = {"activeDeadlineSeconds": own} if own else {}
    assert hook_timeout(manifest, 7200.0)[0] == expected
