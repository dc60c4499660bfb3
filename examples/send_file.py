"""Sends a file to receive_file.py, with progress. Kill it, start it again with the same words: it goes on where it was.

python send_file.py ADDRESSES CA_FILE STORE APP_ID FILE        (the passphrase of the store: HERMES_EXAMPLE_PASSPHRASE)

Message 1 says name, size and hash of the file; message n + 1 is its n-th piece. So the number of the last message that was
sent, which the store keeps, says where to go on, and nothing else has to be remembered.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path

from hermes_client import AppStore, Chat, ClientTls, HermesClient
from hermes_core.errors import HermesError
from hermes_core.ids import AppId

PIECE_BYTES = 60 * 1024  # a message has at most 64 KiB


def describe(path: Path) -> bytes:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return json.dumps({"name": path.name, "bytes": path.stat().st_size, "sha256": digest}).encode()


async def find_chat(client: HermesClient, friend: AppId) -> Chat:
    """The one of a former start, if there is one: the file is on its way in it."""
    for chat in client.chats.values():
        if chat.peer == friend:
            return chat
    await client.wait_for_app(friend, timeout_s=60.0)
    return await client.start_chat(friend)


async def send(chat: Chat, path: Path, head: bytes) -> None:
    """`chat.send` waits while the other app has 256 messages or 4 MiB to take: that is all of backpressure."""
    if chat.last_sent == 0:
        await chat.send(head)
    size, shown = path.stat().st_size, -1
    with path.open("rb") as file:
        file.seek((chat.last_sent - 1) * PIECE_BYTES)
        while piece := file.read(PIECE_BYTES):
            await chat.send(piece)
            percent = file.tell() * 100 // size
            if percent // 5 != shown:
                shown = percent // 5
                print(f"sent {percent} %, {chat.unacknowledged} messages to be taken", flush=True)
    await chat.drain()


async def main(addresses: str, ca_file: str, store: str, friend: str, file: str) -> None:
    path, kept = Path(file), AppStore(store, os.environ["HERMES_EXAMPLE_PASSPHRASE"])
    head = describe(path)
    async with HermesClient(addresses.split(","), tls=ClientTls(ca_file=Path(ca_file)), store=kept) as client:
        chat = await find_chat(client, AppId(friend))
        verdict, _ = await asyncio.gather(anext(chat), send(chat, path, head))  # whichever fails ends both
        print(verdict.content.decode(), flush=True)  # the receiver has the whole file
        await chat.delete()


if __name__ == "__main__":
    if len(sys.argv) != 6 or "HERMES_EXAMPLE_PASSPHRASE" not in os.environ:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*sys.argv[1:]))
    except (HermesError, OSError) as error:
        sys.exit(f"send_file: {error}")
    except KeyboardInterrupt:
        pass
