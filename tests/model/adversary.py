"""What a hostile network does to messages under way: drop, duplicate, reorder, hold back, replay, splice, forge."""

from __future__ import annotations

import dataclasses
import random
from collections import deque
from typing import Any

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import (
    Answer,
    ChatMessage,
    Closed,
    CloseReason,
    Confirm,
    Delete,
    ErrorNotice,
    MoveAnswer,
    Moved,
    MoveOffer,
    Offer,
    PathState,
    Reject,
    Sealed,
)
from hermes_core.protocol.validate import validate_message
from hermes_core.session.control import TAG_BYTES, Tagged
from tests.model.streams import EndOfStream, OnItsWay, Stream, bare

Queue = deque[OnItsWay]
MAX_RECORDED = 400
MAX_HELD = 6
HANDSHAKE = (Offer, Answer, Confirm, MoveOffer, MoveAnswer, Moved)


class Adversary:
    """Sees every message; `forging` adds control messages it made up, under any tag where there are tags."""

    def __init__(self, rng: random.Random, *, forging: bool) -> None:
        self._rng = rng
        self._forging = forging
        self._seen: list[ChatMessage | Tagged] = []
        self._chats: list[ChatId] = []
        self._held: dict[tuple[str, str], list[ChatMessage | Tagged]] = {}
        self.acted = False

    def watch(self, message: ChatMessage | Tagged) -> None:
        if len(self._seen) < MAX_RECORDED:
            self._seen.append(message)
        else:
            self._seen[self._rng.randrange(MAX_RECORDED)] = message

    def recall_move(self) -> Moved | MoveOffer | None:
        """A move that was on its way once, as a member of the mesh may say it again; or with a field changed."""
        signed = [message for message in map(bare, self._seen) if isinstance(message, Moved | MoveOffer)]
        if not signed:
            return None
        recalled = self._rng.choice(signed)
        told = Moved(recalled.chat_id, recalled.move)
        said = self._rng.choice((recalled, told, dataclasses.replace(told, move=self._alter(recalled.move))))
        try:
            validate_message(said)
        except ProtocolError:
            return None
        return said

    def watch_chat(self, chat_id: ChatId) -> None:
        self._chats.append(chat_id)
        del self._chats[:-8]

    def act(self, stream: Stream, end: str) -> None:
        """One interference with what is on its way to one end of a stream."""
        self.acted = True
        rng, queue = self._rng, stream.inbox[end]
        choice = rng.randrange(9)
        body = len(queue) - (1 if queue and isinstance(queue[-1], EndOfStream) else 0)
        at = rng.randrange(body) if body else 0
        if choice == 0 and body:
            del queue[at]
        elif choice == 1 and body:
            queue.insert(rng.randint(at, body), queue[at])
        elif choice == 2 and body > 1:
            other = rng.randrange(body)
            queue[at], queue[other] = queue[other], queue[at]
        elif choice == 3 and self._seen:
            queue.insert(rng.randint(0, body), rng.choice(self._seen))
        elif choice == 4 and self._seen:
            self._insert(queue, body, self._splice(rng.choice(self._seen)))
        elif choice == 5 and self._forging and self._chats:
            self._insert(queue, body, self._tag(self._forge(rng.choice(self._chats))))
        elif choice == 6 and body:
            self.hold_back(stream, end, at)
        elif choice >= 7:
            self.release(stream, end, rng.randint(0, body))

    def hold_back(self, stream: Stream, end: str, at: int) -> None:
        """Take a message out, for any later step and any later stream between the two."""
        message, held = stream.inbox[end][at], self._held.setdefault((stream.peer_of(end), end), [])
        if not isinstance(message, EndOfStream):
            self.acted = True
            held.append(message)
            del stream.inbox[end][at], held[:-MAX_HELD]

    def release(self, stream: Stream, end: str, at: int) -> None:
        """Deliver one of those that were held back on this way, whichever it is."""
        held = self._held.get((stream.peer_of(end), end))
        if held:
            self.acted = True
            stream.inbox[end].insert(at, held.pop(self._rng.randrange(len(held))))

    def _insert(self, queue: Queue, body: int, message: ChatMessage | Tagged) -> None:
        try:
            validate_message(bare(message))  # as the wire layer does; what it refuses never reaches a machine
        except ProtocolError:
            return
        queue.insert(self._rng.randint(0, body), message)

    def _tag(self, message: ChatMessage) -> ChatMessage | Tagged:
        """Under a tag of another message, or a made-up one, where messages have tags."""
        tags = [seen.tag for seen in self._seen if isinstance(seen, Tagged)]
        return Tagged(message, self._rng.choice([*tags, self._rng.randbytes(TAG_BYTES)])) if tags else message

    def _splice(self, message: ChatMessage | Tagged) -> ChatMessage | Tagged:
        """A message with one field of another one, or with a flipped bit; under its tag or another one's."""
        rng = self._rng
        if isinstance(message, Tagged):
            spliced = self._alter(message.message)
            return Tagged(spliced, message.tag) if rng.random() < 0.5 else self._tag(spliced)
        if isinstance(message, Sealed):
            frame = bytearray(message.frame)
            if rng.random() < 0.5 and self._chats:
                frame[2:18] = rng.choice(self._chats)
            else:
                frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
            return Sealed(bytes(frame))
        altered: ChatMessage = self._alter(message)
        return altered

    def _alter(self, value: Any) -> Any:
        """A copy of a message or a part of it with one field changed, sometimes deep inside."""
        rng = self._rng
        field = rng.choice(dataclasses.fields(value))
        old = getattr(value, field.name)
        new: Any = old
        if field.name == "chat_id" and self._chats:
            new = rng.choice(self._chats)
        elif dataclasses.is_dataclass(old):
            new = self._alter(old)
        elif isinstance(old, tuple) and old:
            parts = list(old)
            at = rng.randrange(len(parts))
            parts[at] = self._alter(parts[at])
            new = tuple(parts)
        elif isinstance(old, bytes) and old:
            changed = bytearray(old)
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
            new = bytes(changed)
        elif isinstance(old, bool):
            new = not old
        elif type(old) is int:
            new = max(0, old + rng.choice((-1, 1, 7, 300)))
        else:
            twins = [bare(seen) for seen in self._seen if type(bare(seen)) is type(value)]
            if twins:
                new = getattr(rng.choice(twins), field.name)
        return dataclasses.replace(value, **{field.name: new})

    def _forge(self, chat_id: ChatId) -> ChatMessage:
        rng = self._rng
        match rng.randrange(8):
            case 0:
                return Delete(chat_id)
            case 1:
                return Closed(chat_id, rng.choice(list(CloseReason)))
            case 2 | 3:
                return Reject(chat_id, rng.choice(list(ErrorCode)))
            case 4:
                return ErrorNotice(rng.choice(list(ErrorCode)), rng.choice(list(ErrorScope)), chat_id, "forged", 0)
            case _:
                return PathState(chat_id, rng.random() < 0.7)
