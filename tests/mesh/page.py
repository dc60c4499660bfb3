"""Where the figures of membership stand: docs/swim.md, each table between two marks."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

from tests.mesh.table import SEED

PAGE: Final = Path(__file__).parents[2] / "docs" / "swim.md"
OURS: Final = "figures"
PEER: Final = "memberlist"
LEAST_MEMBERS: Final = 2


class Sized(Protocol):
    @property
    def sizes(self) -> tuple[int, ...]: ...


F = TypeVar("F", bound=Sized)


def read_options(prog: str, about: str | None, figures: Mapping[str, Sized]) -> argparse.Namespace:
    """Which of them are made, at which size, of which seed, and whether the page gets them."""
    parser = argparse.ArgumentParser(prog=prog, description=about)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(figures)} (all when absent)")
    parser.add_argument("--members", type=_read_members, help="only at this size (default: those of the page)")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--write", action="store_true", help="write the page's table")
    options = parser.parse_args()
    if unknown := set(options.names) - figures.keys():
        parser.error(f"no figure {', '.join(sorted(unknown))}; there are {', '.join(figures)}")
    if options.write and options.seed != SEED:
        parser.error("the page has figures of one seed")
    return options


def _read_members(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < LEAST_MEMBERS:
        raise argparse.ArgumentTypeError(f"a mesh of figures has {LEAST_MEMBERS} members or more, not {text}")
    return int(text)


def choose(options: argparse.Namespace, figures: Mapping[str, F]) -> Iterator[tuple[str, F, int]]:
    """Each that was asked for, at each size."""
    for name, figure in figures.items():
        if not options.names or name in options.names:
            for members in (options.members,) if options.members else figure.sizes:
                yield name, figure, members


def write_table(mark: str, head: str, rows: Sequence[str]) -> None:
    """Put rows in the place of those that the same command made; `head`: two lines."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, _, rest = PAGE.read_text().partition(begin)
    table, _, after = rest.partition(end)
    former = table.strip().splitlines()[len(head.splitlines()) :]
    made = {row.rpartition("`")[0].rpartition("`")[2]: row for row in [*former, *rows]}
    PAGE.write_text(f"{before}{begin}\n{head}" + "\n".join(made.values()) + f"\n{end}{after}")
