"""First handshakes and rekeys as the node relays them: offer, answer, confirmation, rejection; crossing offers.

The end-to-end statements pass through unchanged; each hop has a handshake of its own. The node answers the offering side's
hop as soon as the offer came, keeps that answer until the other app's came back, and confirms the onward hop as soon as it has
checked its answer, so that no hop's epoch depends on the far end.
"""

from __future__ import annotations

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import ChatId, derive_app_id
from hermes_core.keystore.chat_record import ChatState
from hermes_core.protocol.messages import Answer, CloseReason, Confirm, Offer, Reject
from hermes_core.relay import admission, closing, paths
from hermes_core.relay.chat import Chat, Handshake, Neighbour, Side
from hermes_core.relay.events import ChannelRekeyed, ChatOpened, HandshakeFailed
from hermes_core.relay.tables import NodeTables


def apply_offer(tables: NodeTables, source: Neighbour, offer: Offer, now: float) -> None:
    """A first offer starts a chat, any other rekeys one. Refusals go back to the offering side alone."""
    try:
        if offer.end_to_end.epoch == 1:
            _start_chat(tables, source, offer, now)
        else:
            _rekey_chat(tables, source, offer, now)
    except ProtocolError as error:
        rekey = offer.end_to_end.epoch > 1
        tables.report(HandshakeFailed(offer.chat_id, error.code, rekey=rekey, offered_here=source.node_id is None))
        if not _close_beyond_cure(tables, source, offer.chat_id, error.code, now):
            _refuse_offer(tables, source, offer, error)


def _close_beyond_cure(tables: NodeTables, source: Neighbour, chat_id: ChatId, code: ErrorCode, now: float) -> bool:
    """A quarantined chat whose epochs differ by more than a rekey bridges: the store was rolled back past an epoch. It ends."""
    chat = tables.chats.get(chat_id)
    if chat is None or chat.state is not ChatState.QUARANTINED or chat.find_side(source) is None:
        return False
    if code is not ErrorCode.KEY_VERSION_MISMATCH:
        return False
    closing.close_chat(tables, chat, CloseReason.RATCHET_FAILED, now)
    return True


def _refuse_offer(tables: NodeTables, source: Neighbour, offer: Offer, error: ProtocolError) -> None:
    """An app learns why, and when to try again; a refused rekey, and any refusal to another node, is a rejection."""
    first = offer.end_to_end.epoch == 1
    if not first and error.code is ErrorCode.CHAT_NOT_FOUND:
        closing.refuse_unknown(tables, source, offer.chat_id)
    elif source.node_id is None and (first or error.retry_after_ms):
        tables.refuse_frame(source, offer.chat_id, error)
    else:
        tables.send(source, Reject(offer.chat_id, error.code))


def _start_chat(tables: NodeTables, source: Neighbour, offer: Offer, now: float) -> None:
    initiator, target = admission.admit_start(tables, source, offer, now)
    source_key = admission.key_of(tables, source)
    target_key = admission.key_of(tables, target)
    incoming = tables.build_channel(offer.chat_id, source, source_key)
    hop_answer, hop_confirm = incoming.answer_offer(offer.hop, now)
    onward = tables.build_channel(offer.chat_id, target, target_key)
    sides = (Side(source, initiator, incoming), Side(target, offer.target, onward))
    chat = Chat(offer.chat_id, sides, (offer.initiator_key, target_key if target.node_id is None else b""), now)
    chat.handshake = Handshake(0, end_to_end_epoch=1, started_at=now, hop_answer=hop_answer, hop_confirm=hop_confirm)
    tables.add_chat(chat)
    tables.count_waiting(chat, 1)
    tables.chat_timers.schedule(chat.chat_id, now + tables.params.handshake_timeout_s)
    tables.send(target, Offer(offer.chat_id, offer.initiator_key, offer.target, offer.end_to_end, onward.start_offer()))


def _rekey_chat(tables: NodeTables, source: Neighbour, offer: Offer, now: float) -> None:
    chat, index = admission.admit_rekey(tables, source, offer, now)
    if chat.handshake is not None and chat.handshake.offerer != index and not _wins_crossing(chat, index):
        return  # the other app's offer stands; this one's sender adopts it
    incoming, onward = chat.sides[index], chat.sides[1 - index]
    hop_answer, hop_confirm = incoming.channel.answer_offer(offer.hop, now)
    abandon_handshake(tables, chat, replaced_by=index)
    epoch = offer.end_to_end.epoch
    chat.handshake = Handshake(index, end_to_end_epoch=epoch, started_at=now, hop_answer=hop_answer, hop_confirm=hop_confirm)
    tables.touch(chat)
    tables.chat_timers.schedule(chat.chat_id, now + tables.params.handshake_timeout_s)
    statement = onward.channel.start_offer()
    confirm_hop(tables, chat, onward)
    tables.send_to_side(onward, Offer(offer.chat_id, offer.initiator_key, offer.target, offer.end_to_end, statement))


