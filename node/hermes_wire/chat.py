"""Messages about one chat, protobuf to core and back; shared by the app and the peer side."""

from __future__ import annotations

from hermes_core.handshake.move import SignedMove
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import AppId, ChatId, Party
from hermes_core.protocol import messages as core
from hermes_core.protocol.validate import parse_close_reason, parse_error_code, parse_error_scope
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.end_proof import EndProof
from hermes_proto.v2 import chat_pb2, errors_pb2


def parse_statement(pb: chat_pb2.KeyStatement) -> KeyStatement:
    return KeyStatement(pb.epoch, pb.order, pb.suites, pb.ephemeral, pb.kem, pb.signature)


def build_statement(m: KeyStatement) -> chat_pb2.KeyStatement:
    return chat_pb2.KeyStatement(
        epoch=m.epoch, order=m.order, suites=m.suites, ephemeral=m.ephemeral, kem=m.kem, signature=m.signature
    )


def parse_offer(pb: chat_pb2.Offer) -> core.Offer:
    return core.Offer(
        ChatId(pb.chat_id), pb.initiator_key, AppId(pb.target_app_id), parse_statement(pb.end_to_end), parse_statement(pb.hop)
    )


def build_offer(m: core.Offer) -> chat_pb2.Offer:
    return chat_pb2.Offer(
        chat_id=m.chat_id,
        initiator_key=m.initiator_key,
        target_app_id=m.target,
        end_to_end=build_statement(m.end_to_end),
        hop=build_statement(m.hop),
    )


def parse_answer(pb: chat_pb2.Answer) -> core.Answer:
    return core.Answer(
        ChatId(pb.chat_id),
        pb.responder_key,
        parse_statement(pb.end_to_end),
        pb.end_to_end_confirm,
        parse_statement(pb.hop),
        pb.hop_confirm,
    )


def build_answer(m: core.Answer) -> chat_pb2.Answer:
    return chat_pb2.Answer(
        chat_id=m.chat_id,
        responder_key=m.responder_key,
        end_to_end=build_statement(m.end_to_end),
        end_to_end_confirm=m.end_to_end_confirm,
        hop=build_statement(m.hop),
        hop_confirm=m.hop_confirm,
    )


def parse_confirm(pb: chat_pb2.ChatConfirm) -> core.Confirm:
    return core.Confirm(ChatId(pb.chat_id), pb.end_to_end_epoch, pb.end_to_end_confirm, pb.hop_epoch, pb.hop_confirm)


def build_confirm(m: core.Confirm) -> chat_pb2.ChatConfirm:
    return chat_pb2.ChatConfirm(
        chat_id=m.chat_id,
        end_to_end_epoch=m.end_to_end_epoch,
        end_to_end_confirm=m.end_to_end_confirm,
        hop_epoch=m.hop_epoch,
        hop_confirm=m.hop_confirm,
    )


def parse_reject(pb: chat_pb2.ChatReject) -> core.Reject:
    return core.Reject(ChatId(pb.chat_id), parse_error_code(pb.code), pb.retry_after_ms)


def build_reject(m: core.Reject) -> chat_pb2.ChatReject:
    return chat_pb2.ChatReject(chat_id=m.chat_id, code=errors_pb2.ErrorCode.ValueType(m.code), retry_after_ms=m.retry_after_ms)


def parse_resume(pb: chat_pb2.Resume) -> core.Resume:
    claims = (
        EpochClaim(c.epoch, c.suite, c.transcript_hash, c.send_next, c.recv_next, c.recv_proven, c.order, c.tag)
        for c in pb.claims
    )
    return core.Resume(ChatId(pb.chat_id), tuple(claims))


def build_resume(m: core.Resume) -> chat_pb2.Resume:
    claims = (
        chat_pb2.ResumeClaim(
            epoch=c.epoch,
            suite=c.suite,
            transcript_hash=c.transcript_hash,
            send_next=c.send_next,
            recv_next=c.recv_next,
            recv_proven=c.recv_proven,
            order=c.order,
            tag=c.tag,
        )
        for c in m.claims
    )
    return chat_pb2.Resume(chat_id=m.chat_id, claims=claims)


def parse_path(pb: chat_pb2.PathState) -> core.PathState:
    return core.PathState(ChatId(pb.chat_id), pb.up)


def build_path(m: core.PathState) -> chat_pb2.PathState:
    return chat_pb2.PathState(chat_id=m.chat_id, up=m.up)


