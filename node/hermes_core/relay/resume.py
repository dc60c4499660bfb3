"""Taking chats up again on a new stream: claims both ways, what they lead to, and quarantine after a rollback."""

from __future__ import annotations

from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import node_party
from hermes_core.keystore.chat_record import ChatState
from hermes_core.protocol.messages import CloseReason, ErrorNotice, PathState, Resume
from hermes_core.relay import closing, handshakes, lifetime, paths
from hermes_core.relay.chat import Chat, Neighbour, Side
from hermes_core.relay.events import ChatQuarantined, ResumeRefused, SideResumed
from hermes_core.relay.tables import NodeTables, PeerLink

_CURE: Final = "the chat must be rekeyed or deleted"


def announce_chats(tables: NodeTables, neighbour: Neighbour) -> None:
    """An app is back: name the chats it has here, all down until it resumes them. One it no longer knows it deletes."""
    for chat in tables.chats_of(neighbour):
        tables.send(neighbour, PathState(chat.chat_id, up=False))


def queue_resumes(tables: NodeTables, link: PeerLink, now: float) -> None:
    """A node is back: every shared chat gets our claims, some now, the rest in later turns."""
    for chat in tables.chats_of(link.neighbour):
        if _side_of(chat, link.neighbour).channel.peer == node_party(link.node_id, link.public_key):
            link.resume_queue[chat.chat_id] = None
        else:  # the node came back as another one: its keys of this chat are gone
            closing.close_chat(tables, chat, CloseReason.RATCHET_FAILED, now, silent={_index_of(chat, link.neighbour)})
    send_queued_resumes(tables, link, now)


def send_queued_resumes(tables: NodeTables, link: PeerLink, now: float) -> None:
    for chat_id in list(link.resume_queue)[: tables.params.resume_batch]:
        _send_claims(tables, tables.chats[chat_id], link, now)


def _send_claims(tables: NodeTables, chat: Chat, link: PeerLink, now: float) -> None:
    link.resume_queue.pop(chat.chat_id, None)
    side = _side_of(chat, link.neighbour)
    if side.ready:
        return
    side.resume_sent_at = now
    tables.chat_timers.schedule(chat.chat_id, now + tables.params.resume_retry_s)
    tables.send(link.neighbour, Resume(chat.chat_id, side.channel.claims(link.binding)))


def repeat_resume(tables: NodeTables, chat: Chat, now: float) -> None:
    """Send claims again that a peer has not answered."""
    for side in chat.sides:
        if side.resume_sent_at is None or now < side.resume_sent_at + tables.params.resume_retry_s:
            continue
        link = tables.peers.get(side.node_id) if side.node_id is not None else None
        side.resume_sent_at = None
        if link is not None and chat.state is not ChatState.QUARANTINED:
            _send_claims(tables, chat, link, now)


def apply_resume(tables: NodeTables, source: Neighbour, message: Resume, now: float) -> None:
    """A neighbour's claims: take up the common epoch, or say why not. A side that is ready is left alone."""
    chat = tables.chats.get(message.chat_id)
    index = chat.find_side(source) if chat is not None else None
    if chat is None or index is None:
        tables.report(ResumeRefused(message.chat_id, source.kind, ErrorCode.CHAT_NOT_FOUND))
        closing.refuse_unknown(tables, source, message.chat_id)
        return
    side = chat.sides[index]
    binding = tables.binding_of(source)
    if binding is None:
        return
    link = tables.peers.get(source.node_id) if source.node_id is not None else None
    if link is not None and chat.chat_id in link.resume_queue:
        _send_claims(tables, chat, link, now)
    if side.ready:
        side.told_up = False  # it asks again: our answer was lost, and what we said of the path with it
    elif not _resume_side(tables, chat, index, message, binding, now):
        return
    if link is None:
        tables.send(source, Resume(chat.chat_id, side.channel.claims(binding)))
    paths.refresh_paths(tables, chat)
    lifetime.check_key_lifetime(tables, chat, now)


