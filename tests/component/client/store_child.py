"""An app with a store, in a process that a test kills: it says COUNT numbered messages and writes down what it hears.

`python store_child.py NAME FOLDER ADDRESS CA_FILE COUNT [PEER]`: with a peer it starts the chat. It makes each message safe in
its own file before it asks for the next one, as an app that wants exactly once does, and ends with code 3 when one is missing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import BinaryIO

from hermes_client import AppStore, Chat, ClientTls, HermesClient
from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.ids import AppId

PASSPHRASE = b"of a test"
CHEAP = Argon2Params(8192, 1, 1)


def read_heard(path: Path) -> list[bytes]:
    """The whole lines of what an app wrote down; the last one may be torn."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


async def say(chat: Chat, name: str, count: int) -> None:
    while chat.last_sent < count:
        await chat.send(f"{name} {chat.last_sent + 1}".encode())
    await chat.drain()


def open_heard(path: Path) -> tuple[int, BinaryIO]:
    """How many messages were heard, and the file for more."""
    heard = read_heard(path)
    path.write_bytes(b"".join(line + b"\n" for line in heard))
    return len(heard), path.open("ab", buffering=0)


async def hear(chat: Chat, path: Path, count: int, all_heard: asyncio.Event) -> None:
    """It goes on when all were heard: one that was written down, but not acknowledged when the app was killed, comes again."""
    last, file = open_heard(path)
    previous = 0
    with file:
        while True:
            if last == count:
                all_heard.set()
            message = await anext(chat)
            if message.seq > last + 1 or (previous and message.seq != previous + 1):
                print(f"{message.seq} after {last} and {previous}", flush=True)
                os._exit(3)
            previous = message.seq
            if message.seq == last + 1:
                file.write(message.content + b"\n")
                os.fsync(file.fileno())
                last = message.seq
            if last == count:
                message.ack()


async def run(name: str, folder: Path, address: str, ca_file: str, count: int, peer: str) -> None:
    store = AppStore(folder / f"{name}.db", PASSPHRASE, argon2=CHEAP)
    async with HermesClient(address, tls=ClientTls(ca_file=Path(ca_file)), store=store) as client:
        (folder / f"{name}.id").write_text(client.app_id)
        chats = list(client.chats.values())
        if chats:
            chat = chats[0]
        elif peer:
            await client.wait_for_app(AppId(peer))
            chat = await client.start_chat(AppId(peer))
        else:
            chat = await (await anext(client.offers())).accept()
        await chat.wait(lambda: chat.ready)
        print("open", flush=True)
        all_heard = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hear(chat, folder / f"{name}.heard", count, all_heard))
            await asyncio.gather(say(chat, name, count), all_heard.wait())
            print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]), "".join(sys.argv[6:])))
