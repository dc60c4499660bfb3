"""An echo bot: answers every app that calls and sends back what it says, many at once, and goes on with all after a restart.

python echo_bot.py ADDRESSES CA_FILE STORE        (the passphrase of the store: HERMES_EXAMPLE_PASSPHRASE)
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from hermes_client import AppStore, Chat, ChatEndedError, ChatOffer, ClientTls, HermesClient, StateLostError
from hermes_core.errors import HermesError, ProtocolError


async def echo(chat: Chat) -> None:
    """Send back what comes, until either app ends the chat; each message once.

    The answer is durable before the message is acknowledged, which asking for the next one does: after a kill in between the
    message comes again. Answer n is to message n, so the number of our last message tells whether it was answered.
    """
    while chat.ended is None:
        try:
            async for message in chat:
                if message.seq > chat.last_sent:
                    await say(chat, message.content)
        except StateLostError as lost:  # one of the two stores is an older copy: told once, and the chat goes on
            print(lost, flush=True)
        except ChatEndedError as ended:
            print(ended, flush=True)


async def say(chat: Chat, content: bytes) -> None:
    """Send, also when it turns out just now that a store is an older copy: a message that is not answered here never is."""
    try:
        await chat.send(content)
    except StateLostError as lost:
        print(lost, flush=True)
        await chat.send(content)


async def take(offer: ChatOffer) -> None:
    try:
        chat = await offer.accept()
    except (ProtocolError, ChatEndedError) as error:  # it did not wait for us
        print(f"{offer.app_id}: {error}", flush=True)
    else:
        await echo(chat)


async def serve(client: HermesClient) -> None:
    """Every chat of a former start, and every one that is offered from now on, beside each other."""
    chats = {asyncio.create_task(echo(chat)) for chat in client.chats.values()}
    print(f"{client.app_id} is at home on {client.home}, with {len(chats)} chats", flush=True)
    async for offer in client.offers():
        task = asyncio.create_task(take(offer))  # whoever calls and does not go on keeps nobody else waiting
        chats.add(task)
        task.add_done_callback(chats.discard)


async def main(addresses: str, ca_file: str, store: str) -> None:
    kept = AppStore(store, os.environ["HERMES_EXAMPLE_PASSPHRASE"])
    async with HermesClient(addresses.split(","), tls=ClientTls(ca_file=Path(ca_file)), store=kept) as client:
        await serve(client)


if __name__ == "__main__":
    if len(sys.argv) != 4 or "HERMES_EXAMPLE_PASSPHRASE" not in os.environ:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*sys.argv[1:]))
    except HermesError as error:
        sys.exit(f"echo_bot: {error}")
    except KeyboardInterrupt:
        pass
