"""The parties of the model: an app with its owner's habits, a node with its durable store."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from hermes_core.clock_peers import ClockPeers, SeenTime
from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.chat import AppChat
from hermes_core.endpoint.events import (
    AppEvent,
    ChatEnded,
    ChatOffered,
    ChatReady,
    ChatRekeyed,
    HomeMoved,
    MessageReceived,
    MessagesAcked,
    PathChanged,
    StoresDiffer,
)
from hermes_core.endpoint.hop import HopState
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.router import AppChats
from hermes_core.errors import ProtocolError
from hermes_core.ids import ChatId, NodeId, Party, node_party
from hermes_core.keystore.chat_record import Tombstone
from hermes_core.keystore.chat_record_codec import encode_chat_record, parse_chat_record
from hermes_core.protocol.messages import ChatMessage, Sealed
from hermes_core.relay.chat import Chat
from hermes_core.relay.events import NodeEvent
from hermes_core.relay.neighbour import Neighbour
from hermes_core.relay.output import NodeOutput, Send
from hermes_core.relay.params import ChatParams
from hermes_core.relay.router import NodeChats
from tests.model.ledger import ChannelWatch, ChatLedger, Ledger, require
from tests.model.streams import Stream
from tests.support.app_volume import AppVolume
from tests.support.cheap_kem import CheapKem
from tests.support.claims import make_claim, tell_list


def make_identity(seed: bytes) -> Identity:
    return Identity.from_seed(SecretBytes.take(bytearray(seed)))


class AppParty:
    """An app; without a volume its memory is all it has, so a crash ends its chats."""

    def __init__(
        self,
        name: str,
        seed: bytes,
        home: str,
        params: AppParams,
        ledger: Ledger,
        entropy: RandomSource,
        volume: AppVolume | None = None,
    ) -> None:
        self.name = name
        self.identity = make_identity(seed)
        self.home = home
        self.connects = 0
        self.params = params
        self.ledger = ledger
        self.entropy = entropy
        self.volume = volume
        self.machine = self._make_machine()
        self.app_id = self.machine.app_id
        self.stream: Stream | None = None
        self.offers: list[ChatId] = []
        self.events: list[AppEvent] = []
        self.paths: dict[ChatId, bool] = {}
        self.watches: dict[ChatId, tuple[ChannelWatch, ChannelWatch]] = {}
        self.former: dict[ChatId, list[ChannelWatch]] = {}

    def _make_machine(self) -> AppChats:
        durable = self.volume is not None
        return AppChats(identity=self.identity, params=self.params, random=self.entropy, kem=CheapKem(), durable=durable)

    def stamp(self, now: float) -> int:
        """Of its claim, in ms, by the clock of who hears it: however fast it goes from node to node, a later one is higher."""
        return int(now * 1000) + self.connects

    def live(self) -> list[ChatId]:
        return list(self.machine.chats)

    def collect(self) -> ProtocolError | None:
        """Take the machine's output: events into the ledger, messages onto the stream. Why the app hangs up, if it does."""
        output = self.machine.take_output()
        for _, defect in output.defects:
            raise defect
        self.events = output.events
        if self.volume is not None:
            self.volume.commit(output.changes)  # before anything leaves
        for event in output.events:
            match event:
                case ChatOffered():
                    self.ledger.record_offered(self.name, event.chat_id)
                    self.offers.append(event.chat_id)
                case MessageReceived():
                    self.ledger.record_received(self.name, event.chat_id, event.seq, event.content)
                case ChatReady():
                    self.ledger.chats[event.chat_id].ready.add(self.name)
                case ChatRekeyed():
                    self.ledger.rekeys += 1
                case HomeMoved():
                    self.ledger.moves += 1
                case PathChanged():
                    require(self.paths.get(event.chat_id, False) != event.up, "a path changed into what it was")
                    self.paths[event.chat_id] = event.up
                case StoresDiffer(ours=True):
                    self.ledger.record_put_back(self.name, event)
                case MessagesAcked():
                    self.ledger.record_acked(self.name, event.chat_id, event.seq)
                case ChatEnded():
                    self.ledger.record_end(self.name, event.chat_id, event.reason)
                    if event.chat_id in self.offers:
                        self.offers.remove(event.chat_id)
        stream = self.stream
        for message in output.sends:
            require(stream is not None, f"{self.name} sends without a stream")
            if stream is not None:
                put_message(self.ledger, stream, self.name, message)
        self.check()
        return output.hang_up

    def check(self) -> None:
        chats = self.machine.chats
        for chat_id in [known for known in self.watches if known not in chats]:
            for watch in (*self.watches.pop(chat_id), *self.former.pop(chat_id, ())):
                watch.check_wiped()
        for chat_id, chat in chats.items():
            if chat_id not in self.watches:
                self.watches[chat_id] = (ChannelWatch(chat.end_to_end), ChannelWatch(chat.leg))
            self._follow_leg(chat)
            for watch in self.watches[chat_id]:
                watch.check()
            ledger = self.ledger.chats[chat_id]
            require((chat.hop.state is HopState.OPEN) == self.paths.get(chat_id, False), "a path changed without telling")
            require(chat.transfer.incoming.delivered == ledger.received.get(self.name, 0), "delivered without telling")

    def restart(self, now: float, volume: AppVolume | None = None) -> None:
        """SIGKILL, and another start with its volume, or an older copy of it. What it had not taken comes again."""
        self.volume = volume or self.volume
        require(self.volume is not None, f"{self.name} has no volume")
        assert self.volume is not None
        live = self.live()
        self.machine = self._make_machine()
        self.volume.restore_into(self.machine, now)
        self.ledger.record_crash(self.name, [chat_id for chat_id in live if chat_id not in self.machine.chats])
        for chat_id, chat in self.machine.chats.items():
            transfer = chat.transfer
            self.ledger.record_restart(self.name, chat_id, transfer.incoming.acked, transfer.outgoing.acked)
        self.stream = None
        self.offers.clear()
        self.paths.clear()
        self.watches.clear()
        self.former.clear()

    def _follow_leg(self, chat: AppChat) -> None:
        """A moved leg takes the place of another, which is wiped once it is of no use any more."""
        content, leg = self.watches[chat.chat_id]
        former = self.former.setdefault(chat.chat_id, [])
        if not leg.watches(chat.leg):
            former.append(leg)
            taken_up = next((watch for watch in former if watch.watches(chat.leg)), None)
            self.watches[chat.chat_id] = content, taken_up or ChannelWatch(chat.leg)
        for watch in list(former):
            if not watch.watches(chat.moving.former):
                former.remove(watch)
                if not watch.watches(chat.leg):
                    watch.check_wiped()

    def crash(self) -> None:
        self.ledger.record_crash(self.name, self.live())
        self.machine = self._make_machine()
        self.stream = None
        self.offers.clear()
        self.paths.clear()
        self.watches.clear()
        self.former.clear()


