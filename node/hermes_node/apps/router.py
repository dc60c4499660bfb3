"""AppRouter.Open: bytes of an app's stream to messages for the chat driver and back, until either side ends it."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from google.protobuf.message import DecodeError

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.relay.strangers import Origin
from hermes_node.logs.event_log import EventLog
from hermes_node.streams.origin import find_origin
from hermes_node.streams.outbox import StreamStuckError
from hermes_node.streams.sink import Sink
from hermes_node.streams.transport import ServedStream, StreamHandler, reset_stream
from hermes_proto.v2.app_router_pb2 import ClientBatch
from hermes_wire.app import MAX_BATCH_BYTES, ClientMessage, ServerMessage, build_server_batch, parse_client_batch
from hermes_wire.byte_stream import ByteStream, StreamEndedError

SERVICE: Final = "hermes.v2.AppRouter"


class AppStreams(Protocol):
    """What the router needs of the chat driver, which knows who is on a stream and when it ends."""

    def open_app(self, origin: Origin) -> Sink: ...
    def receive(self, sink: Sink, messages: list[Any]) -> None: ...
    def malformed(self, sink: Sink, error: ProtocolError) -> None: ...
    def close(self, sink: Sink) -> None: ...


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
    """Serves `hermes.v2.AppRouter`; one coroutine writes and one task reads for each stream, none for a frame."""

    def __init__(self, *, streams: AppStreams, log: EventLog) -> None:
        self._streams = streams
        self._log = log

    def handlers(self) -> dict[str, StreamHandler]:
        return {"Open": self.open}

    async def open(self, stream: ServedStream) -> None:
        """One stream, from challenge to end."""
        sink = self._streams.open_app(find_origin(stream.peer_address()))
        sink.watch_proof(stream.trust)
        reader = asyncio.create_task(self._read(sink, stream))
        try:
            await sink.outbox.drain(lambda batch: stream.write(encode_server_batch(sink.tag(batch))))
        except StreamEndedError:
            pass
        except StreamStuckError:
            reset_stream()
        finally:
            reader.cancel()
            sink.outbox.close()
            self._streams.close(sink)

    async def _read(self, sink: Sink, stream: ByteStream) -> None:
        try:
            while (raw := await stream.read()) is not None:
                try:
                    self._streams.receive(sink, decode_client_batch(raw))
                except ProtocolError as error:
                    self._streams.malformed(sink, error)
                await sink.pending.wait_for_room()
        except StreamEndedError:
            pass
        except Exception as error:  # noqa: BLE001 - a defect must end this stream only, and be told
            self._log.error("unexpected_error", where="app stream", exception=type(error).__name__)
        finally:
            sink.outbox.close()
