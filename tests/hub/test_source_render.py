"""From a commit to a Manifest set: the directory tool on real repositories (sources.md 3, 4, 5; security D4, D6)."""

from __future__ import annotations

import pytest

from hub import source as gate
from hub.core.sources import SourceLimits, parse_sources
from hub.core.sources.inputs import InputSet
from hub.errors import SourceError
from hub.render import ApplicationFacts, ClusterFacts, RenderOptions, affected, join_sources, render
from hub.source import Wanted, obtain
from tests.gitserver import Link, commit, file_access, git, make_repo, raw_commit

KEY = b"k" * 32
URL = "https://git.example.com/a"


@pytest.fixture(autouse=True)
def _no_reader_is_left():
    yield
    gate.close_all()


@pytest.fixture
def world(tmp_path):
    return World(make_repo(tmp_path), tmp_path / "mirrors")


class World:
    """One repository and what comes of it."""

    def __init__(self, repo, root):
        self.repo, self.root = repo, root

    def commit(self, files, **how):
        return commit(self.repo, files, **how)

    def tree(self, revision="main"):
        found = obtain(file_access(self.repo), [Wanted(revision)], root=self.root)
        return found.mirror.tree(found.resolutions[0].sha)

    def render(self, path=".", *, tree=None, name="web", limits=None, **entry):
        source = parse_sources({"source": {"repoURL": URL, "path": path, **entry}})[0]
        options = RenderOptions(KEY, limits or SourceLimits())
        facts = ApplicationFacts(name, "shop", "team-a")
        return render(tree or self.tree(), source, application=facts, cluster=ClusterFacts(), options=options)


def config_map(name, **data):
    rows = "".join(f"  {key}: {value}\n" for key, value in data.items()) or "  a: b\n"
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n{rows}"


def names(rendered):
    return [obj["metadata"]["name"] for obj in rendered.objects]


def refused(code, work):
    with pytest.raises(SourceError) as caught:
        work()
    assert caught.value.code == code, caught.value
    return caught.value.message


def test_files_directly_in_the_path_are_rendered_in_byte_order(world):
    world.commit({"b.yaml": config_map("b"), "a.yml": config_map("a"), "C.json": '{"apiVersion":"v1","kind":"X","metadata":{"name":"c"}}',
                  "sub/d.yaml": config_map("d"), "e.txt": config_map("e"), "f.YAML": config_map("f")})  # fmt: skip
    found = world.render()
    assert names(found) == ["c", "a", "b"]
    assert [origin.file for origin in found.manifests.origins] == ["C.json", "a.yml", "b.yaml"]
    assert found.tool == "directory"


def test_recursion_is_asked_for(world):
    world.commit(
        {"app/b.yaml": config_map("b"), "app/sub/d.yaml": config_map("d"), "other/x.yaml": config_map("x")}
    )
    assert names(world.render("app")) == ["b"]
    assert names(world.render("app", directory={"recurse": True})) == ["b", "d"]
    assert names(world.render("./app/../app/", directory={"recurse": True})) == ["b", "d"]


def test_the_extension_filter_can_be_switched_off(world):
    world.commit({"a.txt": config_map("a"), "b.bin": b"\xff\xfe\x00\x01", "c.yaml": config_map("c")})
    assert names(world.render(directory={"disableExtensionFilter": True})) == ["a", "c"]


def test_s37_include_and_exclude_decide_and_exclude_wins(world):
    files = [
        "config.json",
        "deployment.yaml",
        "env-use2/configmap.yaml",
        "env-usw2/configmap.yaml",
        "notes.yml",
    ]
    world.commit({path: config_map(path.replace("/", ".")) for path in files})
    directory = {"recurse": True, "include": "*.yaml", "exclude": "{config.json,env-usw2/*}"}
    found = world.render(directory=directory)
    assert [origin.file for origin in found.manifests.origins] == [
        "deployment.yaml",
        "env-use2/configmap.yaml",
    ]


def test_s38_the_skip_marker_and_files_without_kind_are_skipped(world):
    world.commit(
        {
            "a.yaml": config_map("a"),
            "skip.yaml": "# +argocd:skip-file-rendering\n" + config_map("skipped"),
            "values.yaml": "replicas: 3\nimage: x\n",
            "broken.json": "# +argocd:skip-file-rendering {",
        }
    )
    assert names(world.render()) == ["a"]


