"""Programs taken out of a root file system together with everything that the loader takes for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.e2e.harness.commands import attempt

if TYPE_CHECKING:
    from pathlib import Path

LDD_S = 60.0


def parse_ldd(printed: str) -> set[str]:
    """Return the libraries that ldd named, by their paths."""
    return set(re.findall(r"(/\S+) \(0x", printed))


def resolve_inside(root: Path, path: str) -> Path:
    """Follow the links of a file inside a root, where an absolute link begins at that root again."""
    here = root
    parts = [part for part in path.split("/") if part]
    while parts:
        following = here / parts.pop(0)
        if following.is_symlink():
            to = str(following.readlink())
            parts = [part for part in to.split("/") if part] + parts
            here = root if to.startswith("/") else here
        else:
            here = following
    return here


def with_libraries(root: Path, programs: list[str]) -> dict[str, Path]:
    """Return for each program and each of its libraries, by the path in the image, the file that has its content.

    ldd is asked once for all of them: static programs among them make it fail, which says nothing of the others.
    """
    printed = attempt(["chroot", root, "ldd", *programs], timeout_s=LDD_S).stdout
    return {path.lstrip("/"): resolve_inside(root, path) for path in sorted({*programs, *parse_ldd(printed)})}
