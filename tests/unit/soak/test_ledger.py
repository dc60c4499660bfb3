"""The soak's ledger finds each way in which a promise can be broken, and lets pass what a killed or put-back app may see."""

from __future__ import annotations

import pytest

from tests.soak.content import Item, build_content, read_content
from tests.soak.ledger import Ledger

CHAT = "c" * 32


class Story:
    """Two apps, `a` and `b`, and what they tell: times pass by themselves."""

    def __init__(self) -> None:
        self.ledger = Ledger(0.0)
        self._now = 0.0
        for app in "ab":
            self.tell(app, 1, "open", f"id-{app}", [])
        self.tell("a", 1, "chat", CHAT, "id-b")
        self.tell("b", 1, "chat", CHAT, "id-a")

    def tell(self, app: str, life: int, what: str, *values: object) -> None:
        self._now += 1.0
        self.ledger.record(app, [self._now, life, what, *values])

    def say(self, *numbers: int, life: int = 1, seq_ahead: int = 0) -> None:
        for number in numbers:
            self.tell("a", life, "sent", CHAT, number, number + seq_ahead)

    def hear(self, *numbers: int, said_in: int = 1, life: int = 1, seq_ahead: int = 0) -> None:
        for number in numbers:
            self.tell("b", life, "got", CHAT, number + seq_ahead, said_in, number)

    def acknowledged(self, seq: int, life: int = 1) -> None:
        self.tell("a", life, "state", 1, "local-0", True, [[CHAT, seq, seq, True, 1, True]])

    def judge(self, *live: str) -> list[str]:
        self.ledger.close({CHAT: set(live)} if live else {})
        return self.ledger.violations


def test_what_is_said_and_heard_once_and_in_order_breaks_nothing() -> None:
    story = Story()
    story.say(1, 2, 3)
    story.hear(1, 2, 3)
    story.acknowledged(3)
    assert story.judge("a", "b") == []
    assert story.ledger.counts["messages"] == 3


def test_a_message_that_never_came_is_lost_once_the_chat_has_settled() -> None:
    story = Story()
    story.say(1, 2)
    story.hear(1)
    assert story.judge("a", "b") == [f"chat {CHAT[:8]}: 1 lost: a's message 1.2"]


def test_what_was_not_acknowledged_when_a_chat_ended_is_not_lost_and_what_was_is() -> None:
    for acknowledged, expected in ((1, 0), (2, 1)):
        story = Story()
        story.say(1, 2)
        story.hear(1)
        story.tell("a", 1, "ended", CHAT, "DELETED", 2, acknowledged)
        assert len(story.judge()) == expected


def test_a_message_that_was_overtaken_is_lost_whatever_else_is_true() -> None:
    story = Story()
    story.say(1, 2, 3)
    story.tell("b", 1, "got", CHAT, 1, 1, 1)
    story.tell("b", 1, "got", CHAT, 2, 1, 3)
    assert any("a's message 1.2" in text and "lost" in text for text in story.judge())


def test_a_message_that_comes_twice_is_doubled() -> None:
    story = Story()
    story.hear(1, 2)
    story.tell("b", 1, "got", CHAT, 3, 1, 2)
    assert any("doubled" in text for text in story.judge())


def test_a_message_that_comes_late_is_reordered() -> None:
    story = Story()
    for seq, number in ((1, 2), (2, 1)):
        story.tell("b", 1, "got", CHAT, seq, 1, number)
    assert any("reordered" in text for text in story.judge())


def test_a_seq_that_is_left_out_is_told() -> None:
    story = Story()
    story.tell("b", 1, "got", CHAT, 1, 1, 1)
    story.tell("b", 1, "got", CHAT, 3, 1, 2)
    assert any("got seq 3 after 1" in text for text in story.judge())


def test_what_nobody_said_is_told() -> None:
    story = Story()
    story.tell("b", 1, "got", CHAT, 1, 0, 0)
    assert any("nobody said" in text for text in story.judge())


def test_a_killed_app_may_hear_again_what_it_had_not_acknowledged_and_only_at_first() -> None:
    story = Story()
    story.say(1, 2, 3)
    story.hear(1, 2)
    story.tell("b", 2, "chat", CHAT, "id-a")
    story.hear(2, 3, life=2)
    assert story.judge("a", "b") == []
    assert story.ledger.counts["again"] == 1
    story.tell("b", 2, "got", CHAT, 4, 1, 2)
    assert any("doubled" in text for text in story.ledger.violations)


def test_a_killed_sender_goes_on_with_a_life_of_its_own_and_owes_what_it_said_before() -> None:
    for heard, expected in (((1, 2), 0), ((1,), 1)):
        story = Story()
        story.say(1, 2)
        story.hear(*heard)
        story.say(1, life=2, seq_ahead=2)
        story.tell("b", 1, "state-lost", CHAT, True, [1, 1], [1, 1]) if expected else None
        story.hear(1, said_in=2, seq_ahead=2 if not expected else 1)
        assert len(story.judge("a", "b")) == expected, heard


def test_a_sender_whose_store_was_put_back_has_forgotten_what_nobody_heard_and_no_more() -> None:
    story = Story()
    story.say(1, 2, 3)
    story.hear(1)
    story.ledger.put_back("a", 1)
    story.say(1, life=2, seq_ahead=1)
    story.hear(1, said_in=2, seq_ahead=1)
    assert story.judge("a", "b") == []


def test_a_chat_that_one_end_alone_still_has_is_told() -> None:
    assert any("only a has it still" in text for text in Story().judge("a"))


def test_moves_cross_when_the_second_began_before_the_first_was_through() -> None:
    story = Story()
    for app, what in (("a", "moved"), ("a", "up"), ("b", "up"), ("b", "moved"), ("b", "up")):
        story.tell(app, 1, what, CHAT, "local-1")
    assert story.ledger.crossings() == 0
    for app, what in (("a", "moved"), ("b", "moved"), ("a", "up"), ("b", "up")):
        story.tell(app, 1, what, CHAT, "local-2")
    assert story.ledger.crossings() == 1
    assert story.ledger.counts["moves"] == 4


@pytest.mark.parametrize("spoilt", [b"", b"x", b"cc a 1 1 ", b"\xff a 1 2 3"])
def test_a_content_is_exactly_one_message_or_none(spoilt: bytes) -> None:
    for number in range(1, 40):
        content = build_content(CHAT, "a", Item(1, number))
        assert read_content(CHAT, "a", content) == Item(1, number)
        assert read_content(CHAT, "b", content) is None
        assert read_content(CHAT, "a", content + b"x") is None
    assert read_content(CHAT, "a", spoilt) is None