@dataclass
class Store:
    """What is durable: sealed records as the keystore's format has them, and tombstones."""

    records: dict[ChatId, bytes] = field(default_factory=dict)
    tombstones: dict[ChatId, Tombstone] = field(default_factory=dict)
    last_seen_s: float | None = None
    unconfirmed_s: float = 0.0
    """The latest time; it rides on commits."""

    def copy(self) -> Store:
        return Store(dict(self.records), dict(self.tombstones), self.last_seen_s, self.unconfirmed_s)

    def keep_time(self, seen: SeenTime) -> None:
        self.last_seen_s, self.unconfirmed_s = seen.date_s, seen.unconfirmed_s


class NodeParty:
    """A node; what it had committed survives a crash, what it had not is gone.

    `slow_disk`: how likely an early commit is still under way when the next output is there. Drawn apart: it moves no accident.
    """

    MAX_HISTORY = 60

    def __init__(
        self, name: str, seed: bytes, params: ChatParams, ledger: Ledger, entropy: RandomSource, clock: Callable[[], float]
    ) -> None:
        self.name = name
        self._clock = clock
        self.node_id = NodeId(name)
        self.identity = make_identity(seed)
        self.params = params
        self.ledger = ledger
        self.entropy = entropy
        self.store = Store()
        self.slow_disk = 0.95
        self._disk = random.Random(b"disk" + seed)
        self.early: NodeOutput | None = None
        """Its commit is under way beside the outputs that follow."""
        self.history: list[Store] = []
        self.commits = 0
        self.streams: dict[str, Stream] = {}
        self.sinks: dict[int, Stream] = {}
        self.events: list[NodeEvent] = []
        self.watches: dict[ChatId, tuple[ChannelWatch, ChannelWatch]] = {}
        self.directory: dict[NodeParty, list[AppParty]] = {}
        """What each other node says of its apps."""
        self.machine: NodeChats | None = None
        self.ahead_s = 0.0
        """How far its time is from the world's, in this run."""
        self.start(clock())

    def start(self, now: float, *, wall_s: float | None = None, keys_in_doubt: bool = False) -> NodeChats:
        """`wall_s`: what its clock says now, if that is not the truth; it is believed as far as a node believes it."""
        seen_s = self.store.last_seen_s
        seen = None if seen_s is None else SeenTime(seen_s, self.store.unconfirmed_s)
        clock = self.clock = ClockPeers(now if wall_s is None else wall_s, seen, wait_s=0.0)
        self.ahead_s = clock.start_s - now
        keys_in_doubt = keys_in_doubt or clock.alone.doubt is not None
        now = clock.start_s
        self.store.keep_time(clock.read(now))
        machine = NodeChats(
            identity=self.identity, node_id=self.node_id, params=self.params, random=self.entropy, kem=CheapKem()
        )
        records = (parse_chat_record(data) for data in self.store.records.values())
        machine.restore(records, self.store.tombstones.values(), now, keys_in_doubt=keys_in_doubt)
        self.machine = machine
        self.hear_directory()
        self.watches.clear()
        self.check()
        return machine

    def replace(self, seed: bytes) -> None:
        """Another takes its name, without anything of it; it has crashed before."""
        self.identity = make_identity(seed)
        self.store = Store()
        self.history.clear()

    @property
    def running(self) -> NodeChats:
        require(self.machine is not None, f"{self.name} is down")
        assert self.machine is not None
        return self.machine

    def hear_directory(self) -> None:
        """From each other node which apps are connected to it."""
        now = self._clock() + self.ahead_s
        for node, apps in self.directory.items():
            claims = [make_claim(app.identity, node.party, app.stamp(now)) for app in apps]
            tell_list(self.running, node.party, claims, now)

    def commit(self, output: NodeOutput) -> None:
        """One transaction: puts and deletes together."""
        for chat_id, record in output.puts.items():
            self.store.records[chat_id] = bytes(encode_chat_record(record))
            self.ledger.note(self.name, self.store.records[chat_id])
            record.wipe()
        for chat_id in output.deletes:
            self.store.records.pop(chat_id, None)
        for chat_id in output.tombstone_deletes:
            self.store.tombstones.pop(chat_id, None)
        self.store.tombstones.update(output.tombstone_puts)
        if output.needs_commit:
            self.store.keep_time(self.clock.read(self._clock() + self.ahead_s))
            self.commits += 1
            self.history.append(self.store.copy())
            del self.history[: -self.MAX_HISTORY]

    def flush(self, *, sends: int | None = None) -> None:
        """Commit, then send; `sends` cuts the sending short, as a crash does."""
        if self.early is not None and self._disk.random() >= self.slow_disk:
            self.end_early()
        output = self.running.take_output(busy=self.early is not None)
        for app_id in output.look_ups:  # what is to be found was told
            self.running.end_look_up(app_id, self._clock() + self.ahead_s, complete=True)
        self.events = output.events
        self.ledger.check_verdicts(self.name, output.events)
        if self.early is not None and (output.needs_commit or output.waits_for >= self.early.number):
            self.end_early()
        if output.early and self._disk.random() < self.slow_disk:
            self.early = output
        else:
            self.commit(output)
        self._send(output.sends[:sends])
        if sends is None:
            self.check()
            if output.look_ups:
                self.flush()

    def end_early(self) -> None:
        """What was committed beside the outputs since is durable now, if anything was."""
        early, self.early = self.early, None
        if early is not None:
            self.commit(early)

    def lose_early(self) -> None:
        """It never became durable."""
        early, self.early = self.early, None
        if early is not None:
            for record in early.puts.values():
                record.wipe()

    def send_ahead(self) -> None:
        """What waits for no commit leaves; the commits themselves never happen."""
        output = self.running.take_output(busy=self.early is not None)
        first, self.early = self.early or output, None
        self._send([send for send in output.sends if send.after < first.number])
        for record in (*output.puts.values(), *first.puts.values()):
            record.wipe()

    @property
    def party(self) -> Party:
        return node_party(self.node_id, self.identity.public_key)

    def connected(
        self, neighbour: Neighbour, stream: Stream, public_key: bytes, now: float, *, app: AppParty | None = None
    ) -> None:
        """`app`: who claims to be here."""
        self.sinks[stream.number] = stream
        claim = None if app is None else make_claim(app.identity, self.party, app.stamp(now))
        self.running.connected(neighbour, stream.number, public_key, stream.keys_of(self.name), now, claim)

    def _send(self, sends: list[Send]) -> None:
        for send in sends:
            put_message(self.ledger, self.sinks[send.stream], self.name, send.message)  # type: ignore[arg-type]

    @property
    def chats(self) -> dict[ChatId, Chat]:
        return self.running._chats.by_id

    @property
    def tombstones(self) -> set[ChatId]:
        return set(self.running._tombstones._tombstones)

    def check(self) -> None:
        chats = self.chats
        for chat_id in [known for known in self.watches if known not in chats]:
            for watch in self.watches.pop(chat_id):
                watch.check_wiped()
        for chat_id, chat in chats.items():
            if chat_id not in self.watches:
                self.watches[chat_id] = (ChannelWatch(chat.hops[0].channel), ChannelWatch(chat.hops[1].channel))
            first, second = (watch.follow(hop.channel) for watch, hop in zip(self.watches[chat_id], chat.hops, strict=True))
            self.watches[chat_id] = first, second
            for watch in self.watches[chat_id]:
                watch.check()
        stored = {chat_id for chat_id, chat in chats.items() if chat.standing.stored}
        require(set(self.store.records) == stored, f"{self.name}: the store holds other chats than the machine")
        require(set(self.store.tombstones) == self.tombstones, f"{self.name}: tombstones differ")

    def crash(self) -> None:
        if self._disk.random() < 0.5:
            self.end_early()
        self.lose_early()
        self.machine = None
        self.streams.clear()
        self.sinks.clear()
        self.watches.clear()


def put_message(ledger: Ledger, stream: Stream, sender: str, message: ChatMessage) -> None:
    receiver = stream.peer_of(sender)
    ledger.note(sender, receiver, message)
    if isinstance(message, Sealed):
        ledger.record_frame(sender, receiver, message.frame)
    stream.put(receiver, message)


def new_ledger(ledger: Ledger, chat_id: ChatId, initiator: str, target: str) -> None:
    ledger.chats[chat_id] = ChatLedger(chat_id, peers=(initiator, target))
