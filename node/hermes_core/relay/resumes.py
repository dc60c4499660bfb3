"""When chats are resumed on new streams: our claims wait for their turn, others' until our store is known to be the latest."""

from __future__ import annotations

from collections.abc import Callable

from hermes_core.ids import ChatId
from hermes_core.protocol.messages import Resume
from hermes_core.relay.chat import Chat
from hermes_core.relay.claim_queue import ClaimQueue
from hermes_core.relay.context import ChatContext
from hermes_core.relay.live_chats import LiveChats
from hermes_core.relay.neighbour import Link, Neighbour
from hermes_core.relay.resume_gate import ResumeGate


class Resumes:
    """The owner of both queues."""

    def __init__(self, context: ChatContext, chats: LiveChats) -> None:
        self._context = context
        self._chats = chats
        self._claims = ClaimQueue(context.params.resume_batch)
        self._gate = ResumeGate()

    def begin(self, link: Link, now: float) -> None:
        """A node is back: the first of our claims leave at once."""
        self._queue(link, now)
        self.send_due(now)

    def _queue(self, link: Link, now: float) -> None:
        """Both ends of a node's stream claim; an app's stream is the app's to claim on."""
        if link.neighbour.node_id is not None and not self._gate.is_shut:
            self._claims.add(link, (row.chat_id for row in self._context.index.rows_of(link.neighbour)), now)

    def lose(self, neighbour: Neighbour) -> None:
        """Its stream is gone."""
        self._claims.drop(neighbour)
        self._gate.drop(neighbour)

    def hold(self) -> None:
        """No chat is resumed until `release`."""
        self._gate.shut()

    def release(self, receive: Callable[[Neighbour, Resume, float], None], now: float) -> None:
        """What was held is received now, and our own claims leave."""
        was_shut, held = self._gate.is_shut, self._gate.open()
        if not was_shut:
            return
        for link in self._context.links.values():
            self._queue(link, now)
        for source, resume in held:
            receive(source, resume, now)  # which claims first where ours wait for their turn
        self.send_due(now)

    def admit(self, source: Neighbour, resume: Resume, now: float) -> bool:
        """Whether a neighbour's claims of its chat are taken up now; if not, they are held."""
        if self._gate.is_shut:
            self._gate.hold(source, resume)
            return False
        if self._claims.take(source, resume.chat_id):
            self._claim(source, resume.chat_id, now)  # its claims crossed ours, which still waited for their turn
        return True

    def next_due(self) -> float | None:
        return self._claims.next_due()

    def send_due(self, now: float) -> None:
        """Our claims whose turn it is."""
        for neighbour, chat_id in self._claims.take_due(now):
            self._claim(neighbour, chat_id, now)

    def _claim(self, neighbour: Neighbour, chat_id: ChatId, now: float) -> None:
        row, index = self._chats.find_hop(neighbour, chat_id)
        if row is not None and index is not None:
            self._chats.change(row, now, Chat.claim, index, self._context.links[neighbour], now)
