"""Where the figures of membership stand: docs/swim.md, each table between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs" / "swim.md"
OURS: Final = "figures"
PEER: Final = "memberlist"


def write_table(mark: str, head: str, rows: Sequence[str]) -> None:
    """Put rows in the place of those that the same command made; `head`: two lines."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, _, rest = PAGE.read_text().partition(begin)
    table, _, after = rest.partition(end)
    former = table.strip().splitlines()[len(head.splitlines()) :]
    made = {row.rpartition("`")[0].rpartition("`")[2]: row for row in [*former, *rows]}
    PAGE.write_text(f"{before}{begin}\n{head}" + "\n".join(made.values()) + f"\n{end}{after}")
