"""Batches of `AppRouter.Open`: which protobuf field carries which core message, in both directions.

`parse_client_batch` / `build_server_batch` are the node's half, `parse_server_batch` / `build_client_batch` the app's.
Parsing raises INVALID_FRAME for the first frame that breaks a bound; frames before it were fine but are not returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from hermes_core import limits
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.mesh.messages import HomeFound
from hermes_core.protocol import messages, session
from hermes_core.protocol.messages import ChatMessage, Sealed
from hermes_core.protocol.session import SessionMessage
from hermes_core.protocol.validate import validate_message, validate_session_message
from hermes_core.session.control import Tagged
from hermes_proto.v2 import app_router_pb2
from hermes_wire import chat as wire_chat
from hermes_wire import homes as wire_homes
from hermes_wire import session as wire_session
from hermes_wire.tags import split_tag, with_tag

MAX_BATCH_FRAMES: Final = limits.MAX_BATCH_FRAMES
MAX_BATCH_BYTES: Final = limits.MAX_BATCH_BYTES

ClientMessage = ChatMessage | SessionMessage | Tagged
ServerMessage = ChatMessage | SessionMessage | HomeFound | Tagged

_CLIENT_PARSERS: Final[dict[str, Callable[[Any], Any]]] = {
    "connect": wire_session.parse_connect,
    "start_chat": wire_chat.parse_offer,
    "accept_chat": wire_chat.parse_answer,
    "reject_chat": wire_chat.parse_reject,
    "chat_confirm": wire_chat.parse_confirm,
    "rekey": wire_chat.parse_offer,
    "resume_chat": wire_chat.parse_resume,
    "delete_chat": wire_chat.parse_delete,
    "find_app": wire_session.parse_find,
    "heartbeat": wire_session.parse_heartbeat,
    "chat_closed_ack": wire_chat.parse_closed_ack,
    "move_chat": wire_chat.parse_move_offer,
    "chat_moved": wire_chat.parse_moved,
    "seek_home": wire_homes.parse_seek_home,
}
_SERVER_PARSERS: Final[dict[str, Callable[[Any], Any]]] = {
    "challenge": wire_session.parse_challenge,
    "connected": wire_session.parse_connected,
    "chat_offer": wire_chat.parse_offer,
    "chat_accepted": wire_chat.parse_answer,
    "chat_rejected": wire_chat.parse_reject,
    "chat_confirm": wire_chat.parse_confirm,
    "resume_ack": wire_chat.parse_resume,
    "chat_closed": wire_chat.parse_closed,
    "path_state": wire_chat.parse_path,
    "app_found": wire_session.parse_found,
    "node_change": wire_session.parse_node_change,
    "heartbeat": wire_session.parse_heartbeat,
    "error": wire_chat.parse_error,
    "move_accepted": wire_chat.parse_move_answer,
    "chat_moved": wire_chat.parse_moved,
    "move_wanted": wire_chat.parse_move_wanted,
    "newer_home": wire_homes.parse_newer_home,
    "home_found": wire_homes.parse_home_found,
}
_CLIENT_BUILDERS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    session.Connect: ("connect", wire_session.build_connect),
    messages.Answer: ("accept_chat", wire_chat.build_answer),
    messages.Reject: ("reject_chat", wire_chat.build_reject),
    messages.Confirm: ("chat_confirm", wire_chat.build_confirm),
    messages.Resume: ("resume_chat", wire_chat.build_resume),
    messages.Delete: ("delete_chat", wire_chat.build_delete),
    session.FindApp: ("find_app", wire_session.build_find),
    session.Heartbeat: ("heartbeat", wire_session.build_heartbeat),
    messages.ClosedAck: ("chat_closed_ack", wire_chat.build_closed),
    messages.MoveOffer: ("move_chat", wire_chat.build_move_offer),
    messages.Moved: ("chat_moved", wire_chat.build_moved),
    session.SeekHome: ("seek_home", wire_homes.build_seek_home),
}
_SERVER_BUILDERS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    session.Challenge: ("challenge", wire_session.build_challenge),
    session.Connected: ("connected", wire_session.build_connected),
    messages.Offer: ("chat_offer", wire_chat.build_offer),
    messages.Answer: ("chat_accepted", wire_chat.build_answer),
    messages.Reject: ("chat_rejected", wire_chat.build_reject),
    messages.Confirm: ("chat_confirm", wire_chat.build_confirm),
    messages.Resume: ("resume_ack", wire_chat.build_resume),
    messages.Closed: ("chat_closed", wire_chat.build_closed),
    messages.PathState: ("path_state", wire_chat.build_path),
    session.AppFound: ("app_found", wire_session.build_found),
    session.NodeChange: ("node_change", wire_session.build_node_change),
    session.Heartbeat: ("heartbeat", wire_session.build_heartbeat),
    messages.ErrorNotice: ("error", wire_chat.build_error),
    messages.MoveAnswer: ("move_accepted", wire_chat.build_move_answer),
    messages.Moved: ("chat_moved", wire_chat.build_moved),
    messages.MoveWanted: ("move_wanted", wire_chat.build_move_wanted),
    session.NewerHome: ("newer_home", wire_homes.build_newer_home),
    HomeFound: ("home_found", wire_homes.build_home_found),
}
_SESSION_TYPES: Final = (
    session.Challenge,
    session.Connect,
    session.Connected,
    session.NewerHome,
    session.SeekHome,
    session.FindApp,
    session.AppFound,
    session.NodeChange,
    session.Heartbeat,
)


def parse_client_batch(batch: app_router_pb2.ClientBatch) -> list[ClientMessage]:
    """What an app sent; raise INVALID_FRAME. An Offer is a rekey exactly when it came in the `rekey` field."""
    return _parse(batch, _CLIENT_PARSERS)


def parse_server_batch(batch: app_router_pb2.ServerBatch) -> list[ServerMessage]:
    """What a node sent; raise INVALID_FRAME."""
    return _parse(batch, _SERVER_PARSERS)


def build_server_batch(items: Iterable[ServerMessage]) -> app_router_pb2.ServerBatch:
    batch = app_router_pb2.ServerBatch()
    add = batch.frames.add
    for item in items:
        if isinstance(item, Sealed):
            add(sealed=item.frame)
        else:
            message, tag = split_tag(item)
            field, build = _SERVER_BUILDERS[type(message)]
            add(**{field: build(message)}, tag=tag)
    return batch


def build_client_batch(items: Iterable[ClientMessage]) -> app_router_pb2.ClientBatch:
    batch = app_router_pb2.ClientBatch()
    add = batch.frames.add
    for item in items:
        if isinstance(item, Sealed):
            add(sealed=item.frame)
            continue
        message, tag = split_tag(item)
        if isinstance(message, messages.Offer):
            field = "start_chat" if message.end_to_end.epoch == 1 else "rekey"
            add(**{field: wire_chat.build_offer(message)}, tag=tag)
        else:
            field, build = _CLIENT_BUILDERS[type(message)]
            add(**{field: build(message)}, tag=tag)
    return batch


def _parse(batch: Any, parsers: dict[str, Callable[[Any], Any]]) -> list[Any]:
    if len(batch.frames) > MAX_BATCH_FRAMES:
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"a batch holds at most {MAX_BATCH_FRAMES} frames")
    found: list[Any] = []
    for frame in batch.frames:
        field = frame.WhichOneof("body")
        if field == "sealed":
            message: ChatMessage | SessionMessage | HomeFound = Sealed(frame.sealed)
        elif field is None:
            # Also what a frame kind of a later version looks like: refused, it could change the meaning of the rest.
            raise ProtocolError(ErrorCode.INVALID_FRAME, "empty or unknown frame")
        else:
            message = parsers[field](getattr(frame, field))
        if isinstance(message, messages.Offer):
            check_offer_field(message, field)
        if isinstance(message, _SESSION_TYPES):
            validate_session_message(message)
        elif not isinstance(message, HomeFound):
            validate_message(message)
        found.append(with_tag(message, frame.tag))
    return found


def check_offer_field(offer: messages.Offer, field: str) -> None:
    """StartChat opens epoch 1, Rekey a later one; the wrong field is refused rather than reinterpreted."""
    if (field == "start_chat" and offer.end_to_end.epoch != 1) or (field == "rekey" and offer.end_to_end.epoch == 1):
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"{field} with end-to-end epoch {offer.end_to_end.epoch}")
