"""Marks between nodes: who witnesses this node's opening, and what it remembers of others; the shell of both machines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol, assert_never

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.handshake.renewal import list_former_keys
from hermes_core.ids import NodeId
from hermes_core.keystore.lineage import MarkVerdict
from hermes_core.keystore.mark import Mark, encode_mark, parse_mark
from hermes_core.keystore.tables import Table
from hermes_core.mesh.mark_keeper import MarkKeeper
from hermes_core.mesh.messages import HeldMark, OwnMark
from hermes_core.mesh.opening_check import SEND_EVERY_S, OpeningCheck, OpeningState
from hermes_keystore.history import Place
from hermes_node.keystore.witnesses import WITNESSES_KEY, encode_witnesses
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.links import GossipLink


class Openings(Protocol):
    """What a node does with its own marks.

    `current_mark` is asked for after `let_marks_out`. `count_news` rises with every commit but those that keep marks: two nodes
    would witness each other's keeping for ever.
    """

    async def let_marks_out(self) -> None: ...
    def current_mark(self) -> Mark: ...
    def count_news(self) -> int: ...
    async def take_mark(self, mark: Mark) -> MarkVerdict: ...
    def let_chats_resume(self) -> None: ...


class Witnessing:
    """Feeds both machines, hands out what they want sent, and has kept what they want kept."""

    def __init__(
        self,
        *,
        check: OpeningCheck,
        keeper: MarkKeeper,
        own: Openings,
        keep: Callable[[Mapping[Place, bytes], Collection[Place]], None],
        now: Callable[[], float],
        log: EventLog,
    ) -> None:
        """`keep` commits rows and deletions, soon, in the order of the calls."""
        self._check = check
        self._keeper = keeper
        self._own = own
        self._keep = keep
        self._now = now
        self._log = log
        self._links: dict[NodeId, GossipLink] = {}
        self._look_at = now()

    @property
    def state(self) -> OpeningState:
        return self._check.state

    @property
    def wanted(self) -> Collection[NodeId]:
        """Who is to be linked with: the witnesses of now, and of before as long as chats wait for what they say."""
        return self._check.wanted

    # what the mesh tells

    def linked(self, link: GossipLink) -> None:
        """First of all the other node hears what is held of it."""
        self._links[link.node_id] = link
        keys = (*list_former_keys(link.descriptor.renewals), link.descriptor.node_key)
        held = next((held for held in map(self._keeper.find, reversed(keys)) if held is not None), None)
        link.send(HeldMark(b"" if held is None else encode_mark(held)))

    def unlinked(self, link: GossipLink) -> None:
        if self._links.get(link.node_id) is link:
            del self._links[link.node_id]
            self._check.link_down(link.node_id)

    def update_members(self, alive: Collection[NodeId]) -> None:
        self._check.update_members(alive, self._now())
        self._flush()

    def take_list(self, node_id: NodeId) -> None:
        """What this member knows of others was taken in."""
        self._check.take_list(node_id)
        self._flush()

    def find_nobody(self) -> None:
        """The mesh has no other member by design."""
        self._check.find_nobody()
        self._flush()

    def take_operator_answer(self) -> None:
        """The operator handed back what it holds, and that was judged."""
        self._check.take_operator_answer()
        self._flush()

    async def receive(self, link: GossipLink, message: HeldMark | OwnMark) -> None:
        """ProtocolError ends the stream: what the other node sent is no mark, or not its own."""
        match message:
            case HeldMark(data):
                if data:
                    await self._own.take_mark(_parse(data))
                await self._own.let_marks_out()  # before any is sent to who answered
                if self._links.get(link.node_id) is link:
                    self._check.take_answer(link.node_id, self._now())
            case OwnMark(data):
                mark = _parse(data)
                if mark.node_key != link.descriptor.node_key:
                    raise ProtocolError(ErrorCode.AUTH_FAILED, "a mark of another node", scope=ErrorScope.STREAM)
                self._keeper.take(mark, self._now())
            case _:
                assert_never(message)
        self._flush()

    # time

    def next_due(self) -> float:
        """When `tick` has something to do at the latest: commits are looked for once a second."""
        times = (self._look_at, self._check.next_timer(), self._keeper.next_timer())
        return min(time for time in times if time is not None)

    def tick(self) -> None:
        now = self._now()
        self._look_at = now + SEND_EVERY_S
        self._check.note_counter(self._own.count_news(), now)
        self._check.handle_timer(now)
        save_at = self._keeper.next_timer()
        self._flush(save=save_at is not None and save_at <= now)

    def _save(self, names: tuple[NodeId, ...] | None) -> None:
        """In one commit: marks of others, and the names of our witnesses when they are others."""
        changed = self._keeper.take_unsaved()
        puts = {(Table.MARK, key): encode_mark(mark) for key, mark in changed.items() if mark is not None}
        if names is not None:
            puts[Table.META, WITNESSES_KEY] = encode_witnesses(names)
        self._keep(puts, [(Table.MARK, key) for key, mark in changed.items() if mark is None])

    def _flush(self, *, save: bool = False) -> None:
        """`save`: marks that came have waited for a commit long enough."""
        output = self._check.take_output()
        if save or output.remember is not None:
            self._save(output.remember)
        if output.send_to:
            own = OwnMark(encode_mark(self._own.current_mark()))
            for node_id in output.send_to:
                self._links[node_id].send(own)
        if output.became is not None:
            self._tell(output.became)

    def _tell(self, state: OpeningState) -> None:
        self._own.let_chats_resume()
        if state is OpeningState.UNVERIFIED:
            self._log.warning("opening_unverified", witnesses=", ".join(self._check.witnesses))
        else:
            self._log.info("opening_verified" if state is OpeningState.VERIFIED else "opening_alone")


def _parse(data: bytes) -> Mark:
    """Whatever is wrong with it, its sender is: the stream ends."""
    try:
        return parse_mark(data)
    except ProtocolError as error:
        raise ProtocolError(error.code, error.detail, scope=ErrorScope.STREAM) from None
