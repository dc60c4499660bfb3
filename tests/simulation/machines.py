"""A machine with a node on it: its volume, its clocks, and the process that runs there, which can be killed and started."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.xaead import NONCE_BYTES, InvalidTagError, open_xchacha, seal_xchacha
from hermes_core.errors import KeystoreBadPassphraseError
from hermes_node.host import Host
from hermes_node.lifecycle.node import Node
from hermes_node.lifecycle.run import run_until_stopped
from hermes_node.lifecycle.steps import Serving
from hermes_node.logs.event_log import EventLog
from tests.simulation.draws import DrawnBytes, Draws
from tests.simulation.fronts import Fronts
from tests.simulation.jobs import KilledInTheActError, Pool, Worker
from tests.simulation.loop import EPOCH_S, START_S, Process, VirtualLoop
from tests.simulation.network import Network
from tests.simulation.schedule import Schedule
from tests.simulation.settings import current_fronts, node_config, node_name, scratch_folder
from tests.simulation.transport import SimTransport
from tests.simulation.volume import Snapshot, Volume, abandon
from tests.support.cheap_kem import CheapKem

if TYPE_CHECKING:
    from hermes_keystore import Keystore


PASSPHRASE: Final = "the same in every world"
MESSAGE_COST_S: Final = 1e-4
"""A few times what a relayed frame costs: streams of a world have several turns for what they send at once."""


class CountedCost:
    """A cost clock by which every message costs the same, so that worlds repeat: nodes read it once for each."""

    def __init__(self) -> None:
        self._messages = 0

    def __call__(self) -> float:
        self._messages += 1
        return self._messages * MESSAGE_COST_S


class QuickBackend:
    """A passphrase without Argon2, which would be all that a start costs."""

    backend_id: Final = 200

    def __init__(self, passphrase: SecretBytes, _costs: Argon2Params, _any_cost: bool = False) -> None:
        self._key = SecretBytes.take(bytearray(hashlib.sha256(passphrase.buffer).digest()))

    def wrap(self, master: SecretBytes, context: bytes, random: RandomSource) -> bytes:
        nonce = generate_bytes(NONCE_BYTES, random)
        return nonce + seal_xchacha(self._key, nonce, master.buffer, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes:
        try:
            return SecretBytes.take(bytearray(open_xchacha(self._key, wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context)))
        except InvalidTagError:
            raise KeystoreBadPassphraseError("not this passphrase") from None


class LogLines(io.StringIO):
    """What a node logs, line by line; a stream for `EventLog`."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        super().__init__()
        self._hear = hear

    def write(self, text: str) -> int:
        self._hear(text)
        return len(text)


class Watch(Protocol):
    """Who watches the machines."""

    def logged(self, process: str, line: str) -> None: ...
    def node_ended(self, machine: Machine, process: Process, exit_code: int, reason: str) -> None: ...


