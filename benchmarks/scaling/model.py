"""What a mesh of n nodes carries by the costs of one: multiplied out, not run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from benchmarks.scaling.measure import Costs

SIZES: Final = (3, 10, 100, 1000)
CORE_SHARE: Final = 0.6
"""Of a node's one core: beyond it a message waits for others too often."""
MEMORY_BYTES: Final = 1024**3
"""Of a node, before it should not grow any more."""
CHATS_OF_AN_APP: Final = 10


@dataclass(frozen=True, slots=True)
class Carries:
    """A whole mesh.

    `streams_share`: of a node's memory, for its streams to all other nodes. `members_share`: of its core, for membership.
    """

    nodes: int
    chats: float
    apps: float
    alone: float
    batched: float
    openings: float
    streams_share: float
    members_share: float

    @property
    def limit(self) -> str:
        """What ends first when each chat has a message a minute: with all the chats that fit."""
        return "memory" if self.chats / 60 < self.alone else "CPU"


def multiply(costs: Costs, nodes: int, *, members_cpu: float, entry_bytes: float) -> Carries:
    """`members_cpu`: of a node, seconds a second; `entry_bytes`: of the directory, for each app, over all nodes together.

    Apps are at home anywhere: of n chats n - 1 pass two nodes, on each of which they have a record.
    """
    elsewhere = (nodes - 1) / nodes
    records = 1 + elsewhere
    apps_of_a_chat = 2 / CHATS_OF_AN_APP
    streams = (nodes - 1) * costs.peer_memory
    of_a_chat = records * costs.chat_memory + apps_of_a_chat * (costs.app_memory + entry_bytes)
    chats = max(0.0, nodes * (MEMORY_BYTES - costs.base_memory - streams) / of_a_chat)
    core = nodes * max(0.0, CORE_SHARE - members_cpu)
    return Carries(
        nodes=nodes,
        chats=chats,
        apps=chats * apps_of_a_chat,
        alone=core / (elsewhere * costs.message_alone + (1 - elsewhere) * costs.one_node_alone),
        batched=core / (elsewhere * costs.message_batched + (1 - elsewhere) * costs.one_node_batched),
        openings=core / (records * costs.opening_cpu),
        streams_share=streams / MEMORY_BYTES,
        members_share=members_cpu,
    )
