"""What an invariant may listen to; each overrides what it needs, and only that is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from hermes_core.crypto.secret import SecretBytes
    from hermes_core.endpoint.output import AppOutput
    from hermes_core.protocol.session import Connected
    from hermes_core.relay.output import NodeOutput
    from hermes_keystore import Keystore
    from tests.simulation.instruments import ControlPlace
    from tests.simulation.loop import Process
    from tests.simulation.schedule import Fault
    from tests.simulation.streams import SimStream
    from tests.simulation.world import World


class Invariant:
    """`name` is what a violation is listed under."""

    name: ClassVar[str]

    def __init__(self, world: World) -> None:
        self.world = world

    def violate(self, text: str) -> None:
        self.world.violate(self.name, text)

    # A process, None where code runs outside of any.

    def keystore_opened(self, process: Process, keystore: Keystore) -> None: ...
    def committed(self, process: Process, puts: Any, deletes: Any) -> None: ...
    def app_store_opened(self, process: Process, keystore: Keystore) -> None:
        """As `keystore_opened`, of an app."""

    def app_committed(self, process: Process, puts: Any, deletes: Any) -> None: ...
    def decided(self, process: Process, output: NodeOutput) -> None: ...
    def app_decided(self, process: Process, output: AppOutput) -> None: ...
    def app_connected(self, process: Process) -> None:
        """The chats of an app have a new stream; what is decided from here on is for it."""

    def app_believed(self, process: Process, number: int, connected: Connected) -> None:
        """An app takes this for its node's word, on the stream of this number."""

    def chats_released(self, process: Process) -> None:
        """What is known of a node's opening is known: its chats may go on."""

    def app_wrote(self, stream: SimStream, process: Process, messages: list[Any]) -> None:
        """As `written`, of an app."""

    def stream_numbered(self, process: Process, number: int) -> None: ...
    def written(self, stream: SimStream, process: Process, messages: list[Any]) -> None:
        """What a process puts on the wire, parsed; nothing for streams that carry no chats."""

    def timer_fires(self, process: Process, late_s: float) -> None: ...
    def sealed(self, process: Process | None, key: bytes, nonce: bytes, frame: bytes) -> None: ...
    def opened(self, process: Process | None, kind: int, missing: int) -> None:
        """A frame of a channel of this kind was opened, so many positions beyond the next one."""

    def secret_made(self, process: Process | None, secret: SecretBytes) -> None: ...
    def control_sent(self, key: bytes, place: ControlPlace) -> None:
        """A control message got its tag, under the key of its direction."""

    def control_taken(self, process: Process | None, key: bytes, place: ControlPlace) -> None:
        """One was let through to the machine."""

    def pair_cut(self, fault: Fault) -> None:
        """Nothing passes between these two nodes for the fault's time."""

    def process_ended(self, process: Process, exit_code: int, reason: str) -> None:
        """A node's process ended by itself."""

    def waits(self) -> bool:
        """Whether what is missing at rest may come yet, by one of the protocol's long waits."""
        return False

    def at_rest(self) -> None:
        """Everything was healed, and time enough has gone by."""
