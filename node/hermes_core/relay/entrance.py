"""How a stranger's stream becomes an app's session: a place, the challenge, its answer, the keys that a true one gives."""

from __future__ import annotations

from typing import NamedTuple

from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, NodeId
from hermes_core.protocol.session import CHALLENGE_BYTES, AppClaim, Challenge, Connect, Connected, SeekHome
from hermes_core.protocol.validate import MAX_SEALED_BYTES
from hermes_core.relay.effects import Effects
from hermes_core.relay.members import Members
from hermes_core.relay.neighbour import StreamId
from hermes_core.relay.output import StreamMessage
from hermes_core.relay.own_marks import OwnMarks
from hermes_core.relay.params import SessionParams
from hermes_core.relay.session import Question, Session
from hermes_core.relay.strangers import Origin, Strangers
from hermes_core.session.connect import accept_connect, build_claim, verify_connect
from hermes_core.session.control import Tagged
from hermes_core.session.ephemerals import SharedEphemerals
from hermes_core.session.keys import SessionKeys
from hermes_core.session.suites import OFFERED


class ProvenApp(NamedTuple):
    """Of an app on its stream: `connect` is a true answer to `question`."""

    app_id: AppId
    question: Question
    connect: Connect


class Entrance:
    """The owner of strangers' places, and of the keys with which their answers are taken."""

    def __init__(
        self,
        effects: Effects,
        members: Members,
        *,
        identity: Identity,
        node_id: NodeId,
        params: SessionParams,
        marks: OwnMarks,
        random: RandomSource,
        renewals: bytes,
    ) -> None:
        self._effects = effects
        self._members = members
        self._identity = identity
        self._node_id = node_id
        self._params = params
        self._marks = marks
        self._random = random
        self._renewals = renewals
        self._ephemerals = SharedEphemerals(random)
        self._strangers = Strangers(params.max_unauthenticated_streams)

    def admit(self, stream: StreamId, origin: Origin, now: float) -> StreamId | None:
        """As `Strangers.admit`: the stream that gives its place up. LIMIT_EXCEEDED when there is none."""
        return self._strangers.admit(stream, origin, now)

    def challenge(self, session: Session, now: float) -> None:
        """Ask whoever is there."""
        ephemeral, nonce = self._ephemerals.take(now), generate_bytes(CHALLENGE_BYTES, self._random)
        key, renewals = self._identity.public_key, self._renewals
        challenge = Challenge(self._node_id, key, nonce, ephemeral.public, OFFERED, renewals)
        session.ask(Question(challenge, ephemeral))
        self._effects.tell(session.stream, challenge)

    def check_answer(self, session: Session, message: StreamMessage | Tagged, now: float) -> ProvenApp | None:
        """Who proved to be there; None: they asked for their home first, or wait until the mark that they showed is judged.

        The first message must answer our challenge; for whatever else it is ProtocolError, which ends the stream.
        """
        question = session.question
        if isinstance(message, SeekHome) and question is not None and session.held is None and session.seek():
            self._effects.tell(session.stream, self._members.find(message.home))
            return None
        if not isinstance(message, Connect) or question is None or session.held is not None:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "the first frame must be Connect")
        app_id = verify_connect(question.challenge, message)
        self._strangers.prove(session.stream, now)
        if message.mark and self._marks.proves_rollback(message.mark):
            session.hold(message)
            self._effects.hand_in(message.mark)
            return None
        return ProvenApp(app_id, question, message)

    def accept(self, session: Session, proof: ProvenApp) -> tuple[Connected, SessionKeys, AppClaim]:
        """What the app is answered, the session's keys, what others are shown of it. ProtocolError, and nothing changes."""
        interval_ms, marks = int(self._params.heartbeat_interval_s * 1000), self._marks
        settings = Connected(proof.app_id, interval_ms, MAX_SEALED_BYTES, self._params.window_frames, mark=marks.current())
        question, connect = proof.question, proof.connect
        connected, keys = accept_connect(self._identity, question.challenge, question.ephemeral, connect, settings)
        self._forget_question(session)
        return connected, keys, build_claim(question.challenge, connect)

    def _forget_question(self, session: Session) -> None:
        """It was answered, or never will be."""
        question = session.take_question()
        if question is not None:
            self._ephemerals.give_back(question.ephemeral)

    def leave(self, session: Session) -> None:
        """The stream ended, or is about to. Idempotent."""
        self._forget_question(session)
        self._strangers.leave(session.stream)
