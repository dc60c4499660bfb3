"""An app's handshakes: starting, answering, confirming a chat, and rekeying it; both channels move together."""

from __future__ import annotations

from hermes_core.crypto.random import generate_bytes
from hermes_core.endpoint.chat import AppChat, Phase, RekeyWish
from hermes_core.endpoint.events import ChatFailed, ChatOffered, ChatReady, ChatRekeyed, PathChanged
from hermes_core.endpoint.frames import plan_retransmit, repeat_confirm, transmit_all
from hermes_core.endpoint.tables import AppTables, HomeStream
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import CHAT_ID_BYTES, AppId, ChatId, derive_app_id, parse_app_id
from hermes_core.protocol.messages import Answer, CloseReason, Confirm, Delete, Offer, Reject


def start_chat(tables: AppTables, target: AppId, now: float) -> AppChat:
    """Offer a chat; raise ROUTE_UNAVAILABLE without a stream, LIMIT_EXCEEDED, INVALID_FRAME for a bad target."""
    stream = tables.stream
    if parse_app_id(target) == tables.app_id:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "an app cannot chat with itself")
    if stream is None:
        raise ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "not connected to a node")
    if len(tables.chats) >= tables.params.max_chats:
        raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "this app has as many chats as it may have")
    chat = _build_chat(tables, ChatId(generate_bytes(CHAT_ID_BYTES, tables.random)), target, stream, Phase.STARTING, now)
    tables.chats[chat.chat_id] = chat
    _send_offer(tables, chat, now)
    return chat


def _build_chat(tables: AppTables, chat_id: ChatId, peer: AppId, stream: HomeStream, phase: Phase, now: float) -> AppChat:
    return AppChat(
        chat_id,
        peer,
        stream.node_id,
        end_to_end=tables.build_end_to_end(chat_id, peer),
        leg=tables.build_leg(chat_id, stream),
        phase=phase,
        now=now,
    )


def _send_offer(tables: AppTables, chat: AppChat, now: float) -> None:
    chat.offered_at = now
    tables.timers.schedule(chat.chat_id, now + tables.params.handshake_timeout_s)
    statements = (chat.end_to_end.start_offer(), chat.leg.start_offer())
    tables.send(Offer(chat.chat_id, tables.identity.public_key, chat.peer, *statements))


def _cancel_offer(chat: AppChat) -> None:
    chat.offered_at = None
    chat.end_to_end.abandon_offer()
    chat.leg.abandon_offer()


# being offered a chat or a rekey


def receive_offer(tables: AppTables, offer: Offer, now: float) -> None:
    chat = tables.find_chat(offer.chat_id)
    try:
        if chat is None:
            _take_first_offer(tables, offer, now)
        else:
            _take_rekey(tables, chat, offer, now)
    except ProtocolError as error:
        tables.refuse(offer.chat_id, error)
        tables.send(Reject(offer.chat_id, error.code))


def _take_first_offer(tables: AppTables, offer: Offer, now: float) -> None:
    """Check and answer at once; the answer is kept until the app decides."""
    stream = tables.stream
    if stream is None:
        return
    if offer.end_to_end.epoch != 1:
        tables.send(Delete(offer.chat_id))  # a chat this app no longer has
        return
    if offer.chat_id in tables.chats or offer.chat_id in tables.ended:
        raise ProtocolError(ErrorCode.CHAT_EXISTS)
    if offer.target != tables.app_id:
        raise ProtocolError(ErrorCode.TARGET_NOT_FOUND)
    if len(tables.chats) >= tables.params.max_chats:
        raise ProtocolError(ErrorCode.LIMIT_EXCEEDED)
    chat = _build_chat(tables, offer.chat_id, derive_app_id(offer.initiator_key), stream, Phase.OFFERED, now)
    chat.answer = _answer_both(tables, chat, offer, now)
    tables.chats[chat.chat_id] = chat
    tables.report(ChatOffered(chat.chat_id, chat.peer))


def _answer_both(tables: AppTables, chat: AppChat, offer: Offer, now: float) -> Answer:
    """The end-to-end offer is checked first: no node can make this app move without the other app."""
    end_to_end = chat.end_to_end.answer_offer(offer.end_to_end, now, peer_public_key=offer.initiator_key)
    try:
        hop = chat.leg.answer_offer(offer.hop, now)
    except ProtocolError:
        chat.end_to_end.drop_pending()  # the answer never leaves
        raise
    return Answer(chat.chat_id, tables.identity.public_key, *end_to_end, *hop)


