"""What a middle that knows the protocol makes up: every kind of control message, with chats, fields and tags it has seen."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import SEED_BYTES, Identity
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, ChatId, NodeId
from hermes_core.mesh.carry.messages import Carried, CarryTo
from hermes_core.mesh.messages import MembershipUpdate
from hermes_core.protocol import messages as m
from hermes_core.protocol import session as s
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.session.canonical import CONTROL
from hermes_core.session.control import TAG_BYTES, Tagged
from hermes_proto.v2.app_router_pb2 import ClientBatch, ServerBatch
from hermes_proto.v2.node_mesh_pb2 import CarryMessage, GossipMessage, JoinMessage, PeerBatch
from hermes_wire.app import build_client_batch, build_server_batch, parse_client_batch, parse_server_batch
from hermes_wire.carry import build_carry, parse_carry
from hermes_wire.peer import build_gossip, build_join, build_peer_batch, parse_gossip, parse_peer_batch
from hermes_wire.tags import split_tag
from tests.simulation.pipes import Way

OFTEN: Final = 0.2
MAX_KEPT: Final = 200


class Codec(NamedTuple):
    """A direction's messages, as a list, from bytes and back."""

    parse: Callable[[bytes], Iterable[Any]]
    build: Callable[[list[Any]], bytes]


_OPEN_UP: Final = Codec(
    lambda data: parse_client_batch(ClientBatch.FromString(data)), lambda items: build_client_batch(items).SerializeToString()
)
_OPEN_DOWN: Final = Codec(
    lambda data: parse_server_batch(ServerBatch.FromString(data)), lambda items: build_server_batch(items).SerializeToString()
)
_ROUTE: Final = Codec(
    lambda data: parse_peer_batch(PeerBatch.FromString(data)), lambda items: build_peer_batch(items).SerializeToString()
)
_GOSSIP: Final = Codec(
    lambda data: [parse_gossip(GossipMessage.FromString(data))], lambda items: build_gossip(items[0]).SerializeToString()
)
_CARRY: Final = Codec(
    lambda data: [parse_carry(CarryMessage.FromString(data))], lambda items: build_carry(items[0]).SerializeToString()
)
_JOIN: Final = Codec(
    lambda data: [parse_gossip(JoinMessage.FromString(data))], lambda items: build_join(items[0]).SerializeToString()
)


def choose_codec(way: Way) -> Codec:
    match way.path.rpartition("/")[2]:
        case "Open":
            return _OPEN_DOWN if way.to_dialler else _OPEN_UP
        case "RouteChat":
            return _ROUTE
        case "Gossip":
            return _GOSSIP
        case "Carry":
            return _CARRY
        case _:
            return _JOIN


def unsign(choices: random.Random) -> Callable[[Way, bytes], list[bytes]]:
    """Every second proof of an app or its node has a signature that nobody made."""

    def pass_on(way: Way, data: bytes) -> list[bytes]:
        items = _read_proof(way, data)
        if not items or choices.random() >= 0.5:
            return [data]
        items[0] = replace(items[0], signature=choices.randbytes(len(items[0].signature)))
        return [choose_codec(way).build(items)]

    return pass_on


def prove_twice(choices: random.Random) -> Callable[[Way, bytes], list[bytes]]:
    """Every second proof of an app or its node comes twice."""
    return lambda way, data: [data, data] if _read_proof(way, data) and choices.random() < 0.5 else [data]


def _read_proof(way: Way, data: bytes) -> list[Any]:
    """A batch that begins with a Connect or a Connected; nothing for any other."""
    if choose_codec(way) not in {_OPEN_UP, _OPEN_DOWN}:
        return []
    try:
        items = list(choose_codec(way).parse(data))
    except (ProtocolError, DecodeError):
        return []
    return items if items and isinstance(items[0], s.Connect | s.Connected) else []


