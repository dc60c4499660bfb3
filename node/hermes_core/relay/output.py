"""What the node's machine wants done, gathered from many inputs: first commit what is to be kept, then act, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from hermes_core.ids import AppId, ChatId, NodeId
from hermes_core.keystore.chat_record import ChatRecord, Tombstone
from hermes_core.mesh.messages import HomeFound
from hermes_core.protocol.messages import ChatMessage, ErrorNotice
from hermes_core.protocol.session import SessionMessage
from hermes_core.relay.events import NodeEvent
from hermes_core.relay.neighbour import StreamId
from hermes_core.session.control import ControlWriter

StreamMessage = ChatMessage | SessionMessage | HomeFound


class Send(NamedTuple):
    """Put `message` on `stream`: the one its receiver had when it was decided, so that no later stream can get it.

    It may leave once the outputs up to number `after` are durable. What a chat sends asks for numbers that never fall, so what
    may leave at once is always ahead of what may not; an answer that speaks for the node may ask for more, and be overtaken.
    """

    stream: StreamId
    message: StreamMessage
    after: int


class End(NamedTuple):
    """End a stream, after what waits for it (or instead of that, with `discard`), with `notice` as its last frame."""

    stream: StreamId
    notice: ErrorNotice | None
    discard: bool


class Secure(NamedTuple):
    """A session stands on this stream: control messages leave with the writer's tags from now on. The shell wipes it."""

    stream: StreamId
    writer: ControlWriter


StreamAction = Send | End | Secure


@dataclass(slots=True)
class NodeOutput:
    """Outputs are numbered from 1, without a gap. One commit for all of it.

    The records in `puts` belong to the caller, who wipes them once they are sealed. `early`: they were made before anything
    needs them, so nothing of this output waits for its own commit, nor does a later one unless its sends say so.
    """

    number: int
    puts: dict[ChatId, ChatRecord] = field(default_factory=dict)
    early: bool = False
    deletes: set[ChatId] = field(default_factory=set)
    moved: set[ChatId] = field(default_factory=set)
    """Of `puts` and `deletes`: a hop was made anew by a move, or the chat is at home elsewhere; it did not end."""
    tombstone_puts: dict[ChatId, Tombstone] = field(default_factory=dict)
    tombstone_deletes: set[ChatId] = field(default_factory=set)
    actions: list[StreamAction] = field(default_factory=list)
    events: list[NodeEvent] = field(default_factory=list)
    marks: list[bytes] = field(default_factory=list)
    """Of this node's keystore, handed back by apps: each proves a rollback. `Sessions.mark_judged` goes on from there."""
    wants: dict[NodeId, None] = field(default_factory=dict)
    """Other nodes that something is to be said to, in the order in which it came up; no stream to them stands."""
    look_ups: list[AppId] = field(default_factory=list)
    """Apps that the mesh is asked for; `Sessions.take_found` takes what comes of each."""
    leg_frames: int = 0
    """Frames that came from apps and went to apps; `tieline_frames` the same for nodes."""
    tieline_frames: int = 0
    relayed_messages: int = 0
    relayed_acks: int = 0
    dropped_messages: int = 0
    """Frames whose onward path was down: their sender sends them again."""

    def count_frame(self, *, leg: bool) -> None:
        """One frame came, or went, over a leg or a tieline."""
        if leg:
            self.leg_frames += 1
        else:
            self.tieline_frames += 1

    def count_relayed(self, *, message: bool, leads_on: bool) -> None:
        """What became of one frame: it goes on, as a message or an acknowledgement, or is dropped."""
        if not leads_on:
            self.dropped_messages += 1
        elif message:
            self.relayed_messages += 1
        else:
            self.relayed_acks += 1

    @property
    def sends(self) -> list[Send]:
        return [action for action in self.actions if isinstance(action, Send)]

    def note_early(self) -> None:
        """What is put from now on is early, unless something of this output needs its commit."""
        self.early = not self.needs_commit and self.waits_for < self.number

    @property
    def waits_for(self) -> int:
        """All of it may be acted on once the outputs up to this number are durable; 0: at once."""
        if self.needs_commit and not self.early:
            return self.number
        return max((send.after for send in self.sends), default=0)

    @property
    def needs_commit(self) -> bool:
        return bool(self.puts or self.deletes or self.tombstone_puts or self.tombstone_deletes)