def _parse_proofs(pb: chat_pb2.ChatClosed | chat_pb2.DeleteChat) -> tuple[EndProof, ...]:
    return tuple(EndProof(proof.epoch, proof.tag) for proof in pb.proofs)


def _build_proofs(m: core.Closed | core.Delete) -> list[chat_pb2.EndProof]:
    return [chat_pb2.EndProof(epoch=proof.epoch, tag=proof.tag) for proof in m.proofs]


def parse_closed(pb: chat_pb2.ChatClosed) -> core.Closed:
    return core.Closed(ChatId(pb.chat_id), parse_close_reason(pb.reason), _parse_proofs(pb))


def parse_closed_ack(pb: chat_pb2.ChatClosed) -> core.ClosedAck:
    return core.ClosedAck(ChatId(pb.chat_id), parse_close_reason(pb.reason))


def build_closed(m: core.Closed | core.ClosedAck) -> chat_pb2.ChatClosed:
    proofs = _build_proofs(m) if isinstance(m, core.Closed) else ()
    return chat_pb2.ChatClosed(chat_id=m.chat_id, reason=chat_pb2.CloseReason.ValueType(m.reason), proofs=proofs)


def parse_delete(pb: chat_pb2.DeleteChat) -> core.Delete:
    return core.Delete(ChatId(pb.chat_id), pb.failed, _parse_proofs(pb))


def build_delete(m: core.Delete) -> chat_pb2.DeleteChat:
    return chat_pb2.DeleteChat(chat_id=m.chat_id, failed=m.failed, proofs=_build_proofs(m))


def _parse_move(pb: chat_pb2.Move) -> SignedMove:
    return SignedMove(pb.mover_key, AppId(pb.peer_app_id), Party(pb.home), pb.number, pb.leg_offer_hash, pb.signature)


def _build_move(m: SignedMove) -> chat_pb2.Move:
    return chat_pb2.Move(
        mover_key=m.mover_key,
        peer_app_id=m.peer,
        home=m.home,
        number=m.number,
        leg_offer_hash=m.leg_hash,
        signature=m.signature,
    )


def parse_move_offer(pb: chat_pb2.MoveOffer) -> core.MoveOffer:
    return core.MoveOffer(ChatId(pb.chat_id), _parse_move(pb.move), parse_statement(pb.hop))


def build_move_offer(m: core.MoveOffer) -> chat_pb2.MoveOffer:
    return chat_pb2.MoveOffer(chat_id=m.chat_id, move=_build_move(m.move), hop=build_statement(m.hop))


def parse_move_answer(pb: chat_pb2.MoveAnswer) -> core.MoveAnswer:
    return core.MoveAnswer(ChatId(pb.chat_id), pb.number, parse_statement(pb.hop), pb.hop_confirm)


def build_move_answer(m: core.MoveAnswer) -> chat_pb2.MoveAnswer:
    return chat_pb2.MoveAnswer(chat_id=m.chat_id, number=m.number, hop=build_statement(m.hop), hop_confirm=m.hop_confirm)


def parse_moved(pb: chat_pb2.ChatMoved) -> core.Moved:
    return core.Moved(ChatId(pb.chat_id), _parse_move(pb.move))


def build_moved(m: core.Moved) -> chat_pb2.ChatMoved:
    return chat_pb2.ChatMoved(chat_id=m.chat_id, move=_build_move(m.move))


def parse_move_wanted(pb: chat_pb2.MoveWanted) -> core.MoveWanted:
    return core.MoveWanted(ChatId(pb.chat_id))


def build_move_wanted(m: core.MoveWanted) -> chat_pb2.MoveWanted:
    return chat_pb2.MoveWanted(chat_id=m.chat_id)


def parse_error(pb: errors_pb2.Error) -> core.ErrorNotice:
    return core.ErrorNotice(
        parse_error_code(pb.code),
        parse_error_scope(pb.scope),
        ChatId(pb.chat_id) if pb.chat_id else None,
        pb.detail,
        pb.retry_after_ms,
    )


def build_error(m: core.ErrorNotice) -> errors_pb2.Error:
    return errors_pb2.Error(
        code=errors_pb2.ErrorCode.ValueType(m.code),
        scope=errors_pb2.ErrorScope.ValueType(m.scope),
        chat_id=m.chat_id or b"",
        detail=m.detail,
        retry_after_ms=m.retry_after_ms,
    )