class Forger:
    """Keeps what passes: messages with their tags by direction, and the chats and apps that they name."""

    def __init__(self, choices: random.Random) -> None:
        self._choices = choices
        self._seen: dict[tuple[str, bool], list[Any]] = {}
        self._chats: list[ChatId] = []
        self._tags: list[bytes] = []
        self._identity = Identity.from_seed(SecretBytes.take(bytearray(choices.randbytes(SEED_BYTES))))

    # the abilities

    def forge(self, way: Way, data: bytes) -> list[bytes]:
        if self._watch(way, data) is None or self._choices.random() >= OFTEN:
            return [data]
        return self._beside(data, self._build(way, [self._with_some_tag(self._make(way))]))

    def replay(self, way: Way, data: bytes) -> list[bytes]:
        items = self._watch(way, data)
        kept = self._kept(way)
        if items is None or not kept or self._choices.random() >= OFTEN:
            return [data]
        return self._beside(data, self._build(way, [self._choices.choice(kept)]))

    def splice(self, way: Way, data: bytes) -> list[bytes]:
        items = self._watch(way, data)
        if items is None or self._choices.random() >= OFTEN:
            return [data]
        at = [index for index, item in enumerate(items) if isinstance(item, Tagged)]
        if not at:
            return [data]
        index = self._choices.choice(at)
        items[index] = self._alter(way, items[index])
        return self._build(way, items) or [data]

    def impersonate(self, way: Way, data: bytes) -> list[bytes]:
        items = self._watch(way, data)
        if items is None:
            return [data]
        if items and isinstance(items[0], s.Challenge):
            items[0] = replace(items[0], node_key=self._identity.public_key)
            return self._build(way, items) or [data]
        if not way.to_dialler or self._choices.random() >= OFTEN:
            return [data]
        scope = self._choices.choice([ErrorScope.CHAT, ErrorScope.STREAM])
        notice = m.ErrorNotice(self._choices.choice(list(ErrorCode)), scope, self._chat(), "made up", 0)
        return self._beside(data, self._build(way, [self._with_some_tag(notice)]))

    def speak_first(self, way: Way, data: bytes) -> list[bytes]:
        """Before a node has proved who it is, as good as every chat is said to have ended."""
        items = self._watch(way, data)
        if not items or not isinstance(items[0], s.Challenge | s.Connected) or self._choices.random() >= 0.5:
            return [data]
        ends = [m.Closed(chat_id, m.CloseReason.RATCHET_FAILED) for chat_id in dict.fromkeys(self._chats)]
        return [*self._build(way, ends), data] if ends else [data]

    # what it knows

    def _watch(self, way: Way, data: bytes) -> list[Any] | None:
        """The messages, or None for what it cannot read."""
        try:
            items = list(choose_codec(way).parse(data))
        except (ProtocolError, DecodeError):
            return None
        for item in items:
            message, tag = split_tag(item)
            if type(message) not in CONTROL:
                continue
            self._keep(self._seen.setdefault(way.kind, []), item)
            if tag:
                self._keep(self._tags, tag)
            chat_id = getattr(message, "chat_id", None)
            if chat_id is not None:
                self._keep(self._chats, chat_id)
        return items

    def _keep(self, kept: list[Any], item: Any) -> None:
        if len(kept) < MAX_KEPT:
            kept.append(item)
        else:
            kept[self._choices.randrange(MAX_KEPT)] = item

    def _kept(self, way: Way) -> list[Any]:
        """Now and then what went the other way, where it can be said at all."""
        own = self._seen.get(way.kind, [])
        other = self._seen.get(way.back, [])
        return other if other and self._choices.random() < 0.2 else own

    def _chat(self) -> ChatId:
        return self._choices.choice(self._chats) if self._chats else ChatId(self._choices.randbytes(16))

    # what it makes

    def _build(self, way: Way, items: list[Any]) -> list[bytes]:
        """Nothing for what cannot be said in this direction."""
        try:
            return [choose_codec(way).build(items)]
        except KeyError:
            return []

    def _beside(self, data: bytes, made: list[bytes]) -> list[bytes]:
        return [data, *made] if self._choices.random() < 0.5 else [*made, data]

    def _with_some_tag(self, message: Any) -> Any:
        match self._choices.randrange(3):
            case 0:
                return message
            case 1 if self._tags:
                return Tagged(message, self._choices.choice(self._tags))
            case _:
                return Tagged(message, self._choices.randbytes(TAG_BYTES))

    def _alter(self, way: Way, item: Tagged) -> Any:
        """Another tag, none, or another value in one field: of the same kind seen elsewhere, or another chat."""
        message = item.message
        match self._choices.randrange(4):
            case 0:
                return message
            case 1:
                return self._with_some_tag(message)
            case _:
                twins = [split_tag(seen)[0] for seen in self._seen.get(way.kind, [])]
                twins = [twin for twin in twins if type(twin) is type(message) and twin != message]
                if twins:
                    name = self._choices.choice([field.name for field in fields(message)])
                    message = replace(message, **{name: getattr(self._choices.choice(twins), name)})
                elif hasattr(message, "chat_id"):
                    message = replace(message, chat_id=ChatId(self._choices.randbytes(16)))
                return Tagged(message, item.tag)

    def _make(self, way: Way) -> Any:
        """Any control message that ends or changes something, where it is believed."""
        choices, chat_id = self._choices, self._chat()
        claim = EpochClaim(1, 1, choices.randbytes(32), 0, 0, 0, 0, choices.randbytes(32))
        up: list[Any] = [m.Delete(chat_id), m.ClosedAck(chat_id, m.CloseReason.DELETED)]
        down: list[Any] = [m.Closed(chat_id, choice) for choice in m.CloseReason]
        down += [m.ErrorNotice(code, ErrorScope.CHAT, chat_id, "made up", 0) for code in ErrorCode]
        down += [m.ErrorNotice(code, ErrorScope.STREAM, None, "made up", 0) for code in ErrorCode]
        down += [m.PathState(chat_id, up=flag) for flag in (True, False)]
        both: list[Any] = [m.Resume(chat_id, (claim,)), m.Confirm(chat_id, 1, choices.randbytes(32), 1, choices.randbytes(32))]
        both += [m.Reject(chat_id, code) for code in (ErrorCode.RATCHET_FAILED, ErrorCode.CHAT_NOT_FOUND)]
        match way.path.rpartition("/")[2], way.to_dialler:
            case "Open", True:
                kinds = [down, both, [s.NodeChange(0), s.AppFound(AppId("a" * 32), online=True, node_id=NodeId("hermes-9"))]]
            case "Open", False:
                kinds = [up, both]
            case "RouteChat", _:
                kinds = [down, both]
            case "Carry", _:
                kinds = [[CarryTo(NodeId("hermes-1")), Carried(choices.randbytes(100), more=False)]]
            case _:
                kinds = [[MembershipUpdate(()), m.ErrorNotice(ErrorCode.AUTH_FAILED, ErrorScope.STREAM, None, "made up", 0)]]
        return choices.choice(choices.choice(kinds))