def _resume_side(tables: NodeTables, chat: Chat, index: int, message: Resume, binding: bytes, now: float) -> bool:
    """True when the side is ready now."""
    side = chat.sides[index]
    before = side.channel.epoch
    stood_at = side.channel.send_next + side.channel.recv_next
    try:
        side.channel.resume(message.claims, binding, now)
    except ProtocolError as error:
        _refuse_resume(tables, chat, index, error, now)
        return False
    tables.touch(chat)
    if chat.state is ChatState.QUARANTINED:
        # Positions that were used before the rollback may never have arrived: only new keys on every channel are safe. A rekey
        # that was interrupted half-way has renewed one side alone, so every app here is asked for another one.
        tables.report(ResumeRefused(chat.chat_id, side.neighbour.kind, ErrorCode.ROLLBACK_DETECTED))
        tables.refuse(side.neighbour, chat.chat_id, ProtocolError(ErrorCode.ROLLBACK_DETECTED, _CURE))
        _tell_apps(tables, chat, informed=index)
        return False
    side.ready = True
    side.resume_sent_at = None
    same_epoch = side.channel.epoch == before
    skipped = side.channel.send_next + side.channel.recv_next - stood_at if same_epoch else 0
    tables.report(SideResumed(chat.chat_id, side.neighbour.kind, skipped))
    if not same_epoch:
        handshakes.enter_epoch(tables, chat, side, now)
    tables.chat_timers.schedule(chat.chat_id, now)
    return True


def _refuse_resume(tables: NodeTables, chat: Chat, index: int, error: ProtocolError, now: float) -> None:
    side = chat.sides[index]
    tables.report(ResumeRefused(chat.chat_id, side.neighbour.kind, error.code))
    if error.code is ErrorCode.ROLLBACK_DETECTED:
        quarantine(tables, chat, now, informed=index)
        if chat.chat_id in tables.chats:
            tables.refuse(side.neighbour, chat.chat_id, error)
    elif error.code is ErrorCode.RATCHET_DESYNC:
        closing.close_chat(tables, chat, CloseReason.RATCHET_FAILED, now)
    else:
        tables.refuse_frame(side.neighbour, chat.chat_id, error)


def quarantine(tables: NodeTables, chat: Chat, now: float, *, informed: int | None = None) -> None:
    """A store was rolled back: nothing flows in this chat until every channel has new keys, or it is deleted.

    The apps at home here hear of it, so that one of them rekeys; the `informed` side is told by the caller.
    """
    if chat.state is ChatState.QUARANTINED:
        return
    if chat.state is ChatState.PENDING:  # it has no epoch a rekey could start from
        closing.close_chat(tables, chat, CloseReason.RATCHET_FAILED, now)
        return
    chat.state = ChatState.QUARANTINED
    handshakes.abandon_handshake(tables, chat)
    tables.mark_changed(chat)
    tables.report(ChatQuarantined(chat.chat_id))
    paths.refresh_paths(tables, chat)
    for side in chat.sides:
        side.quarantined = True
        side.ready = False
        side.resume_sent_at = None
    _tell_apps(tables, chat, informed=informed)


def _tell_apps(tables: NodeTables, chat: Chat, *, informed: int | None) -> None:
    for index, side in enumerate(chat.sides):
        if side.is_leg and index != informed:
            tables.refuse(side.neighbour, chat.chat_id, ProtocolError(ErrorCode.ROLLBACK_DETECTED, _CURE))


def apply_error(tables: NodeTables, source: Neighbour, notice: ErrorNotice, now: float) -> None:
    """What another node refused. Only the loss of the chat over there has a consequence: it ends here as well."""
    chat = tables.chats.get(notice.chat_id) if notice.chat_id is not None else None
    index = chat.find_side(source) if chat is not None else None
    if chat is None or index is None:
        return
    if notice.code in {ErrorCode.CHAT_NOT_FOUND, ErrorCode.CHAT_EXPIRED}:
        lost = CloseReason.ROUTE_UNAVAILABLE if chat.state is ChatState.PENDING else CloseReason.RATCHET_FAILED
        closing.close_chat(tables, chat, lost, now, silent={index})
    elif notice.code is ErrorCode.ROLLBACK_DETECTED:
        chat.sides[index].resume_sent_at = None  # it waits for new keys; asking again is of no use


def _index_of(chat: Chat, neighbour: Neighbour) -> int:
    return 0 if chat.sides[0].neighbour == neighbour else 1


def _side_of(chat: Chat, neighbour: Neighbour) -> Side:
    return chat.sides[_index_of(chat, neighbour)]
