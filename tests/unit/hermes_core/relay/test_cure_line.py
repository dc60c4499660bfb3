"""Cures after a rollback: a place for each chat, turns that go round between apps, used up by what is authentic alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import AppId, ChatId, NodeId
from hermes_core.keystore.chat_record import ChatState
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_core.protocol.messages import ErrorNotice, Offer, Resume
from hermes_core.relay import cure_line
from hermes_core.relay.cure_line import CURE_BURST, CURE_REFILL_S, MAX_TURNS_KEPT, TURN_KEPT_S, CureLine, Requester
from hermes_core.relay.params import ChatParams
from tests.model.honest import HonestWorld

A: Requester = (None, AppId("a" * 32))
B: Requester = (None, AppId("b" * 32))
_numbers = itertools.count(1)


def chat() -> ChatId:
    return ChatId(next(_numbers).to_bytes(16, "big"))


def wait_of(line: CureLine, requester: Requester, chat_id: ChatId, now: float = 0.0) -> float:
    """Seconds that it is told to wait; 0: it is its turn."""
    refused: ProtocolError | None = None
    try:
        line.check(requester, chat_id, now)
    except ProtocolError as error:
        refused = error
    if refused is None:
        return 0.0
    assert refused.code is ErrorCode.REKEY_THROTTLED
    assert refused.retry_after_ms > 0
    return refused.retry_after_ms / 1000


def busy_line() -> CureLine:
    """All turns that were there at once are used."""
    line = CureLine()
    for _ in range(CURE_BURST):
        chat_id = chat()
        assert wait_of(line, A, chat_id) == 0
        line.leave(chat_id)
    assert not len(line)
    return line


def test_asking_again_moves_nobody() -> None:
    line, mine, others = busy_line(), chat(), chat()
    assert wait_of(line, A, mine) == pytest.approx(CURE_REFILL_S)
    for _ in range(10_000):
        assert wait_of(line, A, mine) == pytest.approx(CURE_REFILL_S)
    assert wait_of(line, B, others) == pytest.approx(2 * CURE_REFILL_S)
    assert wait_of(line, A, mine, CURE_REFILL_S + 0.0001) == 0
    assert wait_of(line, B, others, 2 * CURE_REFILL_S + 0.0001) == 0


def test_who_has_one_chat_does_not_wait_for_all_of_another_app() -> None:
    line = busy_line()
    waits = [wait_of(line, A, chat()) for _ in range(5_000)]
    assert waits[-1] == pytest.approx(5_000 * CURE_REFILL_S)
    alone = chat()
    assert wait_of(line, B, alone) == pytest.approx(2 * CURE_REFILL_S)
    assert wait_of(line, (NodeId("n"), A[1]), chat()) == pytest.approx(3 * CURE_REFILL_S), "what a node says of A is not A"
    assert wait_of(line, B, alone, 2 * CURE_REFILL_S + 0.0001) == 0, "nor for more than it was told"


def test_turns_come_at_the_rate_that_was_told() -> None:
    line = busy_line()
    asked = {chat_id: wait_of(line, requester, chat_id) for requester in (A, B) for chat_id in (chat() for _ in range(500))}
    of = dict.fromkeys(asked, A) | dict.fromkeys(list(asked)[500:], B)
    for chat_id, told in sorted(asked.items(), key=lambda item: item[1]):
        comes_at = told
        while again := wait_of(line, of[chat_id], chat_id, comes_at + 0.0001):
            comes_at += again
        assert comes_at <= 1_000 * CURE_REFILL_S + 0.01
        line.leave(chat_id)
    assert not len(line)


def test_a_turn_is_kept_for_a_while_and_no_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cure_line, "MAX_TURNS_KEPT", 3)
    line, mine = busy_line(), [chat() for _ in range(5)]
    for chat_id in mine:
        wait_of(line, A, chat_id)
    assert [wait_of(line, A, chat_id, 10.0) == 0 for chat_id in mine] == [True, True, True, False, False]
    other = chat()
    assert wait_of(line, B, other, 10.0) == 0, "an app that does not use its turns holds nobody up"
    line.leave(mine[0])
    assert wait_of(line, A, mine[3], 10.0) == 0
    assert wait_of(line, A, mine[4], 10.0 + TURN_KEPT_S) == 0, "the turns that were not used are over"
    assert MAX_TURNS_KEPT * CURE_REFILL_S <= TURN_KEPT_S


def quarantine_own(world: HonestWorld, chat_id: ChatId) -> None:
    """The first app claims nothing of its chat on a new stream, so that its node takes one of the stores for an older one."""
    world.cut("app-0", "node-0")
    world.connect_app(world.a)
    for end in ("app-0", "node-0"):
        world.stream("app-0", "node-0").inbox[end].clear()
    world.n.running.receive(world.neighbour("app-0"), Resume(chat_id, ()), world.now)
    world.n.flush()
    world.stream("app-0", "node-0").inbox["app-0"].clear()
    assert world.chat_of(world.n, chat_id).state is ChatState.QUARANTINED


def test_an_app_cannot_keep_others_from_being_cured() -> None:
    """1,000 offers a second that nobody signed, for a quarantined chat of its own: others were told to come back in an hour."""
    world = HonestWorld(nodes=1)
    own, others = world.open_chat(), world.open_chat()
    quarantine_own(world, own)
    source = world.neighbour("app-0")
    half = KeyStatement(1, 1, b"\x01", bytes(32), b"", bytes(64))  # its hop begins anew
    junk = Offer(own, world.a.identity.public_key, world.b.app_id, replace(half, epoch=2), half)
    charged = 0
    for _ in range(3_000):
        world.now += 0.001
        world.n.running.receive(source, junk, world.now)
        charged += len(world.n.running.effects.take_charges())
        world.n.flush()
    assert charged == ChatParams().rekey_burst, "what its own bucket lets through counts against its stream"
    cures = world.n.running._admission.cures
    assert len(cures) == 1, "its turn has come, and is not used by what nobody signed"
    cures.leave(own)
    world.n.running.receive(source, junk, world.now)
    world.n.flush()
    assert not len(cures), "its own bucket comes first"
    world.stream("app-0", "node-0").inbox["app-0"].clear()
    world.n.running.take_verdict(ResumeVerdict.ROLLED_BACK, world.now)
    world.n.flush()
    world.run()
    told = [notice.code for notice in world.messages("node-0", "app-1", ErrorNotice) if notice.chat_id == others]
    assert ErrorCode.REKEY_THROTTLED not in told
    assert world.chat_of(world.n, others).state is ChatState.ACTIVE


def test_a_chat_that_is_cured_or_ended_leaves_the_line() -> None:
    world = HonestWorld(nodes=1)
    kept, ended = world.open_chat(), world.open_chat()
    cures = world.n.running._admission.cures
    for chat_id in (kept, ended):
        with_turn = wait_of(cures, A, chat_id, world.now)
        assert with_turn == 0
    assert len(cures) == 2
    world.rekey(world.a, kept)
    world.run()
    assert len(cures) == 1
    world.delete(world.a, ended)
    world.run()
    assert not len(cures)
