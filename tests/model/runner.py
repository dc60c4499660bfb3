"""Random steps from a seed: habits of apps, accidents of nodes and streams, interference; quiescence every so often."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hermes_core.crypto.suites import Suite
from hermes_core.endpoint.params import AppParams
from hermes_core.limits import UNCONFIRMED_TIME_S
from hermes_core.ratchet.params import ChannelParams
from hermes_core.relay.params import ChatParams
from tests.model.adversary import HANDSHAKE
from tests.model.ledger import ViolationError
from tests.model.quiescence import settle_world
from tests.model.seals import watch_seals
from tests.model.streams import Stream, bare
from tests.model.world import DAY_S, YEAR_S, World
from tests.support.random_sources import SeededRandom

MAX_CHATS = 3
MOVING_EVERY: Final = 7
"""Of so many worlds one has moves."""


@dataclass
class Report:
    seed: int
    steps: int = 0
    quiescences: int = 0
    chats: int = 0
    delivered: int = 0
    moves: int = 0
    lost: int = 0
    rekeys: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    trace: str = ""
    """A digest of every message and record, where one was asked for."""


HOP_SUITES: Final = ((), (), (Suite.X25519_MLKEM768_SHA512, Suite.X25519_SHA256))
"""Of three worlds one has hybrid hops; the others have the default ones."""


@dataclass(frozen=True)
class Middle:
    """What whoever is in the middle of every stream is up against. Drawn apart: it moves no accident of a seed."""

    proven: bool
    """Streams have the tags of a session, as real ones do."""
    steadfast: bool
    """And nothing but the middle, broken streams, killed nodes and wrong clocks could end a chat."""
    clocks: random.Random | None
    """Nodes' clocks jump between two runs."""
    moving: bool
    """Nodes are lost for good, apps come up elsewhere, and members say again what was signed once."""

    @classmethod
    def of(cls, seed: int) -> Middle:
        rng = random.Random(f"middle of {seed}")
        proven = rng.random() < 0.5
        return cls(
            proven, proven and rng.random() < 0.5, rng if rng.random() < 0.4 else None, seed % MOVING_EVERY == MOVING_EVERY - 1
        )


def has_stores(seed: int) -> bool:
    """Apps keep their chats on disk, and a SIGKILL ends nothing. Drawn apart: it moves nothing of the other seeds."""
    return random.Random(f"stores of {seed}").random() < 0.4


def build_world(rng: random.Random, seed: int) -> World:
    middle = Middle.of(seed)
    window = rng.choice((1, 3, 16))
    crypto = ChannelParams(suites=HOP_SUITES[seed % len(HOP_SUITES)], window=window, max_skip=rng.choice((64, 1024)))
    params = ChatParams(
        channel=crypto,
        window_messages=8,
        handshake_timeout_s=20.0,
        idle_timeout_s=UNCONFIRMED_TIME_S + 2 * DAY_S if middle.clocks else 100_000.0,  # a week counts, confirmed by nobody
        max_key_lifetime_s=max(rng.choice((300.0, 1e6)), YEAR_S * middle.steadfast),
        max_key_messages=max(rng.choice((20, 10**6)), 10**6 * middle.steadfast),
        rekey_grace_s=200.0,
        rekey_refill_s=2.0,
    )
    app_params = AppParams(
        leg=crypto,
        end_to_end=ChannelParams(window=16),
        window_messages=8,
        handshake_timeout_s=25.0,
        no_common_epoch_s=150.0,
        ready_timeout_s=80.0,
    )
    return World(
        rng,
        nodes=max(rng.choice((1, 2, 2)), 4 * middle.moving),
        params=params,
        app_params=app_params,
        entropy=SeededRandom(f"bytes of {seed}"),  # of their own: what the machines draw must not move the accidents
        forging=rng.random() < 0.3 or middle.proven,
        proven=middle.proven,
        clocks=middle.clocks,
        durable_apps=has_stores(seed),
        moving=middle.moving,
    )


