"""What only a liar, or a broken node, says of members, whichever machine decides who is one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hermes_core.ids import NodeId


class Lie(StrEnum):
    """Each names a member, and does nothing else: nobody is dead or gone by it."""

    SIGNATURE = "passed on what nobody signed"
    TWO_SELVES = "signed two descriptors with one incarnation"
    ACCUSATIONS = "accused members that answer"


@dataclass(frozen=True, slots=True)
class LiarNamed:
    node_id: NodeId
    lie: Lie
