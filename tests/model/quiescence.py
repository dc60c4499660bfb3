"""The network turns honest, everyone is up, time passes: every chat must work, or have failed closed on both sides."""

from __future__ import annotations

from hermes_core.ids import ChatId
from hermes_core.keystore.chat_record import ChatState, Tombstone
from hermes_core.relay.chat import Chat
from tests.model.ledger import ViolationError
from tests.model.parties import NodeParty
from tests.model.world import World

HORIZON_S = 400.0
"""Longer than every timeout and back-off of the model's parameters."""
MAX_COMEBACKS = 5
"""Of apps whose stream ended while the world settles: a leg that is made anew under traffic may cost one."""


def settle_world(world: World) -> None:
    """Run an honest network until everything is settled; ViolationError when that takes too long."""
    world.group_commit = 0.0
    for stream in world.streams:
        stream.break_off(world.rng)
    for node in world.nodes.values():
        world.restart_node(node)
        node.flush()
    _drain(world)
    for app in world.apps.values():
        world.connect_app(app)
    world.connect_nodes()
    world.spread_directory()
    deadline, comebacks = world.now + HORIZON_S, 0
    while True:
        _drain(world)
        for app in [app for app in world.apps.values() if app.stream is None]:  # somebody hung up: an app comes back
            comebacks += 1
            if comebacks > MAX_COMEBACKS:
                raise ViolationError(f"{app.name} hangs up, or is hung up on, again and again")
            world.connect_app(app)
            _drain(world)
        problem = find_problem(world)
        if problem is None:
            break
        due = _next_timer(world)
        if due is None or due > deadline:
            raise ViolationError(f"not settled after {HORIZON_S} s: {problem}")
        world.advance(max(0.0, due - world.now))
    world.group_commit = 0.3


def _next_timer(world: World) -> float | None:
    times = [app.machine.next_timer() for app in world.apps.values()]
    for node in world.nodes.values():
        due = node.running.next_timer()
        times.append(None if due is None else due - node.ahead_s)
    return min((time for time in times if time is not None), default=None)


def _drain(world: World) -> None:
    """Deliver until nothing is under way; the apps take what they get."""
    steps = 0
    while True:
        queues = world.queues()
        acted = False
        for stream, end in queues:
            if end in stream.open_ends and stream.inbox[end]:
                world.deliver(stream, end)
                acted = True
        for app in world.apps.values():
            while app.offers:
                world.decide(app, accept=True)
                acted = True
            for chat_id in app.live():
                ledger = world.ledger.chats[chat_id]
                if ledger.received.get(app.name, 0) > ledger.taken.get(app.name, 0):
                    world.take(app, chat_id, ledger.received[app.name])
                    acted = True
        if not acted:
            return
        steps += 1
        if steps > 20_000:
            raise ViolationError("messages go in circles")


def find_problem(world: World) -> str | None:
    """What is not as it should be once everything has come to rest."""
    for chat_id, ledger in world.ledger.chats.items():
        live = [app for app in world.apps.values() if chat_id in app.machine.chats]
        if len(live) == 1:
            return f"chat {chat_id.hex()} lives at {live[0].name} alone ({_phase(world, chat_id)})"
        if len(live) == 2:
            problem = _find_chat_problem(world, chat_id)
            if problem is not None:
                return f"chat {chat_id.hex()}: {problem}"
        elif any(reason is None and name not in ledger.ended for name, reason in ledger.ended.items()):
            return f"chat {chat_id.hex()} ended without a reason"
    for node in () if world.moving else world.nodes.values():  # a former home keeps what it has until it hears of it
        waiting = [chat_id for chat_id, kept in node.store.tombstones.items() if _is_awaited(world, node, kept)]
        if waiting:
            return f"{node.name} keeps {len(waiting)} notices"
        for chat_id in node.chats:
            if not any(chat_id in app.machine.chats for app in world.apps.values()):
                return f"{node.name} keeps chat {chat_id.hex()} that is over"
    return None


def _phase(world: World, chat_id: ChatId) -> str:
    parts = []
    for app in world.apps.values():
        chat = app.machine.chats.get(chat_id)
        if chat is not None:
            parts.append(f"{app.name} {chat.handshake.state} leg {chat.hop.state.name}")
    for node in world.nodes.values():
        node_chat = node.chats.get(chat_id)
        parts.append(f"{node.name} {'-' if node_chat is None else describe_node_chat(node_chat)}")
    return "; ".join(parts)


def describe_node_chat(chat: Chat) -> str:
    hops = []
    for hop in chat.hops:
        marks = [f"e{hop.channel.epoch}p{hop.channel.pending_epoch}", hop.state.name]
        marks += [name for name, on in (("offering", hop.channel.offering), ("told up", hop.told_up)) if on]
        hops.append(" ".join(marks))
    return f"{chat.state.name} [{' | '.join(hops)}]{' offer under way' if chat.handshake.under_way else ''}"


def _find_chat_problem(world: World, chat_id: ChatId) -> str | None:
    ledger = world.ledger.chats[chat_id]
    chats = {name: app.machine.chats[chat_id] for name, app in world.apps.items()}
    for name, chat in chats.items():
        if not chat.can_send:
            return _phase(world, chat_id)
        sent = len(ledger.sent.get(name, []))
        got = ledger.received.get(ledger.other(name), 0)
        if got != sent:
            return f"{name} sent {sent}, {ledger.other(name)} got {got}; {_phase(world, chat_id)}"
        if ledger.acked.get(name, 0) != sent:
            return f"{name} sent {sent}, only {ledger.acked.get(name, 0)} acknowledged; {_phase(world, chat_id)}"
    first, second = chats.values()
    if first.end_to_end.epoch != second.end_to_end.epoch:
        return f"end-to-end epochs differ: {first.end_to_end.epoch} and {second.end_to_end.epoch}"
    return _find_hop_problem(world, chat_id)


def _find_hop_problem(world: World, chat_id: ChatId) -> str | None:
    homes = [
        node for node in world.nodes.values() if not world.moving or any(node.name == app.home for app in world.apps.values())
    ]
    held = [node.chats[chat_id] for node in homes if chat_id in node.chats]
    if len(held) != len(homes):
        return "a node does not hold it"
    if any(chat.state is not ChatState.ACTIVE for chat in held):
        return _phase(world, chat_id)
    hops: dict[frozenset[str], list[int]] = {}
    for node in homes:
        for hop in node.chats[chat_id].hops:
            home = str(hop.neighbour.node_id)
            other = next((app.name for app in world.apps.values() if hop.is_leg and app.app_id == hop.app_id), home)
            hops.setdefault(frozenset((node.name, other)), []).append(hop.channel.epoch)
    for name, app in world.apps.items():
        hops[frozenset((name, app.home))].append(app.machine.chats[chat_id].leg.epoch)
    for ends, epochs in hops.items():
        if len(epochs) != 2 or epochs[0] != epochs[1]:
            return f"epochs of hop {sorted(ends)} differ: {epochs}"
    return None


def _is_awaited(world: World, node: NodeParty, tombstone: Tombstone) -> bool:
    """Somebody is to hear of it here. An app that is at home elsewhere, and does not have the chat any more, heard it there."""
    apps = {app.app_id: app for app in world.apps.values()}
    receivers = [None if notice.app_id is None else apps[notice.app_id] for notice in tombstone.notices]
    return any(app is None or app.home == node.name or tombstone.chat_id in app.machine.chats for app in receivers)
