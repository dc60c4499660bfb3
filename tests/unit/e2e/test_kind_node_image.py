"""What the node image is made of: the key of the cache, archives as kind reads them, libraries found inside a root."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from tests.e2e.harness import tools
from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.kind.base_image import adapt_spec
from tests.e2e.harness.kind.image_archive import Content, make_image, write_archive
from tests.e2e.harness.kind.libraries import parse_ldd, resolve_inside
from tests.e2e.harness.kind.node_image import build_key
from tests.e2e.harness.kind.release_archive import find_tag, image_tag, sandbox_tag
from tests.e2e.harness.paths import Cache
from tests.e2e.harness.tools import Tools


def test_the_key_changes_with_each_ingredient_and_not_with_their_order() -> None:
    made = [("versions", b"v1 v2"), ("maker.py", b"text")]
    key = build_key(made)
    assert build_key(made[::-1]) == key
    assert build_key([("versions", b"v1 v3"), made[1]]) != key
    assert build_key([made[0], ("maker.py", b"other")]) != key
    assert build_key([made[0], ("renamed.py", b"text")]) != key


def test_a_program_of_our_own_is_another_one_when_its_sources_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kindnetd").mkdir()
    source = tmp_path / "kindnetd" / "main.go"
    monkeypatch.setattr(tools, "TOOLS_MODULE", tmp_path)
    built = Tools(Cache(tmp_path))
    source.write_text("package main")
    first = built.path("kindnetd")
    (tmp_path / "kindnetd" / "main_test.go").write_text("package main")
    assert built.path("kindnetd") == first
    source.write_text("package main // changed")
    assert built.path("kindnetd") != first
    assert built.path("kubelet") == tmp_path / "bin" / "kubelet"  # pinned by version: what is built stays


def _archive(tmp_path: Path) -> tarfile.TarFile:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    content = Content({"usr/bin/program": program}, {"bin/sh": "program"}, ("tmp",), ("/usr/bin/program",))
    images = [make_image(tag, content, tmp_path) for tag in ("somewhere.invalid/one:v1", "somewhere.invalid:5000/two:v2")]
    write_archive(tmp_path / "archive.tar", images)
    return tarfile.open(tmp_path / "archive.tar")


def test_repositories_come_first_and_name_every_image(tmp_path: Path) -> None:
    with _archive(tmp_path) as archive:
        assert archive.getnames()[:2] == ["repositories", "manifest.json"]
        named = json.loads(archive.extractfile("repositories").read())  # type: ignore[union-attr]
        assert {f"{name}:{tag}" for name, tags in named.items() for tag in tags} == {
            "somewhere.invalid/one:v1",
            "somewhere.invalid:5000/two:v2",
        }
        manifest = json.loads(archive.extractfile("manifest.json").read())  # type: ignore[union-attr]
        names = set(archive.getnames())
        assert all(image["Config"] in names and set(image["Layers"]) <= names for image in manifest)


def test_a_layer_has_each_folder_before_what_is_in_it_and_nobody_s_time(tmp_path: Path) -> None:
    with _archive(tmp_path) as archive:
        layer_name = json.loads(archive.extractfile("manifest.json").read())[0]["Layers"][0]  # type: ignore[union-attr]
        with tarfile.open(fileobj=archive.extractfile(layer_name)) as layer:
            assert layer.getnames() == ["bin", "tmp", "usr", "usr/bin", "usr/bin/program", "bin/sh"]
            assert layer.getmember("tmp").mode == 0o1777
            assert layer.getmember("usr/bin/program").mode == 0o755
            assert {member.mtime for member in layer} == {0}


def test_links_are_followed_inside_the_root(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "usr/lib/libm.so.6").write_text("")
    (tmp_path / "usr/lib/libm.so").symlink_to("libm.so.6")
    (tmp_path / "lib64").symlink_to("/usr/lib")
    assert resolve_inside(tmp_path, "/lib/libm.so") == tmp_path / "usr/lib/libm.so.6"
    assert resolve_inside(tmp_path, "/lib64/libm.so.6") == tmp_path / "usr/lib/libm.so.6"


def test_ldd_names_the_loader_and_each_library_but_not_the_kernel_s() -> None:
    printed = (
        "/usr/sbin/nft:\n\tlinux-vdso.so.1 (0x00007ffd)\n\tlibm.so.6 => /lib/x/libm.so.6 (0x00007f1)\n"
        "\t/lib64/ld-linux.so.2 (0x00007f2)\n\tnot a dynamic executable\n"
    )
    assert parse_ldd(printed) == {"/lib/x/libm.so.6", "/lib64/ld-linux.so.2"}


def test_tags_are_those_that_kind_and_kubeadm_expect(tmp_path: Path) -> None:
    sources = tmp_path / "pkg/build/nodeimage"
    sources.mkdir(parents=True)
    (sources / "const_cni.go").write_text('const kindnetdImage = "somewhere.invalid/kindnetd:v1"\n')
    config = tmp_path / "images/base/files/etc/containerd"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('  sandbox_image = "somewhere.invalid/pause:3"\n')
    assert image_tag(tmp_path, "kindnetdImage") == "somewhere.invalid/kindnetd:v1"
    assert sandbox_tag(tmp_path) == "somewhere.invalid/pause:3"
    with pytest.raises(HarnessError, match="storageHelperImage"):
        image_tag(tmp_path, "storageHelperImage")
    assert find_tag(["somewhere.invalid/etcd:3", "somewhere.invalid/coredns/coredns:v1"], "coredns").endswith("/coredns:v1")
    with pytest.raises(HarnessError, match="kube-proxy"):
        find_tag([], "kube-proxy")


def test_containers_of_a_node_have_kind_s_hook_and_no_limits() -> None:
    spec = adapt_spec({"process": {"rlimits": [1], "args": ["sh"]}})
    assert spec["process"] == {"args": ["sh"]}
    assert spec["hooks"] == {"createContainer": [{"path": "/kind/bin/mount-product-files.sh"}]}
