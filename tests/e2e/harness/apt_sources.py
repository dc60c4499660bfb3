"""Where this machine takes Debian from: its own apt sources say it, and nothing here knows any host by name."""

from __future__ import annotations

import os
from dataclasses import dataclass

from .commands import attempt, run
from .errors import HarnessError

MIRROR = "HERMES_E2E_DEBIAN_MIRROR"
FIELDS = ("SITE", "CODENAME", "RELEASE", "COMPONENT", "LABEL")
SEPARATOR = "\t"
# What debootstrap can fetch from; apt knows more, such as `cdrom:` and `mirror+file:`.
FETCHABLE = ("http://", "https://", "file:")
UPDATE_S = 300.0
DEBIAN = "Debian"  # the label of the archive itself; security and backports have labels of their own


@dataclass(frozen=True)
class Source:
    """One package list of apt. Codename and label are known only after `apt-get update`."""

    site: str
    codename: str
    release: str
    component: str
    label: str


def parse_sources(listed: str) -> list[Source]:
    """Return the package lists that `apt-get indextargets` printed in our format."""
    rows = [line.split(SEPARATOR) for line in listed.splitlines()]
    return [Source(*row) for row in rows if len(row) == len(FIELDS)]


def choose_mirror(sources: list[Source], suite: str) -> str | None:
    """Return the site that has the suite; else any site of Debian, which has every suite that is not yet archived."""
    usable = [source for source in sources if source.component == "main" and source.site.startswith(FETCHABLE)]
    same = [source.site for source in usable if suite in (source.codename, source.release)]
    debian = [source.site for source in usable if source.label == DEBIAN]
    return next(iter([*same, *debian]), None)


def debian_mirror(suite: str) -> str:
    """Return the mirror for a suite of Debian that this machine's settings name."""
    named = os.environ.get(MIRROR)
    if named:
        return named
    cure = f"set {MIRROR} to a mirror of Debian"
    sources = _read_sources(cure)
    if not sources:  # a fresh machine has no lists yet, and apt tells only of those it has
        attempt(["apt-get", "update", "-q"], timeout_s=UPDATE_S)
        sources = _read_sources(cure)
    mirror = choose_mirror(sources, suite)
    if mirror is None:
        raise HarnessError(f"apt's sources here name no mirror that has {suite}", cure)
    return mirror


def _read_sources(cure: str) -> list[Source]:
    form = SEPARATOR.join(f"$({name})" for name in FIELDS)
    return parse_sources(run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], cure=cure))