class Machine:
    """`process` is the one that runs, or None. `wall_offset_s`: how far its wall clock is ahead, asked at each start."""

    def __init__(
        self, number: int, schedule: Schedule, loop: VirtualLoop, network: Network, draws: Draws, watch: Watch
    ) -> None:
        self.number = number
        self.name = node_name(number)
        self.draws = draws
        self._loop = loop
        self._network = network
        self._watch = watch
        folder = scratch_folder() / self.name
        folder.mkdir(exist_ok=True)
        self.volume = Volume(folder)
        self.volume.lose()
        self.fronts = Fronts(loop, network, draws, schedule.fronts or current_fronts())
        self._config = node_config(number, folder, schedule.window, schedule.rotates, schedule.membership)
        self.wall_offset_s = 0.0
        self.disk_hangs_until_s = 0.0
        self.disk_slower_s = 0.0
        self.starts = 0
        self.failures = 0
        self.rollbacks = 0
        self.downs: list[tuple[float, float]] = []
        self._down_since_s = START_S
        self.process: Process | None = None
        self.node: Node | None = None
        self.keystores: list[Keystore] = []
        self.exit: tuple[int, str] | None = None
        self._stop = asyncio.Event()

    @property
    def running(self) -> bool:
        return self.process is not None

    @property
    def idle_timeout_s(self) -> float:
        """How long its chats may be idle."""
        return self._config.cleanup.idle_timeout_s

    @property
    def serving(self) -> bool:
        return self.node is not None and isinstance(self.node._step, Serving)

    @property
    def overdue_s(self) -> float:
        """For how long the first timer of its chats has been due, in seconds; below 0: it is to come, or there is none."""
        if self.node is None or not isinstance(self.node._step, Serving):
            return -1.0
        due = self.node._step.chats._relay.next_timer()
        return -1.0 if due is None else self.node._now() - due

    def start(self) -> None:
        """A process of its own on the same volume."""
        assert self.process is None
        self.starts += 1
        self.exit = None
        self.downs.append((self._down_since_s, self._loop.time()))
        process = self.process = Process(f"{self.name}#{self.starts}", self._loop.time())
        process.worker = Worker(self._loop, self, process)
        process.pool = Pool(self._loop, self.draws, process) if self.fronts.number else None
        self._stop = asyncio.Event()
        process.context.run(self._loop.create_task, self._main(process), name=process.name)

    def kill_at_write(self, number: int) -> None:
        """SIGKILL in the middle of the next transaction, at this write of it; at once when none comes."""
        left = [number]

        def count() -> None:
            left[0] -= 1
            if left[0] <= 0:
                self.volume.on_write = None
                raise KilledInTheActError

        self.volume.on_write = count

    def roll_back(self, image: Snapshot) -> None:
        """SIGKILL, an older image of the volume, and a start on it."""
        if self.running:
            self._die(lose=True)
            self.volume.kill()
        self.volume.on_write = None
        self.volume.restore(image)
        self.rollbacks += 1
        self.start()

    def cut_log(self, kept: float) -> bool:
        """SIGKILL, and somebody cuts the log between two commits, of which the share `kept` stays; whether any went."""
        self._die(lose=True)
        self.volume.on_write = None
        self.volume.kill()
        gone = self.volume.cut_log(kept)
        self.rollbacks += bool(gone)
        return bool(gone)

    def heal(self) -> None:
        self.volume.full = self.volume.broken = False
        self.disk_hangs_until_s = self.disk_slower_s = 0.0
        self.fronts.resume()

    @property
    def killing(self) -> bool:
        """A kill in the act waits for its act."""
        return self.volume.on_write is not None

    def terminate(self) -> None:
        """SIGTERM."""
        self._stop.set()

    def kill(self) -> None:
        """SIGKILL: the volume keeps what was written."""
        self._die()
        self.volume.on_write = None
        self.volume.kill()

    def cut_power(self, kept: float) -> None:
        """The machine stops: of what was not synced only a part is there afterwards."""
        self._die(lose=True)
        self.volume.on_write = None
        self.volume.cut_power(self.draws.of("power", self.name), kept)

    def _die(self, *, lose: bool = False) -> None:
        """With `lose` what its sockets still had to send goes with it."""
        process, self.process = self.process, None
        if process is not None:
            if self.serving or self.exit == (0, ""):  # one that only tried to start was down all the time
                self._down_since_s = self._loop.time()
            self.node = None
            self._loop.kill(process)
            self._network.died(process, lose=lose)
            self.fronts.owner_died(process, lose=lose)
            for keystore in self.keystores:
                abandon(keystore)
            self.keystores.clear()

    async def _main(self, process: Process) -> None:
        log = EventLog(
            node_id=self.name,
            level="warning",
            stream=LogLines(lambda line: self._watch.logged(process.name, line)),
            clock=self.read_clock,
        )
        host = Host(
            random=DrawnBytes(self.draws, process.name),
            kem=CheapKem(),
            wall=self.read_clock,
            monotonic=self._loop.time,
            cost_clock=CountedCost(),
            connect=self.volume.connect,
            build_backend=QuickBackend,
            build_transport=lambda *of_node: SimTransport(self._network, self.fronts, *of_node),
            boot=self._loop.time,
        )
        environment = {"HERMES_KEYSTORE_PASSPHRASE": PASSPHRASE}
        self.node = Node(self._config, environment, log, host)
        self.exit = await run_until_stopped(self.node, self._stop, log)
        self._loop.call_soon(self._ended, process, context=contextvars.Context())

    def _ended(self, process: Process) -> None:
        """Outside of the process: the kernel closes what is still open, and who watches it hears how it ended."""
        if self.process is not process or self.exit is None:
            return
        self._watch.node_ended(self, process, *self.exit)
        self._die()

    def read_clock(self) -> float:
        """What its wall clock says."""
        return EPOCH_S + self.wall_offset_s + self._loop.time()
