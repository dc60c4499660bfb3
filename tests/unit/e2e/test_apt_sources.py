"""The mirror comes from apt's own sources: the suite's, else any of Debian itself, and none is made up."""

from __future__ import annotations

import re

import pytest

from tests.e2e.harness import apt_sources
from tests.e2e.harness.apt_sources import MIRROR, Source, choose_mirror, debian_mirror, parse_sources
from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.paths import E2E_DIR

SECURITY = Source("http://mirror.invalid/security", "bookworm-security", "bookworm-security", "main", "Debian-Security")
NEWER = Source("https://mirror.invalid/debian", "trixie", "stable", "main", "Debian")
SAME = Source("http://near.invalid/debian", "bookworm", "oldstable", "main", "Debian")
OTHER = Source("http://mirror.invalid/other", "noble", "noble", "main", "Ubuntu")


def test_what_apt_prints_is_read_by_its_tabs() -> None:
    printed = "http://near.invalid/debian\tbookworm\toldstable\tmain\tDebian\nnothing of ours\n"
    assert parse_sources(printed) == [SAME]


def test_the_suite_itself_is_best_then_any_debian() -> None:
    assert choose_mirror([SECURITY, NEWER, SAME], "bookworm") == SAME.site
    assert choose_mirror([SECURITY, NEWER], "bookworm") == NEWER.site
    assert choose_mirror([SECURITY, OTHER], "bookworm") is None


@pytest.mark.parametrize("site", ["cdrom:[Debian]", "mirror+file:/etc/apt/mirrors.list"])
def test_what_debootstrap_cannot_fetch_from_is_passed_over(site: str) -> None:
    assert choose_mirror([Source(site, "bookworm", "bookworm", "main", "Debian"), SAME], "bookworm") == SAME.site


def test_contrib_is_not_main() -> None:
    assert (
        choose_mirror([Source("http://near.invalid/debian", "bookworm", "bookworm", "contrib", "Debian")], "bookworm") is None
    )


def test_a_machine_without_debian_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MIRROR, raising=False)
    monkeypatch.setattr(apt_sources, "_read_sources", lambda _cure: [OTHER])
    with pytest.raises(HarnessError, match=MIRROR):
        debian_mirror("bookworm")
    monkeypatch.setenv(MIRROR, "file:/srv/debian")
    assert debian_mirror("bookworm") == "file:/srv/debian"


def test_the_harness_names_no_host_of_the_world() -> None:
    sources = {path: path.read_text() for path in (E2E_DIR / "harness").rglob("*.py")}
    found = {(path.name, host) for path, text in sources.items() for host in re.findall(r"https?://([\w.-]+)", text)}
    assert {host for _, host in found} <= {"127.0.0.1", "kubernetes.default.svc."}, found
