"""Who may open or rekey a chat: routes, limits and throttles, all checked before any cryptography."""

from __future__ import annotations

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, derive_app_id
from hermes_core.keystore.chat_record import ChatState
from hermes_core.protocol.messages import Offer
from hermes_core.relay.chat import Chat, Neighbour
from hermes_core.relay.tables import NodeTables
from hermes_core.relay.throttle import TokenBucket


def admit_start(tables: NodeTables, source: Neighbour, offer: Offer, now: float) -> tuple[AppId, Neighbour]:
    """The initiating app and where its offer goes next; raise what the chat is refused with."""
    if tables.draining:
        raise ProtocolError(ErrorCode.DRAINING, "this node is about to leave")
    if offer.chat_id in tables.chats or offer.chat_id in tables.tombstones:
        raise ProtocolError(ErrorCode.CHAT_EXISTS)
    initiator = derive_app_id(offer.initiator_key)
    if source.node_id is None and initiator != source.app_id:
        raise ProtocolError(ErrorCode.AUTH_FAILED, "initiator_key is not the connected app's")
    if initiator == offer.target:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "an app cannot chat with itself")
    target = _find_route(tables, source, offer.target)
    _check_limits(tables, (initiator, offer.target))
    if source.node_id is None:  # another node has throttled its own app
        _charge(tables.throttle_of(initiator, now).handshakes, now, ErrorCode.HANDSHAKE_THROTTLED)
    return initiator, target


def _find_route(tables: NodeTables, source: Neighbour, target: AppId) -> Neighbour:
    session = tables.sessions.get(target)
    if session is not None:
        return session.neighbour
    node_id = tables.directory.get(target)
    if node_id is None or node_id == tables.node_id or source.node_id is not None:
        known = node_id is not None or Neighbour(target, None) in tables.by_neighbour
        raise ProtocolError(ErrorCode.TARGET_OFFLINE if known else ErrorCode.TARGET_NOT_FOUND)
    link = tables.peers.get(node_id)
    if link is None:
        raise ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "no stream to the target's node")
    return link.neighbour


def _check_limits(tables: NodeTables, apps: tuple[AppId, AppId]) -> None:
    params = tables.params
    if len(tables.chats) >= params.max_chats:
        raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "this node has as many chats as it may have")
    for app_id in apps:
        if len(tables.by_neighbour.get(Neighbour(app_id, None), ())) >= params.max_chats_per_app:
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "the app has as many chats as it may have")
        if tables.waiting.get(app_id, 0) >= params.max_handshakes_per_app:
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "too many offers of or to the app wait for an answer")


def key_of(tables: NodeTables, neighbour: Neighbour) -> bytes:
    """The public key a connected neighbour has proven."""
    if neighbour.node_id is not None:
        return tables.peers[neighbour.node_id].public_key
    if neighbour.app_id is None:
        raise ValueError("a neighbour is an app or a node")
    return tables.sessions[neighbour.app_id].public_key


def admit_rekey(tables: NodeTables, source: Neighbour, offer: Offer, now: float) -> tuple[Chat, int]:
    """The chat and the offering side; raise what the rekey is refused with.

    A quarantined chat cannot be resumed, so its offers pass over any open stream.
    """
    chat = tables.chats.get(offer.chat_id)
    index = chat.find_side(source) if chat is not None else None
    if chat is None or index is None:
        raise ProtocolError(ErrorCode.CHAT_NOT_FOUND)
    if chat.state is ChatState.PENDING:
        raise ProtocolError(ErrorCode.CHAT_NOT_READY)
    side, onward = chat.sides[index], chat.sides[1 - index]
    if derive_app_id(offer.initiator_key) != side.app_id or offer.target != onward.app_id:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "the offer names other apps than the chat's")
    if not (onward.ready or (chat.state is ChatState.QUARANTINED and tables.is_connected(onward.neighbour))):
        raise ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "the other side of the chat is away")
    if chat.rekey_bucket is None:
        chat.rekey_bucket = TokenBucket(tables.params.rekey_burst, tables.params.rekey_refill_s, now)
    _charge(chat.rekey_bucket, now, ErrorCode.REKEY_THROTTLED)
    if source.node_id is None:
        _charge(tables.throttle_of(side.app_id, now).rekeys, now, ErrorCode.REKEY_THROTTLED)
    return chat, index


def _charge(bucket: TokenBucket, now: float, code: ErrorCode) -> None:
    wait_ms = bucket.peek(now)
    if wait_ms:
        raise ProtocolError(code, retry_after_ms=wait_ms)
    bucket.take()