class Runner:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = build_world(self.rng, seed)
        middle = Middle.of(seed)
        steadfast = self.world.ledger.steadfast = middle.steadfast
        self.world.ledger.ageless = middle.clocks is not None and middle.proven  # else the middle writes what it likes
        self.report = Report(seed)
        self.interference = self.rng.choice((0.0, 0.02, 0.06))
        self.accidents = self.rng.choice((0.001, 0.005, 0.02))
        self.pause = self.rng.choice((1.0, 15.0, 40.0))
        self.patience = self.rng.choice((0.0, 0.0, 0.2, 0.4))
        """How often a message of a handshake is held back for later, by somebody who does nothing else."""
        if self.patience:
            self.interference, self.accidents, self.pause = 0.0, self.accidents / 10, 40.0
        self._habits: list[tuple[Callable[[], None], int]] = [
            (self._start_chat, 2),
            (self._decide, 6),
            (self._send, 10 if self.patience else 40),
            (self._take, 8 if self.patience else 20),
            (self._rekey, 16 if self.patience else 4),
            (self._delete, 0 if self.patience or steadfast else 1),
            (self._connect, 12),
            (self._flush, 8),
            (self._wait, 6),
            (self._kill_app, 2 if has_stores(seed) else 0),
            *(((self._move, 2), (self._lie, 4)) if middle.moving else ()),
        ]
        self._accidents: list[tuple[Callable[[], None], int]] = [
            (self._break_stream, 10),
            (self._crash_node, 5),
            (self._crash_app, 0 if steadfast or has_stores(seed) else 1),
            (self._roll_back, 0 if steadfast else 1),
            *(((self._lose_nodes, 3),) if middle.moving else ()),
        ]

    def run(self, steps: int, *, quiet_every: int = 400) -> Report:
        """Raise ViolationError at the first broken promise."""
        world, report = self.world, self.report
        with watch_seals(world.ledger):
            for app in world.apps.values():
                world.connect_app(app)
            world.connect_nodes()
            for step in range(steps):
                report.steps = step + 1
                self.step()
                if (step + 1) % quiet_every == 0 or step + 1 == steps:
                    settle_world(world)
                    report.quiescences += 1
        report.chats = len(world.ledger.chats)
        report.delivered = world.ledger.delivered
        report.moves, report.lost = world.ledger.moves, world.lost
        report.rekeys = world.ledger.rekeys
        report.trace = world.ledger.trace.hexdigest() if world.ledger.tracing else ""
        report.ends = {reason.name: count for reason, count in sorted(world.ledger.ends.items())}
        return report

    def step(self) -> None:
        chance = self.rng.random()
        queues = self.world.queues()
        if chance < self.accidents:
            self._pick(self._accidents)()
        elif chance < self.accidents + self.interference and self.world.streams:
            stream = self.rng.choice(self.world.streams)
            end = self.rng.choice(stream.ends)
            if end in stream.open_ends:
                self.world.adversary.act(stream, end)
        elif queues and self.rng.random() < 0.7:
            self._deliver(*self.rng.choice(queues))
        else:
            self._pick(self._habits)()

    def _deliver(self, stream: Stream, end: str) -> None:
        """Unless somebody patient keeps it, who may also let go of something else."""
        adversary = self.world.adversary
        if self.patience and isinstance(bare(stream.inbox[end][0]), HANDSHAKE) and self.rng.random() < self.patience:
            adversary.hold_back(stream, end, 0)
            return
        if self.patience and self.rng.random() < self.patience / 4:
            adversary.release(stream, end, 0)
        self.world.deliver(stream, end)

    def _pick(self, choices: list[tuple[Callable[[], None], int]]) -> Callable[[], None]:
        return self.rng.choices([choice for choice, _ in choices], [weight for _, weight in choices])[0]

    def _app(self) -> Any:
        return self.rng.choice(list(self.world.apps.values()))

    def _node(self) -> Any:
        return self.rng.choice(list(self.world.nodes.values()))

    def _start_chat(self) -> None:
        app = self._app()
        if len(app.live()) < (1 if self.patience else MAX_CHATS):
            self.world.start_chat(app)

    def _decide(self) -> None:
        app = self._app()
        if app.offers:
            self.world.decide(app, accept=self.rng.random() < 0.95)

    def _send(self) -> None:
        app = self._app()
        if app.live():
            self.world.send(app, self.rng.choice(app.live()), self.rng.choice((0, 0, 0, 300)))

    def _take(self) -> None:
        app = self._app()
        for chat_id in app.live():
            got = self.world.ledger.chats[chat_id].received.get(app.name, 0)
            if got:
                self.world.take(app, chat_id, self.rng.randint(max(1, got - 1), got))

    def _rekey(self) -> None:
        app = self._app()
        if app.live():
            self.world.rekey(app, self.rng.choice(app.live()))

    def _delete(self) -> None:
        app = self._app()
        if app.live() and self.rng.random() < 0.3:
            self.world.delete(app, self.rng.choice(app.live()))

    def _connect(self) -> None:
        self.world.restart_node(self._node())
        self.world.connect_app(self._app())
        self.world.connect_nodes()

    def _flush(self) -> None:
        node = self._node()
        if node.machine is not None:
            node.flush()

    def _wait(self) -> None:
        self.world.advance(self.rng.choice((0.01, 0.5, 0.5, 0.5, 0.5, 6.0, 6.0, self.pause)))

    def _break_stream(self) -> None:
        if self.world.streams:
            self.world.break_stream(self.rng.choice(self.world.streams))

    def _crash_node(self) -> None:
        self.world.crash_node(self._node())

    def _crash_app(self) -> None:
        self.world.crash_app(self._app())

    def _kill_app(self) -> None:
        """One whose chats are kept: whatever becomes of a first handshake, they go on."""
        app = self._app()
        if app.volume.chats:
            self.world.crash_app(app)

    def _move(self) -> None:
        self.world.move_app(self._app(), self._node().name)

    def _lie(self) -> None:
        self.world.lie()

    def _lose_nodes(self) -> None:
        """One, or both homes at once."""
        homes = [self.world.nodes[app.home] for app in self.world.apps.values()]
        for node in self.rng.choice((homes, homes[:1], homes[1:], [self._node()])):
            self.world.lose_node(node)

    def _roll_back(self) -> None:
        node = self._node()
        for _ in range(self.rng.choice((1, 1, 2))):
            self.world.roll_back_node(node)


def run_seed(seed: int, steps: int, *, tracing: bool = False) -> Report:
    """One world; a ViolationError names the seed and the step."""
    runner = Runner(seed)
    runner.world.ledger.tracing = tracing
    try:
        return runner.run(steps)
    except ViolationError as violation:
        raise ViolationError(f"seed {seed}, step {runner.report.steps}: {violation}") from violation