def test_s39_one_good_and_one_kindless_document_are_an_error_with_file_and_number(world):
    world.commit({"web/svc.yaml": config_map("a") + "---\napiVersion: v1\nmetadata: {name: x}\n"})
    message = refused("InvalidManifest", lambda: world.render("web"))
    assert message.startswith("web/svc.yaml:")
    assert "document 2 has no kind" in message


def test_s53_merge_keys_follow_document_order(world):
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\nb: &b {x: 1}\nk: {x: 9, <<: *b}\nl: {<<: *b, x: 9}\n"
    world.commit({"m.yaml": text})
    found = world.render().objects[0]
    assert (found["k"]["x"], found["l"]["x"]) == (1, 9)


def test_s54_a_duplicate_key_in_a_file_is_an_error_with_its_line(world):
    world.commit({"web/svc.yaml": config_map("a", port="'1'") + "  port: '2'\n"})
    message = refused("InvalidManifest", lambda: world.render("web"))
    assert message.startswith("web/svc.yaml:7")
    assert "port" in message


BOMBS = {
    "aliases": "apiVersion: v1\nkind: X\nmetadata: {name: b}\na: &a [x,x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{c}: &{c} [{','.join(['*' + p] * 10)}]\n" for p, c in zip("abcdefg", "bcdefgh", strict=True)),
    "nesting": "apiVersion: v1\nkind: X\nmetadata: {name: b}\na: " + "[" * 200_000 + "\n",
    "python": "apiVersion: v1\nkind: X\nmetadata: {name: b}\na: !!python/object/apply:os.system [x]\n",
    "nul": "apiVersion: v1\nkind: X\nmetadata: {name: b}\na: 'x\0y'\n",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_s55_d6_hostile_yaml_is_invalid_and_the_worker_lives_on(world, bomb):
    world.commit({"bomb.yaml": BOMBS[bomb], "dir/ok.yaml": config_map("ok")})
    assert refused("InvalidManifest", lambda: world.render()).startswith("bomb.yaml")
    assert names(world.render("dir")) == ["ok"]


def test_s17_a_removed_path_is_an_error_and_an_emptied_one_a_valid_empty_set(world):
    world.commit({"apps/web/a.yaml": config_map("a")})
    world.commit({"apps/web/a.yaml": None, "apps/web/README.md": "nothing"})
    assert world.render("apps/web").objects == ()
    sha = world.commit({"apps/web/README.md": None, "x": "x"})
    assert (
        refused("PathNotFound", lambda: world.render("apps/web"))
        == f'path "apps/web" does not exist at {sha[:7]}'
    )
    assert refused("PathNotFound", lambda: world.render("x")) == 'path "x" is a file'


def test_s25_links_that_lead_out_are_no_manifests(world):
    world.commit({"a.yaml": config_map("a"), "link.yaml": Link("/etc/passwd")})
    assert "root" not in refused("OutOfBoundsPath", lambda: world.render())


def test_s26_a_linked_manifest_is_rendered_and_its_target_is_an_input(world):
    world.commit({"app/a.yaml": Link("../shared/b.yaml"), "shared/b.yaml": config_map("one")})
    first = world.render("app")
    assert names(first) == ["one"]
    world.commit({"shared/b.yaml": config_map("two")})
    assert affected(first.inputs, world.tree())
    assert names(world.render("app")) == ["two"]


def test_s34_a_kustomization_beside_a_chart_is_kustomize_which_waits(world):
    world.commit({"Chart.yaml": "name: x", "kustomization.yaml": "resources: []", "h/Chart.yaml": "name: x"})
    assert refused("ToolMissing", lambda: world.render()) == "Kustomize is not supported yet"
    assert refused("ToolMissing", lambda: world.render("h")) == "Helm is not supported yet"


WAITING = [
    ({"helm": {}}, "Helm is not supported yet"),
    ({"kustomize": {}}, "Kustomize is not supported yet"),
    ({"plugin": {"name": "x"}}, "plugins are not supported yet"),
    ({"chart": "x", "targetRevision": "1.0.0"}, "Helm repositories are not supported yet"),
    ({"repoURL": "oci://h/x"}, "OCI sources are not supported yet"),
]


@pytest.mark.parametrize(("entry", "sentence"), WAITING, ids=[row[1] for row in WAITING])
def test_what_waits_for_a_later_milestone_says_so(world, entry, sentence):
    world.commit({"a.yaml": config_map("a")})
    assert refused("ToolMissing", lambda: world.render(**entry)) == sentence


