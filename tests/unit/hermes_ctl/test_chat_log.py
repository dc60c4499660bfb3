"""What a terminal keeps: each line once whenever it is killed, only what was said since the last start, one name for an app."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hermes_core.ids import AppId, ChatId
from hermes_ctl.chat.chat_log import ChatLog

CHAT, OTHER = ChatId(b"c" * 16), ChatId(b"d" * 16)
ALICE, BOB = AppId("a" * 32), AppId("b" * 32)


class Records:
    """A store in memory, which counts its commits."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.commits = 0

    async def read_own(self) -> dict[bytes, bytes]:
        return dict(self.kept)

    async def write_own(self, puts: Mapping[bytes, bytes], deletes: Collection[bytes] = ()) -> None:
        self.commits += 1
        for key in deletes:
            self.kept.pop(key, None)
        self.kept.update(puts)


async def start(records: Records, *alive: ChatId) -> ChatLog:
    log = ChatLog(records)
    await log.open(alive or (CHAT,))
    return log


def said(log: ChatLog, chat_id: ChatId = CHAT) -> list[tuple[bool, int, bytes]]:
    return [(line.outgoing, line.seq, line.content) for line in log.lines(chat_id)]


async def test_lines_come_back_in_their_order_and_the_first_new_one_erases_them() -> None:
    records = Records()
    log = await start(records)
    await log.add(CHAT, 1, b"hello", outgoing=True)
    await log.add(CHAT, 1, b"hello yourself", outgoing=False)
    assert (await start(records)).lines(CHAT), "a start in which nothing is said keeps them"
    again = await start(records)
    assert said(again) == [(True, 1, b"hello"), (False, 1, b"hello yourself")]
    before = records.commits
    await again.add(CHAT, 2, b"new", outgoing=False)
    assert records.commits == before + 1, "in one transaction: killed between two, it would lose or double lines"
    assert said(await start(records)) == [(False, 2, b"new")]
    assert not any(b"hello" in value for value in records.kept.values())


async def test_a_message_that_comes_again_is_known_even_after_its_line_is_gone() -> None:
    records = Records()
    await (await start(records)).add(CHAT, 7, b"seven", outgoing=False)
    log = await start(records)
    assert log.has(CHAT, 7)
    assert not log.has(CHAT, 8)
    assert not log.has(OTHER, 7)
    await log.add(CHAT, 8, b"eight", outgoing=False)
    assert (await start(records)).has(CHAT, 7)


async def test_what_was_typed_and_not_sent_belongs_to_the_next_start() -> None:
    records = Records()
    log = await start(records)
    await log.add(CHAT, 1, b"sent", outgoing=True)
    await log.add(CHAT, 2, b"killed before it was", outgoing=True)
    again = await start(records)
    (unsent,) = again.take_unsent(CHAT, last_sent=1)
    assert (unsent.seq, unsent.content) == (2, b"killed before it was")
    await again.add(CHAT, 1, b"comes meanwhile", outgoing=False)
    third = await start(records)
    assert [line.seq for line in third.take_unsent(CHAT, last_sent=1)] == [2]
    await third.renumber(unsent, 5)
    assert [line.seq for line in (await start(records)).take_unsent(CHAT, last_sent=4)] == [5]


async def test_a_chat_that_is_over_leaves_nothing() -> None:
    records = Records()
    log = await start(records, CHAT, OTHER)
    await log.add(CHAT, 1, b"of one", outgoing=False)
    await log.add(OTHER, 1, b"of the other", outgoing=False)
    await log.forget(CHAT)
    assert not any(bytes(CHAT) in key + value for key, value in records.kept.items())
    assert said(log, OTHER)
    await start(records, CHAT)
    assert records.kept == {}


async def test_an_app_has_one_name_and_a_name_one_app() -> None:
    records = Records()
    log = await start(records)
    await log.set_name("al", ALICE)
    await log.set_name("alice", ALICE)
    assert (log.names, log.find("al"), log.name_of(ALICE), log.name_of(BOB)) == ({"alice": ALICE}, None, "alice", BOB[:8])
    await log.set_name("alice", BOB)
    assert (await start(records)).names == {"alice": BOB}


async def test_without_a_store_it_lasts_as_long_as_the_process() -> None:
    log = ChatLog(None)
    await log.open(())
    await log.add(CHAT, 1, b"x", outgoing=False)
    assert said(log) == [(False, 1, b"x")]
