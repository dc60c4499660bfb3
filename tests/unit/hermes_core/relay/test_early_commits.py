"""What a chat reserves early becomes durable beside its frames: they wait only for what they need, and nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_core.ids import ChatId
from hermes_core.keystore.chat_record_codec import parse_chat_record
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_core.protocol.messages import Delete
from hermes_core.ratchet.params import ChannelParams
from hermes_core.relay.output import NodeOutput
from hermes_core.relay.params import ChatParams
from tests.model.honest import HonestWorld
from tests.model.parties import NodeParty

WINDOW = 16
HALF = WINDOW // 2


def make_world(*, nodes: int = 1) -> HonestWorld:
    """Early commits never end unless something needs them."""
    world = HonestWorld(nodes=nodes, params=ChatParams(channel=ChannelParams(window=WINDOW, max_skip=64)))
    world.ledger.rolled_back = False
    for node in world.nodes.values():
        node.slow_disk = 1.0
    return world


def talk(world: HonestWorld, chat_id: ChatId, count: int) -> None:
    """Messages one by one, which nobody acknowledges: one direction of each hop is used."""
    for _ in range(count):
        world.send(world.a, chat_id)
        world.run(take=False)


def stored_reservation(node: NodeParty, chat_id: ChatId) -> int:
    """Of the direction in which messages leave."""
    record = parse_chat_record(node.store.records[chat_id])
    current = record.sides[1].current
    assert current is not None
    return current.send.reserved


def received(world: HonestWorld, chat_id: ChatId) -> int:
    return world.ledger.chats[chat_id].received.get("app-1", 0)


def test_frames_wait_for_an_early_commit_only_where_they_need_it() -> None:
    world = make_world()
    chat_id = world.open_chat()
    before = world.n.commits
    talk(world, chat_id, HALF)
    assert (world.n.commits - before, world.n.early is None) == (1, True), "the first message reserved, and waited"
    talk(world, chat_id, HALF)
    assert received(world, chat_id) == WINDOW
    assert (world.n.commits - before, stored_reservation(world.n, chat_id)) == (1, WINDOW), "nothing has waited for more"
    assert world.n.early is not None
    talk(world, chat_id, 1)
    assert received(world, chat_id) == WINDOW + 1
    assert (world.n.commits - before, stored_reservation(world.n, chat_id)) == (2, 2 * WINDOW)
    assert world.n.early is None


def test_an_output_says_what_it_waits_for() -> None:
    world = make_world()
    chat_id = world.open_chat()
    outputs = record_outputs(world.n)
    talk(world, chat_id, WINDOW + HALF - 1)
    assert all(output.sends for output in outputs), "each relays a message"
    first, *others = outputs
    assert (first.early, first.waits_for) == (False, first.number)
    waiting = [output.waits_for for output in others]
    early = next(output for output in others if output.early)
    assert early is others[HALF - 1]
    assert waiting[: WINDOW - 1] == [first.number] * (WINDOW - 1)
    assert waiting[WINDOW - 1 :] == [early.number] * (HALF - 1)


def record_outputs(node: NodeParty) -> list[NodeOutput]:
    outputs: list[NodeOutput] = []
    take = node.running.take_output

    def recorded(*, busy: bool = False) -> NodeOutput:
        output = take(busy=busy)
        if output.actions or output.needs_commit:
            outputs.append(output)
        return output

    machine: Any = node.running
    machine.take_output = recorded
    return outputs


def test_one_early_commit_at_a_time_and_the_others_ride_on_what_is_needed() -> None:
    world = make_world()
    first, second, third = (world.open_chat() for _ in range(3))
    for chat_id in (first, second, third):
        talk(world, chat_id, 1)
    outputs = record_outputs(world.n)
    talk(world, first, HALF)
    talk(world, second, HALF)
    talk(world, third, HALF - 1)
    assert [set(output.puts) for output in outputs if output.needs_commit] == [{first}], (
        "the second waits until the first ended"
    )
    world.n.end_early()
    talk(world, third, 1)
    assert [set(output.puts) for output in outputs if output.needs_commit] == [{first}, {second, third}]
    world.n.end_early()
    talk(world, first, WINDOW)
    talk(world, second, WINDOW)
    assert world.n.early is not None
    world.delete(world.a, third)  # a commit that is needed
    world.run(take=False)
    needed = next(output for output in outputs if output.deletes)
    assert (needed.early, set(needed.puts)) == (False, {second})


def test_an_answer_that_speaks_for_the_node_waits_for_all_that_goes_with_it() -> None:
    world = make_world()
    chat_id = world.open_chat()
    talk(world, chat_id, HALF)
    outputs = record_outputs(world.n)
    world.group_commit = 1.0
    world.send(world.a, chat_id)
    world.step("app-0", "node-0")
    world.inject("app-0", "node-0", Delete(ChatId(bytes(16))))
    world.group_commit = -1.0
    world.n.flush()
    (output,) = outputs
    assert [send.after < output.number for send in output.sends] == [True, False]
    assert (output.early, output.waits_for, set(output.puts)) == (False, output.number, {chat_id})
    assert world.n.early is None


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("nodes", [1, 2])
def test_a_kill_at_any_message_repeats_no_position_and_loses_nothing(kept: bool, nodes: int) -> None:
    """The ledger of the world tells a position that was used twice, and a message that was lost or doubled."""
    for count in range(1, 3 * WINDOW, 2):
        world = make_world(nodes=nodes)
        chat_id = world.open_chat()
        talk(world, chat_id, count)
        if kept:
            world.n.end_early()
        world.n.lose_early()
        world.kill(world.n)
        world.run()
        world.revive(world.n)
        talk(world, chat_id, 2)
        assert received(world, chat_id) == count + 2


def test_a_chat_that_is_deleted_meanwhile_leaves_nothing() -> None:
    world = make_world()
    chat_id = world.open_chat()
    talk(world, chat_id, HALF + 1)
    under_way = world.n.early
    assert under_way is not None
    world.delete(world.a, chat_id)
    world.run()
    assert (world.n.early, world.n.store.records) == (None, {})


def test_a_record_that_is_needed_has_what_was_reserved_early() -> None:
    world = make_world()
    chat_id = world.open_chat()
    talk(world, chat_id, HALF + 1)
    world.n.lose_early()
    world.n.running.take_verdict(ResumeVerdict.ROLLED_BACK, world.now)
    world.n.flush()
    assert stored_reservation(world.n, chat_id) == 2 * WINDOW


def test_what_is_shown_as_reserved_is_durable() -> None:
    """A witness that is taken now holds after a kill that loses the early commit."""
    world = make_world()
    chat_id = world.open_chat()
    for _ in range(3 * WINDOW):
        talk(world, chat_id, 1)
        (shown,) = world.n.running.describe()
        assert shown.sides[1].send_next <= shown.sides[1].send_reserved <= stored_reservation(world.n, chat_id)