def _wins_crossing(chat: Chat, index: int) -> bool:
    """Of two offers that cross, the one of the app with the lower id stands, everywhere."""
    return chat.sides[index].app_id < chat.sides[1 - index].app_id


def abandon_handshake(tables: NodeTables, chat: Chat, *, replaced_by: int | None = None) -> None:
    """Forget an offer that waits for its answer, and our own answer to its hop, which never left.

    `replaced_by` is the side whose newer offer was answered already.
    """
    handshake = chat.handshake
    if handshake is None:
        return
    chat.sides[1 - handshake.offerer].channel.abandon_offer()
    if replaced_by != handshake.offerer:
        chat.sides[handshake.offerer].channel.drop_pending()
        tables.touch(chat)
    tables.end_handshake(chat)


def apply_answer(tables: NodeTables, source: Neighbour, answer: Answer, now: float) -> None:
    """Check the hop's answer and confirm it at once; pass the end-to-end answer on with our own for the offering side."""
    chat = tables.chats.get(answer.chat_id)
    index = chat.find_side(source) if chat is not None else None
    if chat is None or index is None:
        tables.refuse(source, answer.chat_id, ProtocolError(ErrorCode.CHAT_NOT_FOUND))
        return
    handshake = chat.handshake
    if handshake is None or handshake.offerer == index or answer.end_to_end.epoch != handshake.end_to_end_epoch:
        tables.refuse_frame(source, chat.chat_id, ProtocolError(ErrorCode.CHAT_NOT_READY, "no offer waits for this answer"))
        return
    side, offering = chat.sides[index], chat.sides[handshake.offerer]
    if derive_app_id(answer.responder_key) != side.app_id:
        tables.refuse_frame(source, chat.chat_id, ProtocolError(ErrorCode.INVALID_KEY, "responder_key is another app's"))
        return
    try:
        side.channel.complete(answer.hop, answer.hop_confirm, now)
    except ProtocolError as error:
        _refuse_answer(tables, chat, source, error, now)
        return
    if not chat.app_keys[index]:
        keys = list(chat.app_keys)
        keys[index] = answer.responder_key
        chat.app_keys = (keys[0], keys[1])
    chat.stored = True
    chat.last_active_at = now
    if not handshake.first:
        chat.end_to_end_epoch = max(chat.end_to_end_epoch, handshake.end_to_end_epoch)
    tables.end_handshake(chat)
    tables.mark_changed(chat)
    side.remote_up = True  # the answer has just come that way
    offering.told_up = True  # and says so to whoever made the offer
    enter_epoch(tables, chat, side, now)
    confirm_hop(tables, chat, side)
    tables.send_to_side(
        offering,
        Answer(
            chat.chat_id,
            answer.responder_key,
            answer.end_to_end,
            answer.end_to_end_confirm,
            handshake.hop_answer,
            handshake.hop_confirm,
        ),
    )
    paths.refresh_paths(tables, chat)


def _refuse_answer(tables: NodeTables, chat: Chat, source: Neighbour, error: ProtocolError, now: float) -> None:
    """An answer that is not authentic changes nothing; one that is, but leads to other keys, ends the attempt."""
    tables.refuse_frame(source, chat.chat_id, error)
    if error.code is ErrorCode.KEY_MISMATCH:
        fail_handshake(tables, chat, error.code, now)


def confirm_hop(tables: NodeTables, chat: Chat, side: Side) -> None:
    """Send our confirmation of a hop's epoch, unless its receiver has shown that it has it."""
    unconfirmed = side.channel.confirm_tag()
    if unconfirmed is not None:
        tables.send_to_side(side, Confirm(chat.chat_id, 0, b"", *unconfirmed))


