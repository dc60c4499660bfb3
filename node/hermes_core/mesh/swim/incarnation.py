"""This node's own descriptor: the only one that it signs, and the rule by which its incarnation rises."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.mesh.swim.messages import SignedDeparture
from hermes_core.mesh.swim.statements import Signatures, encode_departure, encode_own

RESERVED: Final = 64
"""Incarnations that the keystore holds ahead of their use: after a crash a node starts above all that it ever signed."""


class OwnIncarnation:
    """Rises by one to contradict an accusation, and at once above what this node signed before its keystore was put back.

    Never above what is reserved on disk: until more is, the node stays accused.
    """

    __slots__ = ("_asked", "_departure", "_descriptor", "_reserved", "_signatures", "_wish")

    def __init__(self, descriptor: NodeDescriptor, signatures: Signatures) -> None:
        self._descriptor = descriptor
        self._signatures = signatures
        self._reserved = self._asked = descriptor.incarnation + RESERVED
        self._wish = -1
        self._departure: SignedDeparture | None = None

    @property
    def descriptor(self) -> NodeDescriptor:
        return self._descriptor

    @property
    def departure(self) -> SignedDeparture | None:
        """Set from when the node leaves on."""
        return self._departure

    def raise_above(self, incarnation: int) -> bool:
        """A fresh descriptor with the incarnation after this one; False when the node left, and until that is reserved."""
        if self._departure or incarnation < self._descriptor.incarnation:
            return False
        if incarnation + 1 > self._reserved:
            self._wish = max(self._wish, incarnation)
            return False
        raised = replace(self._descriptor, incarnation=incarnation + 1)
        self._descriptor = replace(raised, signature=self._signatures.sign(encode_own(raised)))
        return True

    def wanted_reservation(self) -> int | None:
        """Up to where the shell should reserve, when half of it is used up or a wish lies beyond; each is asked for once."""
        used = max(self._descriptor.incarnation, self._wish)
        if used + RESERVED // 2 <= self._asked:
            return None
        self._asked = used + RESERVED
        return self._asked

    def reserve(self, up_to: int) -> bool:
        """The keystore holds it; True when the descriptor has risen, which waited for it."""
        self._reserved = max(self._reserved, up_to)
        return self.raise_above(self._wish)

    def leave(self) -> SignedDeparture:
        d = self._descriptor
        signature = self._signatures.sign(encode_departure(d.node_id, d.node_key, d.incarnation))
        self._departure = SignedDeparture(d.node_id, d.node_key, d.incarnation, signature)
        return self._departure
