"""One chat as its node holds it: two sides, each with a channel towards an app (leg) or another node (tieline)."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import AppId, ChannelKind, ChatId, NodeId
from hermes_core.keystore.chat_record import ChatRecord, ChatState
from hermes_core.ratchet.channel import Channel
from hermes_core.relay.throttle import TokenBucket


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Who is at the other end of a stream: an app (`node_id` None) or a node (`app_id` None)."""

    app_id: AppId | None
    node_id: NodeId | None

    @property
    def kind(self) -> ChannelKind:
        return ChannelKind.LEG if self.node_id is None else ChannelKind.TIELINE


class Side:
    """One side of a chat. `ready`: this session's resume (or a handshake in it) is complete, frames may flow.

    `remote_up`: what the node behind a tieline last said of its own onward path. `told_up`: what this neighbour was last told.
    `acked`: the highest seq this side's app acknowledged. `window_known`: False after a restart, when `acked` may be too low,
    until this side's first message shows where its window begins. `quarantined`: only a new epoch makes this channel usable
    again. `resume_sent_at`: when our claims went to the other node; None when no answer is waited for.
    """

    __slots__ = (
        "acked",
        "app_id",
        "channel",
        "neighbour",
        "quarantined",
        "ready",
        "remote_up",
        "resume_sent_at",
        "told_up",
        "window_known",
    )

    def __init__(self, neighbour: Neighbour, app_id: AppId, channel: Channel) -> None:
        self.neighbour = neighbour
        self.app_id = app_id
        self.channel = channel
        self.ready = False
        self.remote_up = False
        self.told_up = False
        self.acked = 0
        self.window_known = True
        self.quarantined = False
        self.resume_sent_at: float | None = None

    @property
    def node_id(self) -> NodeId | None:
        return self.neighbour.node_id

    @property
    def is_leg(self) -> bool:
        return self.neighbour.node_id is None

    @property
    def leads_on(self) -> bool:
        """A frame sent to this side would reach its app, as far as this node knows."""
        return self.ready and not self.quarantined and (self.is_leg or self.remote_up)

    def lose(self) -> None:
        """The stream to this neighbour is gone."""
        self.ready = False
        self.remote_up = False
        self.told_up = False
        self.resume_sent_at = None


class Handshake:
    """An offer that was passed on and waits for its answer; our own answer towards the offering side is kept until then."""

    __slots__ = ("end_to_end_epoch", "hop_answer", "hop_confirm", "offerer", "started_at")

    def __init__(
        self, offerer: int, *, end_to_end_epoch: int, started_at: float, hop_answer: KeyStatement, hop_confirm: bytes
    ) -> None:
        self.offerer = offerer
        self.end_to_end_epoch = end_to_end_epoch
        self.started_at = started_at
        self.hop_answer = hop_answer
        self.hop_confirm = hop_confirm

    @property
    def first(self) -> bool:
        return self.end_to_end_epoch == 1


class Chat:
    """Side 0 leads to the initiating app, side 1 to the other.

    `stored`: its record is in the keystore, or about to be. `counted_epochs`: the sides' epochs that `messages_in_epoch` counts
    in; it starts again when both have a newer one. `rekey_deadline`: the end of the grace after REKEY_REQUIRED.
    """

    __slots__ = (
        "app_keys",
        "changed",
        "chat_id",
        "counted_epochs",
        "created_at",
        "end_to_end_epoch",
        "handshake",
        "last_active_at",
        "messages_in_epoch",
        "rekey_bucket",
        "rekey_deadline",
        "sides",
        "state",
        "stored",
    )

    def __init__(self, chat_id: ChatId, sides: tuple[Side, Side], app_keys: tuple[bytes, bytes], now: float) -> None:
        self.chat_id = chat_id
        self.sides = sides
        self.app_keys = app_keys
        self.state = ChatState.PENDING
        self.end_to_end_epoch = 0
        self.messages_in_epoch = 0
        self.counted_epochs = (0, 0)
        self.created_at = now
        self.last_active_at = now
        self.handshake: Handshake | None = None
        self.rekey_bucket: TokenBucket | None = None
        self.rekey_deadline: float | None = None
        self.changed = False
        self.stored = False

    @property
    def app_ids(self) -> tuple[AppId, AppId]:
        return self.sides[0].app_id, self.sides[1].app_id

    @property
    def scope(self) -> ChannelKind:
        return ChannelKind.LEG if self.sides[0].is_leg and self.sides[1].is_leg else ChannelKind.TIELINE

    @property
    def dirty(self) -> bool:
        return self.changed or self.sides[0].channel.dirty or self.sides[1].channel.dirty

    def find_side(self, source: Neighbour) -> int | None:
        """The index of the side this neighbour is on, None when it is no party of the chat."""
        if self.sides[0].neighbour == source:
            return 0
        return 1 if self.sides[1].neighbour == source else None

    def build_record(self) -> ChatRecord:
        """A record with copies of both channels' secrets; whoever gets it wipes it."""
        first, second = self.sides
        record = ChatRecord(
            chat_id=self.chat_id,
            state=self.state,
            app_ids=self.app_ids,
            app_keys=self.app_keys,
            side_nodes=(first.node_id, second.node_id),
            sides=(first.channel.snapshot(), second.channel.snapshot()),
            end_to_end_epoch=self.end_to_end_epoch,
            acked=(first.acked, second.acked),
            messages_in_epoch=self.messages_in_epoch,
            created_at_s=int(self.created_at),
            last_active_at_s=int(self.last_active_at),
        )
        self.changed = False
        return record

    @classmethod
    def restore(cls, record: ChatRecord, sides: tuple[Side, Side]) -> Chat:
        """The chat of a record; `sides` hold the restored channels."""
        chat = cls(record.chat_id, sides, record.app_keys, float(record.created_at_s))
        chat.state = record.state
        chat.end_to_end_epoch = record.end_to_end_epoch
        chat.messages_in_epoch = record.messages_in_epoch
        chat.counted_epochs = (sides[0].channel.epoch, sides[1].channel.epoch)
        chat.last_active_at = float(record.last_active_at_s)
        chat.stored = True
        for side, acked in zip(sides, record.acked, strict=True):
            side.acked = acked
            side.window_known = False
            side.quarantined = record.state is ChatState.QUARANTINED
        return chat

    def wipe(self) -> None:
        for side in self.sides:
            side.channel.wipe()


@dataclass(frozen=True, slots=True)
class SideDescription:
    """Where one side stands, without a secret: for /crypto/ratchets and the resume witness."""

    kind: ChannelKind
    epoch: int
    pending_epoch: int
    send_next: int
    send_reserved: int
    recv_next: int
    recv_reserved: int
    up: bool
    epoch_started_at_s: float


@dataclass(frozen=True, slots=True)
class ChatDescription:
    chat_id: ChatId
    state: ChatState
    sides: tuple[SideDescription, SideDescription]
    end_to_end_epoch: int


def describe_chat(chat: Chat) -> ChatDescription:
    first, second = (
        SideDescription(
            kind=side.neighbour.kind,
            epoch=side.channel.epoch,
            pending_epoch=side.channel.pending_epoch,
            send_next=side.channel.send_next,
            send_reserved=side.channel.send_reserved,
            recv_next=side.channel.recv_next,
            recv_reserved=side.channel.recv_reserved,
            up=side.ready,
            epoch_started_at_s=side.channel.epoch_started_at_s,
        )
        for side in chat.sides
    )
    return ChatDescription(chat.chat_id, chat.state, (first, second), chat.end_to_end_epoch)