def enter_epoch(tables: NodeTables, chat: Chat, side: Side, now: float) -> None:
    """A side uses a new epoch, made in this session: whatever was wrong with the old one is over."""
    side.ready = tables.is_connected(side.neighbour)
    side.channel.abandon_offer()  # an offer for an epoch that has come otherwise
    side.quarantined = False
    side.resume_sent_at = None
    if side.channel.epoch > 1:
        tables.report(ChannelRekeyed(chat.chat_id, side.neighbour.kind, side.channel.epoch))
    settle(tables, chat, now)


def settle(tables: NodeTables, chat: Chat, now: float) -> None:
    """Both sides confirmed: the chat is open (again)."""
    if any(side.channel.epoch == 0 or side.quarantined for side in chat.sides):
        return
    if chat.state is not ChatState.ACTIVE:
        if chat.state is ChatState.PENDING:
            tables.report(ChatOpened(chat.chat_id, chat.scope, now - chat.created_at, chat.sides[0].is_leg))
            chat.end_to_end_epoch = max(chat.end_to_end_epoch, 1)
        chat.state = ChatState.ACTIVE
        tables.mark_changed(chat)
    epochs = (chat.sides[0].channel.epoch, chat.sides[1].channel.epoch)
    if epochs[0] > chat.counted_epochs[0] and epochs[1] > chat.counted_epochs[1]:  # every key of the chat is new
        chat.counted_epochs = epochs
        chat.messages_in_epoch = 0
        chat.rekey_deadline = None
        tables.mark_changed(chat)
    tables.chat_timers.schedule(chat.chat_id, now)


def apply_confirm(tables: NodeTables, source: Neighbour, confirm: Confirm, now: float) -> None:
    """Check the hop's half, pass the end-to-end half on. Idempotent: an app repeats it until it knows that it arrived."""
    chat = tables.chats.get(confirm.chat_id)
    index = chat.find_side(source) if chat is not None else None
    if chat is None or index is None:
        tables.refuse(source, confirm.chat_id, ProtocolError(ErrorCode.CHAT_NOT_FOUND))
        return
    side, onward = chat.sides[index], chat.sides[1 - index]
    if confirm.hop_epoch:
        before = side.channel.epoch
        try:
            side.channel.check_confirm(confirm.hop_epoch, confirm.hop_confirm, now)
        except ProtocolError as error:
            tables.refuse_frame(source, chat.chat_id, error)
            return
        if side.channel.epoch != before:
            chat.last_active_at = now
            tables.touch(chat)
            enter_epoch(tables, chat, side, now)
    if confirm.end_to_end_epoch and (onward.ready or chat.state is ChatState.QUARANTINED):
        # Without it the apps' epochs differ, and the rekey that would cure a quarantined hop could not be made.
        hop_epoch, hop_tag = onward.channel.confirm_tag() or (0, b"")
        side.remote_up = True  # it came from the app that way
        onward.told_up = onward.ready
        tables.send_to_side(
            onward, Confirm(chat.chat_id, confirm.end_to_end_epoch, confirm.end_to_end_confirm, hop_epoch, hop_tag)
        )
    paths.refresh_paths(tables, chat)


def apply_reject(tables: NodeTables, source: Neighbour, reject: Reject, now: float) -> None:
    """The other app, or a node on the way, refuses an offer."""
    chat = tables.chats.get(reject.chat_id)
    index = chat.find_side(source) if chat is not None else None
    if chat is None or index is None:
        tables.refuse(source, reject.chat_id, ProtocolError(ErrorCode.CHAT_NOT_FOUND))
    elif (
        chat.handshake is not None
        and chat.handshake.offerer != index
        and not _close_beyond_cure(tables, source, reject.chat_id, reject.code, now)
    ):
        fail_handshake(tables, chat, reject.code, now, informed=index)


def fail_handshake(tables: NodeTables, chat: Chat, code: ErrorCode, now: float, *, informed: int | None = None) -> None:
    """End an offer that waits for its answer: the offering side gets a rejection; a chat that never was is gone.

    `informed` is the side that knows already.
    """
    handshake = chat.handshake
    if handshake is None:
        return
    offerer = handshake.offerer
    offered_here = chat.sides[offerer].is_leg
    tables.report(HandshakeFailed(chat.chat_id, code, rekey=not handshake.first, offered_here=offered_here))
    if informed != offerer:
        tables.send_to_side(chat.sides[offerer], Reject(chat.chat_id, code))
    if handshake.first:
        closing.close_chat(
            tables,
            chat,
            CloseReason.ROUTE_UNAVAILABLE,
            now,
            silent={offerer} if informed is None else {offerer, informed},
        )
    else:
        abandon_handshake(tables, chat)
