"""What an image needs whose program sets the kernel's packet rules: iptables with all of its matches, taken from a root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .image_archive import Content
from .libraries import with_libraries

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = ("/usr/sbin/xtables-nft-multi", "/usr/sbin/conntrack", "/bin/kmod", "/usr/sbin/nft", "/usr/sbin/ipset")
IPTABLES = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")


def with_packet_filter(root: Path, programs: dict[str, Path], entrypoint: tuple[str, ...] = ()) -> Content:
    """Return these programs, by their paths in the image, and what they call."""
    # iptables loads its matches at run time. What those need in turn (libm) is in no list of the programs, and without
    # it everything looks Ready while services with two endpoints are dead.
    folder = next(root.glob("usr/lib/*/xtables"))
    matches = [f"/{path.relative_to(root)}" for path in sorted(folder.iterdir())]
    files = with_libraries(root, [*PROGRAMS, *matches])
    links = {f"usr/sbin/{name}": "xtables-nft-multi" for name in IPTABLES} | {"sbin/modprobe": "/bin/kmod"}
    return Content({**files, **programs}, links, ("tmp", "run"), entrypoint)
