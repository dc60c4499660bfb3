"""docs/scaling.md: the table of costs and the table of meshes, each between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.scaling.measure import Costs
from benchmarks.scaling.model import Carries

PAGE: Final = Path(__file__).parents[2] / "docs" / "scaling.md"


def format_costs(costs: Costs) -> list[str]:
    rows = [
        (
            "a node that has nothing to do",
            f"{costs.base_memory / 2**20:.0f} MiB, {costs.idle_cpu * 1e3:.1f} ms of CPU a second",
        ),
        ("an app that is connected", f"{costs.app_memory / 1024:.0f} KiB"),
        (
            "a chat, on each node that it passes",
            f"{costs.chat_memory / 1024:.1f} KiB, {costs.chat_disk / 1024:.1f} KiB on disk",
        ),
        ("opening a chat, on each node", f"{costs.opening_cpu * 1e3:.2f} ms of CPU"),
        ("a message and its acknowledgement, alone in its chat, over two nodes", f"{costs.message_alone * 1e6:.0f} µs of CPU"),
        ("the same, over one node", f"{costs.one_node_alone * 1e6:.0f} µs"),
        ("as many as the window lets out, over two nodes", f"{costs.message_batched * 1e6:.0f} µs"),
        ("the same, over one node", f"{costs.one_node_batched * 1e6:.0f} µs"),
        ("the streams to another node", f"{costs.peer_memory / 1024:.0f} KiB"),
    ]
    return ["| what | cost |", "| --- | --- |", *(f"| {what} | {cost} |" for what, cost in rows)]


def format_meshes(meshes: Sequence[Carries]) -> list[str]:
    head = (
        "| nodes | chats at once | of apps | messages a second, alone | in batches | chats opened a second |"
        " memory for streams | CPU for membership | one message a minute and chat: ends first |"
    )
    rows = [
        f"| {of.nodes:,} | {_round(of.chats)} | {_round(of.apps)} | {_round(of.alone)} | {_round(of.batched)} |"
        f" {_round(of.openings)} | {of.streams_share:.1%} | {of.members_share:.2%} | {of.limit} |"
        for of in meshes
    ]
    return [head, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |", *rows]


def write(mark: str, lines: Sequence[str]) -> None:
    """Put a table in the place of the former one."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, _, rest = PAGE.read_text().partition(begin)
    PAGE.write_text(f"{before}{begin}\n" + "\n".join(lines) + f"\n{end}{rest.partition(end)[2]}")


def _round(value: float) -> str:
    """Two digits: more would say that it was run."""
    digits = len(str(int(value))) - 2
    return f"{int(round(value, -digits)):,}" if digits > 0 else f"{value:.0f}"
