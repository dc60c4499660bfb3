"""Where the parts of the node's machine put what they want done; nobody reads it but the router, when output is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, ChatId, NodeId
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.relay.events import MessageRefused, NodeEvent
from hermes_core.relay.neighbour import Link, Neighbour, StreamId
from hermes_core.relay.output import End, NodeOutput, Secure, Send, StreamMessage
from hermes_core.session.control import ControlWriter

UNPROVEN: Final = frozenset({ErrorCode.INVALID_FRAME, ErrorCode.AUTH_FAILED, ErrorCode.INVALID_KEY, ErrorCode.KEY_MISMATCH})
"""What an offer, an answer, a confirmation or claims of the hop's own are refused with that no honest neighbour sends."""


class Charge(NamedTuple):
    """Whose stream, and what for. `in_vain`: it may have been right once: many are their sender's fault, a few are not."""

    stream: StreamId
    error: ProtocolError
    in_vain: bool = False


class Effects:
    """`links` is the router's: what goes to a neighbour without a stream goes nowhere."""

    __slots__ = ("_charges", "_dials_on_demand", "_now", "links", "output")

    def __init__(self, links: Mapping[Neighbour, Link]) -> None:
        self.links = links
        self._now = 0.0
        self._charges: list[Charge] = []
        self.output = NodeOutput(1)
        self._dials_on_demand = False

    @property
    def dials_on_demand(self) -> bool:
        """Whether a stream to another node comes about when it is wanted; else each node has one to every other one."""
        return self._dials_on_demand

    def dial_on_demand(self) -> None:
        self._dials_on_demand = True

    def begin_pass(self, now: float) -> None:
        """The time of what is sent from here on."""
        self._now = now

    def take(self) -> NodeOutput:
        taken, self.output = self.output, NodeOutput(self.output.number + 1)
        return taken

    def send(self, neighbour: Neighbour, message: StreamMessage, after: int) -> None:
        """To a neighbour whose stream stands, once the outputs up to `after` are durable."""
        link = self.links.get(neighbour)
        if link is not None:
            link.note_sent(self._now)
            self.output.actions.append(Send(link.stream, message, after))

    def answer(self, neighbour: Neighbour, message: StreamMessage) -> None:
        """Something that may depend on whatever was decided so far, chats that are gone included."""
        self.send(neighbour, message, self.output.number)

    def refuse(self, neighbour: Neighbour, chat_id: ChatId | None, error: ProtocolError) -> None:
        """Answer with an error; what it ends was decided before."""
        self.report(MessageRefused(chat_id, neighbour.kind, error.code, error.detail))
        self.answer(neighbour, ErrorNotice(error.code, error.scope, chat_id, error.detail, error.retry_after_ms))

    def refuse_frame(self, neighbour: Neighbour, chat_id: ChatId | None, error: ProtocolError) -> None:
        """Answer a frame that was dropped: it ends nothing, whatever the code's usual scope."""
        scoped = ProtocolError(error.code, error.detail, scope=ErrorScope.FRAME, retry_after_ms=error.retry_after_ms)
        self.refuse(neighbour, chat_id, scoped)

    def tell(self, stream: StreamId, message: StreamMessage) -> None:
        """What concerns the stream and no chat."""
        self.output.actions.append(Send(stream, message, 0))

    def secure(self, stream: StreamId, writer: ControlWriter) -> None:
        self.output.actions.append(Secure(stream, writer))

    def end(self, stream: StreamId, notice: ErrorNotice | None = None, *, discard: bool = False) -> None:
        self.output.actions.append(End(stream, notice, discard))

    def charge(self, neighbour: Neighbour, error: ProtocolError, *, in_vain: bool = False) -> None:
        """What came from it was never right, or in vain: it is its stream's fault, whose budget it uses up.

        Scope STREAM ends it, of what was never right.
        """
        link = self.links.get(neighbour)
        if link is not None:
            self._charges.append(Charge(link.stream, error, in_vain))

    def charge_unproven(self, neighbour: Neighbour, error: ProtocolError) -> None:
        """The same for what was refused because its proof is false: to find that out costs as much as relaying some frames."""
        if error.code in UNPROVEN:
            self.charge(neighbour, error)

    def take_charges(self) -> list[Charge]:
        """Since the last call, with the stream at fault; asked for after each message."""
        charges = self._charges
        if charges:
            self._charges = []
        return charges

    def hand_in(self, mark: bytes) -> None:
        """A mark that proves a rollback: the shell judges it and acts on it."""
        self.output.marks.append(mark)

    def want(self, node_id: NodeId) -> None:
        """Something is to be said to this node, and no stream to it stands."""
        self.output.wants[node_id] = None

    def look_up(self, app_id: AppId) -> None:
        """Nobody here knows where this app is."""
        self.output.look_ups.append(app_id)

    def report(self, event: NodeEvent) -> None:
        self.output.events.append(event)