def _take_rekey(tables: AppTables, chat: AppChat, offer: Offer, now: float) -> None:
    if chat.phase is not Phase.ACTIVE:
        raise ProtocolError(ErrorCode.CHAT_NOT_READY)
    if derive_app_id(offer.initiator_key) != chat.peer or offer.target != tables.app_id:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "the offer names other apps than the chat's")
    if chat.offered_at is not None and tables.app_id < chat.peer:
        return  # the two offers cross; ours stands
    repeat_confirm(tables, chat)
    if offer.end_to_end.epoch <= chat.end_to_end.epoch:
        # The peer lacks our confirmation, which is on its way again. Another code than that of a hop whose epochs differ.
        raise ProtocolError(ErrorCode.CHAT_NOT_READY, "this end-to-end epoch is complete already")
    answer = _answer_both(tables, chat, offer, now)
    chat.offered_at = None
    tables.send(answer)


# deciding


def accept_chat(tables: AppTables, chat: AppChat, now: float) -> None:
    """Send the answer that was kept."""
    if chat.phase is not Phase.OFFERED or chat.answer is None:
        raise ProtocolError(ErrorCode.CHAT_NOT_READY, "this chat does not wait for a decision")
    tables.send(chat.answer)
    chat.answer = None
    chat.phase = Phase.ACCEPTED
    chat.started_at = now
    tables.timers.schedule(chat.chat_id, now + tables.params.ready_timeout_s)


def reject_chat(tables: AppTables, chat: AppChat, code: ErrorCode) -> None:
    if chat.phase is not Phase.OFFERED:
        raise ProtocolError(ErrorCode.CHAT_NOT_READY, "this chat does not wait for a decision")
    tables.send(Reject(chat.chat_id, code))
    tables.end_chat(chat, CloseReason.DELETED)


# answers and confirmations


def receive_answer(tables: AppTables, answer: Answer, now: float) -> None:
    """Complete both channels and confirm both."""
    chat = tables.find_chat(answer.chat_id)
    if chat is None or chat.offered_at is None:
        tables.refuse(answer.chat_id, ProtocolError(ErrorCode.CHAT_NOT_READY))
        return
    try:
        if derive_app_id(answer.responder_key) != chat.peer:
            raise ProtocolError(ErrorCode.INVALID_KEY, "responder_key is another app's")  # noqa: TRY301
        hop_tag = chat.leg.complete(answer.hop, answer.hop_confirm, now)
    except ProtocolError as error:
        tables.refuse(chat.chat_id, error)
        return
    _leg_renewed(tables, chat)
    try:
        tag = chat.end_to_end.complete(answer.end_to_end, answer.end_to_end_confirm, now, peer_public_key=answer.responder_key)
    except ProtocolError as error:
        tables.send(Confirm(chat.chat_id, 0, b"", chat.leg.epoch, hop_tag))
        tables.refuse(chat.chat_id, error)
        _give_up_offer(tables, chat, error.code, now)
        return
    chat.offered_at = None
    tables.send(Confirm(chat.chat_id, chat.end_to_end.epoch, tag, chat.leg.epoch, hop_tag))
    _enter_epoch(tables, chat, now)


def _give_up_offer(tables: AppTables, chat: AppChat, code: ErrorCode, now: float) -> None:
    if chat.phase is Phase.STARTING:
        tables.report(ChatFailed(chat.chat_id, code, "the other app's answer cannot be used"))
        tables.give_up(chat, CloseReason.RATCHET_FAILED)
    else:
        fail_rekey(tables, chat, code, "the other app's answer cannot be used", now)


def receive_confirm(tables: AppTables, confirm: Confirm, now: float) -> None:
    """The initiator's tags; either half may come alone, and again."""
    chat = tables.find_chat(confirm.chat_id)
    if chat is None:
        tables.refuse(confirm.chat_id, ProtocolError(ErrorCode.CHAT_NOT_FOUND))
        return
    try:
        if confirm.hop_epoch:
            _check_hop(tables, chat, confirm, now)
        if confirm.end_to_end_epoch:
            _check_end_to_end(tables, chat, confirm, now)
    except ProtocolError as error:
        tables.refuse(chat.chat_id, error)


def _check_hop(tables: AppTables, chat: AppChat, confirm: Confirm, now: float) -> None:
    before = chat.leg.epoch
    chat.leg.check_confirm(confirm.hop_epoch, confirm.hop_confirm, now)
    if chat.leg.epoch != before:
        _leg_renewed(tables, chat)
        if chat.offered_at is not None:
            _retry_offer(tables, chat, now)


