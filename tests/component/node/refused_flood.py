"""Hostile apps in a process of their own: each sends batches of one frame that can only be refused, as fast as they are taken.

`python -m tests.component.node.refused_flood ADDRESS CA_FILE KIND APPS`
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

import grpc.aio

from hermes_core.endpoint.events import ChatReady, MessageReceived
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import Sealed
from hermes_wire.app import ServerMessage, build_client_batch
from tests.support.raw_app import RawApp

FRAMES_A_BATCH = 200
CHAT_AT = 2
"""Where a frame names its chat."""
KINDS = ("forged", "used", "of no chat")


def forge(app: RawApp, chat: ChatId, kind: str) -> bytes:
    """A frame of its leg that nobody sealed: of the next position, or of the one before."""
    epoch = app.chats.chats[chat].leg.epochs.require_current()
    position = epoch.send.next - (kind != "forged")
    frame = bytearray(epoch.send_prefix + position.to_bytes(8, "big") + bytes(60))
    if kind == "of no chat":
        frame[CHAT_AT] ^= 1
    return bytes(frame)


class Flooder(RawApp):
    """`muted`: what is said to it is read, and not parsed."""

    muted = False

    async def _read_batch(self) -> list[ServerMessage]:
        if not self.muted:
            return await super()._read_batch()
        with suppress(grpc.aio.AioRpcError):
            while await self._call.read() is not grpc.aio.EOF:
                pass
        return []


async def flood(address: str, ca_file: Path, kind: str) -> None:
    """A stream that ends for it is followed by the next one."""
    app, other = Flooder(address, ca_file), RawApp(address, ca_file)
    await app.connect()
    await other.connect()
    chat = await app.start_chat(other)
    await app.wait_event(ChatReady)
    await app.say(chat, b"hello")
    await other.wait_event(MessageReceived)
    batch = build_client_batch([Sealed(forge(app, chat, kind))] * FRAMES_A_BATCH).SerializeToString()
    app.muted = True
    while True:
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while not app.ended.is_set():
                await app.write_raw(batch)
        await app.reconnect()


async def main(address: str, ca_file: str, kind: str, apps: str) -> None:
    await asyncio.gather(*(flood(address, Path(ca_file), kind) for _ in range(int(apps))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