def test_jsonnet_waits_and_names_the_file(world):
    world.commit({"web/a.jsonnet": "{}"})
    assert (
        refused("ToolMissing", lambda: world.render("web")) == "web/a.jsonnet: Jsonnet is not supported yet"
    )


def test_an_explicit_directory_reads_past_the_marker_files(world):
    world.commit({"kustomization.yaml": "resources: []", "a.yaml": config_map("a")})
    assert names(world.render(directory={})) == ["a"]


def test_s36_overrides_of_the_repository_are_merged_the_applications_last(world):
    world.commit(
        {
            "a.yaml": config_map("a"),
            "b.yaml": config_map("b"),
            "sub/c.yaml": config_map("c"),
            ".argocd-source.yaml": "directory: {recurse: true, exclude: a.yaml}\ncolour: red\n",
            ".argocd-source-web.yaml": "directory: {exclude: b.yaml}\nrepoURL: https://evil\npath: /etc\n",
        }
    )
    found = world.render()
    assert names(found) == ["a", "c"]
    assert [warning.message for warning in found.warnings] == [".argocd-source.yaml: colour is ignored"]
    assert names(world.render(name="api")) == ["b", "c"]


def test_s36_a_broken_override_is_told(world):
    world.commit({"a.yaml": config_map("a"), ".argocd-source.yaml": "- a\n"})
    assert ".argocd-source.yaml" in refused("InvalidManifest", lambda: world.render())
    world.commit({".argocd-source.yaml": "helm: {}\ndirectory: {}\n"})
    refused("MultipleTools", lambda: world.render())


def test_s49_two_sources_make_one_object_and_the_second_wins(world):
    world.commit({"a/x.yaml": config_map("x", v="'1'"), "b/x.yaml": config_map("x", v="'2'")})
    joined = join_sources([world.render("a"), world.render("b")], RenderOptions(KEY))
    assert [obj["data"]["v"] for obj in joined.objects] == ["2"]
    assert [warning.code for warning in joined.warnings] == ["RepeatedResource"]


def test_a_ref_source_yields_no_manifests(world):
    world.commit({"a.yaml": config_map("a")})
    assert world.render("", ref="values").objects == ()


# The input set and skipping (section 3)


def test_s02_only_applications_whose_files_changed_are_affected(world):
    world.commit({f"apps/app{n:03}/f1.yaml": config_map(f"a{n}") for n in range(30)})
    inputs = [world.render(f"apps/app{n:03}").inputs for n in range(30)]
    world.commit({"apps/app005/f1.yaml": config_map("changed")})
    tree = world.tree()
    assert [n for n, each in enumerate(inputs) if affected(each, tree)] == [5]


def test_s02_asking_reads_only_the_folders_that_changed(world):
    world.commit({f"apps/app{n:03}/f{k}.yaml": config_map(f"a{n}") for n in range(100) for k in range(3)})
    inputs = [world.render(f"apps/app{n:03}").inputs for n in range(100)]
    world.commit({"apps/app050/f1.yaml": config_map("changed")})
    tree = world.tree()
    before = tree.objects.requests
    assert sum(affected(each, tree) for each in inputs) == 1
    assert tree.objects.requests - before <= 10


def test_s03_a_readme_changes_the_tree_and_not_the_inputs(world):
    world.commit({"web/a.yaml": config_map("a")})
    first = world.render("web")
    world.commit({"web/README.md": "read me", "web/sub/deep.txt": "x"})
    assert not affected(first.inputs, world.tree())
    second = world.render("web")
    assert (first.inputs.key, first.key, first.digest) == (second.inputs.key, second.key, second.digest)


def test_s04_an_empty_commit_affects_nothing(world):
    old = world.commit({"web/a.yaml": config_map("a")})
    first = world.render("web")
    new = world.commit({}, message="empty")
    assert new != old
    assert world.tree().id == world.tree(old).id
    assert not affected(first.inputs, world.tree())


def test_s06_an_override_that_appears_affects_the_application(world):
    world.commit({"web/a.yaml": config_map("a")})
    web, api = world.render("web"), world.render("web", name="api")
    world.commit({"web/.argocd-source-web.yaml": "directory: {}\n"})
    assert affected(web.inputs, world.tree())
    world.commit({"web/.argocd-source-web.yaml": None, "web/kustomization.yaml": "resources: []"})
    assert affected(api.inputs, world.tree())


