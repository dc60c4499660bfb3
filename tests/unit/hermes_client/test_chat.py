"""What a chat acknowledges and when, and how its owner hears of an end or of a store that forgot."""

from __future__ import annotations

import asyncio

import pytest

from hermes_client import ChatEndedError, StateLostError
from hermes_client.chat import Chat
from hermes_client.errors import ClientClosedError
from hermes_core.endpoint.events import (
    ChatEnded,
    ChatRekeyed,
    MessageReceived,
    MessagesAcked,
    Missing,
    PeerHeard,
    StoresDiffer,
)
from hermes_core.errors import HermesError, KeystoreIOError
from hermes_core.ids import AppId, ChatId
from hermes_core.protocol.messages import CloseReason

CHAT = ChatId(bytes(16))


class Driver:
    """Writes down what the chat asks for."""

    def __init__(self) -> None:
        self.closed = False
        self.failure: HermesError | None = None
        self.did: list[object] = []
        self.next_seq: int | None = 1
        self.kept = asyncio.Event()
        self.kept.set()
        self.chat = Chat(self, CHAT, AppId("a" * 32))

    def try_send(self, *_: object) -> int | None:
        return self.next_seq

    async def wait_kept(self) -> None:
        await self.kept.wait()

    def acknowledge(self, _: ChatId, seq: int) -> None:
        self.did.append(seq)

    def flush_acknowledgements(self) -> None:
        self.did.append("flush")

    def check_open(self) -> None:
        if self.closed:
            raise self.failure or ClientClosedError("closed")

    def rekey(self, _: ChatId) -> None: ...

    def withdraw_rekey(self, _: ChatId) -> None: ...

    def delete(self, _: ChatId) -> None:
        self.did.append("delete")
        self.chat.apply(ChatEnded(CHAT, CloseReason.DELETED))


def make_chat(received: int = 0) -> tuple[Chat, Driver]:
    driver = Driver()
    for seq in range(1, received + 1):
        driver.chat.apply(MessageReceived(CHAT, seq, b"%d" % seq))
    return driver.chat, driver


async def test_asking_for_the_next_message_acknowledges_the_one_before() -> None:
    chat, driver = make_chat(2)
    assert (await anext(chat)).seq == 1
    assert driver.did == []
    assert (await anext(chat)).seq == 2
    assert driver.did == [1]
    waiting = asyncio.create_task(anext(chat))
    await asyncio.sleep(0)
    assert driver.did == [1, 2], "it is asked for, though there is none"
    waiting.cancel()


async def test_a_message_can_be_acknowledged_by_hand_before_the_next_is_asked_for() -> None:
    chat, driver = make_chat(1)
    (await anext(chat)).ack()
    assert driver.did == [1]


async def test_messages_that_are_acknowledged_by_hand_alone() -> None:
    chat, driver = make_chat(3)
    messages = chat.messages()
    taken = [await anext(messages) for _ in range(3)]
    assert driver.did == []
    taken[1].ack()
    assert driver.did == [2]


async def test_messages_come_on_after_one_was_waited_for_in_vain_or_a_store_forgot() -> None:
    chat, _ = make_chat(0)
    messages = chat.messages()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(messages), 0.001)
    chat.apply(StoresDiffer(CHAT, True, Missing(1, 1), Missing(1, 0)))
    with pytest.raises(StateLostError):
        await anext(messages)
    chat.apply(MessageReceived(CHAT, 1, b"late"))
    assert (await anext(messages)).content == b"late"


async def test_whoever_deletes_a_chat_has_taken_what_it_was_given() -> None:
    chat, driver = make_chat(2)
    await anext(chat)
    await chat.delete()
    assert driver.did == [1, "flush", "delete"]


async def test_a_send_returns_when_the_message_is_durable() -> None:
    chat, driver = make_chat()
    driver.kept.clear()
    sending = asyncio.create_task(chat.send(b"x"))
    await asyncio.sleep(0)
    assert not sending.done()
    driver.kept.set()
    assert await sending == 1


@pytest.mark.parametrize("reason", [CloseReason.DELETED_BY_PEER, CloseReason.EXPIRED, CloseReason.STATE_LOST])
async def test_an_end_with_messages_unacknowledged_is_an_error_that_says_how_many(reason: CloseReason) -> None:
    chat, driver = make_chat(1)
    for driver.next_seq in (1, 2, 3):
        await chat.send(b"x")
    chat.apply(MessagesAcked(CHAT, 1))
    chat.apply(ChatEnded(CHAT, reason))
    assert (await anext(chat)).seq == 1, "what came before is handed over first"
    with pytest.raises(ChatEndedError, match="not acknowledged: 2") as ended:
        await anext(chat)
    assert (ended.value.reason, ended.value.unacknowledged) == (reason, 2)


@pytest.mark.parametrize("own", [True, False])
async def test_an_end_with_nothing_unacknowledged_or_by_ourselves_is_orderly(own: bool) -> None:
    chat, _ = make_chat()
    await chat.send(b"x")
    if own:
        await chat.delete()
    else:
        chat.apply(MessagesAcked(CHAT, 1))
        chat.apply(ChatEnded(CHAT, CloseReason.DELETED_BY_PEER))
    assert [message async for message in chat] == []


@pytest.mark.parametrize("call", ["send", "iterate"])
@pytest.mark.parametrize("ours", [True, False])
async def test_what_a_store_forgot_is_told_once_with_its_seqs(call: str, ours: bool) -> None:
    chat, _ = make_chat(1)
    chat.apply(StoresDiffer(CHAT, ours, Missing(4, 7), Missing(2, 1)))
    with pytest.raises(StateLostError, match="messages 4 to 7 sent by this app, no message sent by the other") as lost:
        await (chat.send(b"x") if call == "send" else anext(chat))
    assert (lost.value.ours, lost.value.sent, lost.value.received) == (ours, range(4, 8), range(2, 2))
    assert (await anext(chat)).seq == 1
    assert await chat.send(b"x") == 1


@pytest.mark.parametrize("event", [PeerHeard(CHAT), ChatRekeyed(CHAT, 2), MessagesAcked(CHAT, 1)])
async def test_a_send_that_waits_tries_again_when_something_has_changed(event: PeerHeard | ChatRekeyed | MessagesAcked) -> None:
    chat, driver = make_chat()
    chat.synced = False
    driver.next_seq = None
    sending = asyncio.create_task(chat.send(b"x"))
    await asyncio.sleep(0)
    driver.next_seq = 5
    chat.apply(event)
    assert await sending == 5


async def test_a_store_that_failed_is_what_everybody_hears() -> None:
    chat, driver = make_chat()
    waiting = asyncio.create_task(anext(chat))
    await asyncio.sleep(0)
    driver.failure, driver.closed = KeystoreIOError("full"), True
    chat.changed.notify()
    with pytest.raises(KeystoreIOError):
        await waiting
    with pytest.raises(KeystoreIOError):
        await chat.send(b"x")


def test_what_a_store_has_forgotten_counts_as_sent_once_the_other_app_has_it() -> None:
    chat = Driver().chat
    chat.last_sent = 3
    chat.apply(MessagesAcked(CHAT, 7))
    assert (chat.last_sent, chat.unacknowledged) == (7, 0)