def _check_end_to_end(tables: AppTables, chat: AppChat, confirm: Confirm, now: float) -> None:
    before = chat.end_to_end.epoch
    chat.end_to_end.check_confirm(confirm.end_to_end_epoch, confirm.end_to_end_confirm, now)
    if chat.end_to_end.epoch != before:
        if chat.offered_at is not None:
            _cancel_offer(chat)
        _enter_epoch(tables, chat, now)
    tables.acks_due[chat.chat_id] = None  # shows the peer that its confirmation arrived


def _leg_renewed(tables: AppTables, chat: AppChat) -> None:
    """The leg has keys made on this stream: it needs no resume any more."""
    chat.leg_ready = tables.is_home(chat)
    chat.quarantined = False
    chat.resume_sent_at = None


def _enter_epoch(tables: AppTables, chat: AppChat, now: float) -> None:
    """The end-to-end channel uses a new epoch; it came all the way, so the path is up if our own leg is."""
    chat.rekey_wish = RekeyWish.NOBODY
    chat.rekey_retry_at = None
    chat.rekey_wait_s = 0.0
    first = chat.phase is not Phase.ACTIVE
    chat.phase = Phase.ACTIVE
    was_up, chat.path_up = chat.path_up, chat.leg_ready
    if first:
        tables.report(ChatReady(chat.chat_id))
    else:
        tables.report(ChatRekeyed(chat.chat_id, chat.end_to_end.epoch))
        if was_up != chat.path_up:
            tables.report(PathChanged(chat.chat_id, up=chat.path_up))
    chat.outgoing.forget_frames()
    if chat.quarantined:  # the end-to-end channel moved, the leg did not: the rollback is not cured yet
        wish_rekey(tables, chat, RekeyWish.NODE, now)
    elif chat.outgoing:
        transmit_all(tables, chat, now)
    plan_retransmit(tables, chat, now)


# rekeys


def wish_rekey(tables: AppTables, chat: AppChat, wish: RekeyWish, now: float) -> None:
    """Rekey as soon as the path allows; a rekey under way is as good."""
    chat.rekey_wish = max(chat.rekey_wish, wish)
    try_rekey(tables, chat, now)


def try_rekey(tables: AppTables, chat: AppChat, now: float) -> None:
    """Offer a rekey that is wished for, when it can get through."""
    if chat.rekey_wish is RekeyWish.NOBODY or chat.phase is not Phase.ACTIVE or chat.offered_at is not None:
        return
    if not (chat.can_send or (chat.quarantined and tables.is_home(chat))):
        return
    chat.rekey_retry_at = None
    repeat_confirm(tables, chat)  # a peer that lacks it would expect another epoch
    _send_offer(tables, chat, now)


def _retry_offer(tables: AppTables, chat: AppChat, now: float) -> None:
    """An offer that came to nothing without a refusal; try again after a pause that grows."""
    _cancel_offer(chat)
    chat.rekey_wait_s = min(max(2 * chat.rekey_wait_s, tables.params.rekey_retry_s), tables.params.retransmit_max_s)
    chat.rekey_retry_at = now + chat.rekey_wait_s
    tables.timers.schedule(chat.chat_id, chat.rekey_retry_at)


def interrupt_rekey(chat: AppChat) -> None:
    """The stream is gone, and with it our offer; the wish stays until the path is up again."""
    if chat.offered_at is not None:
        _cancel_offer(chat)


def fail_rekey(tables: AppTables, chat: AppChat, code: ErrorCode, detail: str, now: float, *, retry_after_ms: int = 0) -> None:
    """Our rekey was refused or not answered. The app hears of it; what the node asked for is tried again."""
    if chat.offered_at is None:
        return
    if code is ErrorCode.ROUTE_UNAVAILABLE or chat.rekey_wish is RekeyWish.NODE:
        _retry_offer(tables, chat, now)
        if chat.rekey_retry_at is not None:
            chat.rekey_retry_at = max(chat.rekey_retry_at, now + retry_after_ms / 1000)
        return
    _cancel_offer(chat)
    chat.rekey_wish = RekeyWish.NOBODY
    tables.report(ChatFailed(chat.chat_id, code, detail))


def receive_reject(tables: AppTables, reject: Reject, now: float) -> None:
    chat = tables.find_chat(reject.chat_id)
    if chat is None:
        return
    if chat.phase is Phase.STARTING:
        tables.fail_start(chat, reject.code, "the chat was refused")
    else:
        fail_rekey(tables, chat, reject.code, "the rekey was refused", now)
