"""AppRouter.Open: challenge, connect, then batches both ways until either side ends the stream."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Final, Protocol

import grpc
from google.protobuf.message import DecodeError

from hermes_core.crypto.session_binding import derive_session_binding
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import AppId, NodeId
from hermes_core.protocol.connect import verify_connect
from hermes_core.protocol.messages import ChatMessage, ErrorNotice
from hermes_core.protocol.session import CHALLENGE_BYTES, AppFound, Challenge, Connect, Connected, FindApp, Heartbeat
from hermes_core.protocol.validate import MAX_SEALED_BYTES
from hermes_node.apps.session import AppSession
from hermes_node.apps.sessions import SessionTable
from hermes_node.config.sections import Config
from hermes_node.logs.event_log import EventLog
from hermes_node.metrics.labels import SessionResult, ThrottleScope
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.streams.bounds import StreamAdmission
from hermes_node.streams.byte_stream import ByteStream, StreamEndedError, reset_stream, stream_handler
from hermes_node.streams.outbox import LAST_WORDS_S, Outbox, StreamStuckError
from hermes_proto.v1.app_router_pb2 import ClientBatch
from hermes_wire.app import MAX_BATCH_BYTES, ClientMessage, ServerMessage, build_server_batch, parse_client_batch

SERVICE: Final = "hermes.v1.AppRouter"


class ChatInbox(Protocol):
    """What the router needs of the chat driver."""

    def app_connected(self, session: AppSession, app_key: bytes, binding: bytes) -> None: ...
    def app_disconnected(self, session: AppSession) -> None: ...
    def receive_app(self, session: AppSession, messages: list[ChatMessage]) -> None: ...
    async def wait_for_room(self) -> None: ...


def decode_client_batch(raw: bytes) -> list[ClientMessage]:
    """What an app sent; raise INVALID_FRAME for anything that is not a valid batch."""
    if len(raw) > MAX_BATCH_BYTES:
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"a batch holds at most {MAX_BATCH_BYTES} bytes")
    try:
        batch = ClientBatch.FromString(raw)
    except DecodeError:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "not a ClientBatch") from None
    return parse_client_batch(batch)


def encode_server_batch(messages: list[ServerMessage]) -> bytes:
    return build_server_batch(messages).SerializeToString()


class AppRouter:
    """Serves `hermes.v1.AppRouter`; one coroutine writes and one task reads for each stream, none for a frame."""

    def __init__(
        self,
        *,
        config: Config,
        node_id: NodeId,
        node_key: bytes,
        sessions: SessionTable,
        chats: ChatInbox,
        locate: Callable[[AppId], NodeId | None],
        now: Callable[[], float],
        log: EventLog,
        metrics: NodeMetrics,
    ) -> None:
        self._config = config
        self._node_id = node_id
        self._node_key = node_key
        self._sessions = sessions
        self._chats = chats
        self._locate = locate
        self._now = now
        self._log = log
        self._metrics = metrics
        self._admission = StreamAdmission(config.limits.max_unauthenticated_streams)
        self.draining = False

    def handler(self) -> grpc.GenericRpcHandler:
        """Raw bytes in and out: a malformed message is answered, not turned into a gRPC failure."""
        return stream_handler(SERVICE, {"Open": self.open})

    async def open(self, _requests: Any, context: Any) -> None:
        """One stream, from challenge to end."""
        stream = ByteStream(context)
        try:
            session = await self._admit(stream)
        except ProtocolError as error:
            self._count_refusal(error)
            await self._say_last(stream, error)
            return
        except StreamEndedError:
            return
        if session is not None:
            await self._serve(session, stream)

    def _count_refusal(self, error: ProtocolError) -> None:
        self._log.info("app_refused", code=error.code.name, reason=error.detail)
        self._metrics.sessions.count(SessionResult.REFUSED)
        self._metrics.chats.count_error(error.code)
        if error.code is ErrorCode.LIMIT_EXCEEDED:
            self._metrics.chats.count_throttled(ThrottleScope.STREAM)

    async def _admit(self, stream: ByteStream) -> AppSession | None:
        """The session of a stream that answered its challenge; None when the app went away."""
        self._admission.enter()
        try:
            async with asyncio.timeout(self._config.limits.connect_timeout_s):
                return await self._connect(stream)
        except TimeoutError:
            raise ProtocolError(ErrorCode.AUTH_FAILED, "no Connect in time", scope=ErrorScope.STREAM) from None
        finally:
            self._admission.leave()

    async def _connect(self, stream: ByteStream) -> AppSession | None:
        if self.draining:
            raise ProtocolError(ErrorCode.DRAINING, "this node is leaving", scope=ErrorScope.STREAM, retry_after_ms=1000)
        challenge = Challenge(self._node_id, self._node_key, secrets.token_bytes(CHALLENGE_BYTES))
        await stream.write(encode_server_batch([challenge]))
        raw = await stream.read()
        if raw is None:
            return None
        messages = decode_client_batch(raw)
        connect = messages[0] if messages else None
        if not isinstance(connect, Connect):
            raise ProtocolError(ErrorCode.INVALID_FRAME, "the first frame must be Connect", scope=ErrorScope.STREAM)
        app_id = verify_connect(challenge, connect)
        now = self._now()
        limits = self._config.limits
        outbox: Outbox[ServerMessage] = Outbox(max_frames=limits.session_queue_frames, max_bytes=limits.session_queue_bytes)
        session = AppSession(app_id, outbox, now)
        replaced = self._sessions.add(session)
        if replaced is not None:
            self._log.info("app_replaced", app=app_id)
            self._metrics.sessions.count(SessionResult.REPLACED)
            self._chats.app_disconnected(replaced)
        session.send(self._connected(app_id))
        self._chats.app_connected(session, connect.app_key, derive_session_binding(challenge.challenge, connect.nonce))
        self._log.info("app_connected", app=app_id)
        self._metrics.sessions.count(SessionResult.ACCEPTED)
        self._receive(session, messages[1:])
        return session

    def _connected(self, app_id: AppId) -> Connected:
        interval_ms = int(self._config.app.heartbeat_interval_s * 1000)
        return Connected(app_id, interval_ms, MAX_SEALED_BYTES, self._config.crypto.window)

    async def _serve(self, session: AppSession, stream: ByteStream) -> None:
        """Write what is ready as one batch, until the outbox is closed and empty."""

        async def write(batch: list[ServerMessage]) -> None:
            await stream.write(encode_server_batch(batch))
            session.sent_at = self._now()

        reader = asyncio.create_task(self._read(session, stream))
        try:
            await session.outbox.drain(write)
        except StreamEndedError:
            pass
        except StreamStuckError:
            reset_stream()
        finally:
            reader.cancel()
            session.outbox.close()
            if self._sessions.remove(session):
                self._chats.app_disconnected(session)
            if session.too_slow:
                self._metrics.sessions.count(SessionResult.TOO_SLOW)
            self._log.info("app_too_slow" if session.too_slow else "app_disconnected", app=session.app_id)

    async def _read(self, session: AppSession, stream: ByteStream) -> None:
        invalid = 0
        try:
            while (raw := await stream.read()) is not None:
                session.heard_at = self._now()
                try:
                    self._receive(session, decode_client_batch(raw))
                except ProtocolError as error:
                    invalid += 1
                    self._metrics.chats.count_error(error.code)
                    self._log.warning("app_invalid_batch", app=session.app_id, code=error.code.name, reason=error.detail)
                    if invalid > self._config.limits.max_invalid_batches:
                        session.end(error.code, "too many malformed batches")
                        return
                    session.send(ErrorNotice(error.code, ErrorScope.FRAME, None, error.detail, 0))
                await session.pending.wait_for_room()
                await self._chats.wait_for_room()
        except StreamEndedError:
            pass
        except Exception as error:  # noqa: BLE001 - a defect must end this stream only, and be told
            self._log.error("unexpected_error", where="app stream", exception=type(error).__name__)
        finally:
            session.outbox.close()

    def _receive(self, session: AppSession, messages: list[ClientMessage]) -> None:
        """Answer what concerns the session; hand what concerns chats to the driver, in order."""
        chat_messages: list[ChatMessage] = []
        for message in messages:
            if isinstance(message, Heartbeat):
                if not message.reply:
                    session.send(Heartbeat(message.sequence, reply=True))
            elif isinstance(message, FindApp):
                session.send(self._find(message.app_id))
            elif isinstance(message, Connect):
                raise ProtocolError(ErrorCode.INVALID_FRAME, "this stream is connected already")
            else:
                chat_messages.append(message)  # type: ignore[arg-type] # the codec lets no other session message through
        if chat_messages:
            self._chats.receive_app(session, chat_messages)

    def _find(self, app_id: AppId) -> AppFound:
        if app_id in self._sessions:
            return AppFound(app_id, online=True, node_id=self._node_id)
        node_id = self._locate(app_id)
        return AppFound(app_id, online=node_id is not None, node_id=node_id)

    async def _say_last(self, stream: ByteStream, error: ProtocolError) -> None:
        notice = ErrorNotice(error.code, ErrorScope.STREAM, None, error.detail, error.retry_after_ms)
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await stream.write(encode_server_batch([notice]))
        except (StreamEndedError, TimeoutError):
            pass