def test_a_file_that_comes_goes_or_moves_affects(world):
    world.commit({"web/a.yaml": config_map("a")})
    first = world.render("web").inputs
    for change in (
        {"web/b.yaml": config_map("b")},
        {"web/b.yaml": None, "web/a.yaml": None, "web/c.yaml": config_map("a")},
    ):
        world.commit(change)
        assert affected(first, world.tree())
    world.commit({"web/c.yaml": None, "x": "1"})
    assert affected(first, world.tree())


def test_a_linked_folder_without_manifests_is_watched_too(world):
    world.commit({"web/a.yaml": config_map("a"), "web/more": Link("../shared"), "shared/README": "x"})
    first = world.render("web", directory={"recurse": True}).inputs
    assert not affected(first, world.tree())
    world.commit({"shared/b.yaml": config_map("b")})
    assert affected(first, world.tree())


def test_a_revision_sensitive_source_is_affected_by_every_commit(world):
    world.commit({"web/a.yaml": config_map("a")})
    inputs = world.render("web").inputs
    tied = InputSet(inputs.files, inputs.listings, world.tree().commit)
    assert not affected(tied, world.tree())
    world.commit({"elsewhere": "x"})
    assert affected(tied, world.tree())
    assert not affected(inputs, world.tree())


def test_inputs_survive_storage(world):
    world.commit({"web/a.yaml": config_map("a"), "web/b.yaml": Link("a.yaml")})
    inputs = world.render("web", directory={"recurse": True, "include": "*.yaml"}).inputs
    again = InputSet.from_json(inputs.as_json())
    assert again == inputs
    assert not affected(again, world.tree())


def test_equal_content_has_one_render_key_whatever_the_application(world):
    world.commit({"web/a.yaml": config_map("a")})
    one = world.render("web")
    world.commit({"elsewhere/x": "y"})
    assert world.render("web").key == one.key
    world.commit({"web/a.yaml": config_map("z")})
    assert world.render("web").key != one.key


# Limits (2.7, D4)


def test_d4_one_large_file_and_many_files_are_refused(world):
    world.commit({"big.yaml": config_map("a") + "# " + "x" * 300_000})
    message = refused("LimitExceeded", lambda: world.render(limits=SourceLimits(max_file_bytes=100_000)))
    assert "HUB_SOURCE_MAX_FILE_BYTES" in message
    world.commit(
        {f"f{n}.yaml": config_map(f"c{n}") + "# " + "x" * 30_000 for n in range(10)} | {"big.yaml": None}
    )
    message = refused("LimitExceeded", lambda: world.render(limits=SourceLimits(max_bytes=200_000)))
    assert "HUB_SOURCE_MAX_BYTES" in message
    assert len(world.render().objects) == 10


def test_d4_a_file_of_50_mb_in_a_source_is_refused(world):
    world.commit({"big.yaml": b"#" * 50_000_000, "a.yaml": config_map("a")})
    assert "50 MB" in refused("LimitExceeded", lambda: world.render())


def test_d4_documents_and_objects_are_limited(world):
    world.commit({f"f{n}.yaml": "---\n".join(config_map(f"c{n}-{k}") for k in range(5)) for n in range(5)})
    assert len(world.render().objects) == 25
    message = refused("LimitExceeded", lambda: world.render(limits=SourceLimits(max_objects=24)))
    assert "HUB_SOURCE_MAX_OBJECTS" in message
    refused("LimitExceeded", lambda: world.render(limits=SourceLimits(max_documents=4)))


def test_a_file_name_that_is_no_utf8_does_no_harm(world):
    world.commit({"a.yaml": config_map("a")})
    blob = git(world.repo, "rev-parse", "main:a.yaml")
    tree = git(world.repo, "mktree", "-z", input=f"100644 blob {blob}\t".encode() + b"\xff.yaml\0")
    raw_commit(world.repo, tree)
    found = world.render(directory={"include": "*.yaml"})
    assert names(found) == ["a"]
    assert found.manifests.origins[0].file.endswith(".yaml")


def test_files_are_parsed_once_and_objects_are_never_shared(world):
    world.commit({"a.yaml": config_map("a"), "b/a.yaml": config_map("a")})
    first = world.render()
    first.objects[0]["metadata"]["name"] = "changed"
    assert names(world.render()) == ["a"]
    assert names(world.render("b")) == ["a"]
