"""A world as a sequence of who told whom what: commits, messages, faults and ends, a line each, for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hermes_core.protocol.messages import Sealed
from hermes_core.ratchet.header import parse_header
from tests.simulation import faults
from tests.simulation.loop import START_S
from tests.simulation.schedule import Fault
from tests.simulation.world import World, parse_app_batch, parse_batch

if TYPE_CHECKING:
    from tests.simulation.loop import Process
    from tests.simulation.machines import Machine
    from tests.simulation.streams import SimStream


class Tracer:
    """Wraps a world's ears before it runs. `write` gets a line at a time."""

    def __init__(self, world: World, write: Callable[[str], None]) -> None:
        self._world = world
        self._write = write
        world.network.on_write.append(self._message)
        world.violate = self._wrap(world.violate, lambda name, text: f"!! {name}: {text}")  # type: ignore[method-assign]
        world.ledger.report = world.violate
        world.inflict = self._wrap(world.inflict, _describe_fault)  # type: ignore[method-assign]
        world.node_ended = self._wrap(world.node_ended, _describe_end)  # type: ignore[method-assign]
        world.hooks.committed = self._wrap(world.hooks.committed, _describe_commit)  # type: ignore[method-assign]

    def _wrap(self, function: Callable[..., Any], describe: Callable[..., str]) -> Callable[..., Any]:
        def wrapped(*args: Any) -> Any:
            self._line(describe(*args))
            return function(*args)

        return wrapped

    def _line(self, text: str) -> None:
        self._write(f"{self._world.loop.time() - START_S:10.4f}  {text}")

    def _message(self, stream: SimStream, process: Process, data: bytes) -> None:
        if stream.carries_chats:
            is_node = self._world.is_node(process)
            messages = parse_batch(stream, data) if is_node else parse_app_batch(data)
            told = ", ".join(_describe(message) for message in messages)
            self._line(f"{process.name:>12} -> {stream.peer_of(process).name:<12} #{stream.number}  {told}")


def _describe(message: Any) -> str:
    if type(message) is Sealed:
        header = parse_header(message.frame)
        return f"Sealed {header.kind.name} {header.chat_id.hex()[:6]} {header.epoch}.{header.position}"
    chat_id = getattr(message, "chat_id", None)
    extra = [f"{name}={getattr(message, name)!s}" for name in ("up", "reason", "code") if hasattr(message, name)]
    return " ".join([type(message).__name__, *([chat_id.hex()[:6]] if chat_id else []), *extra])


def _describe_fault(fault: Fault) -> str:
    words = [fault.kind, fault.target, fault.other, f"for {fault.for_s} s" if fault.for_s else ""]
    what = (faults.KINDS[fault.kind].__doc__ or "").strip().splitlines()[0]
    return f"== {' '.join(word for word in words if word)}  ({what})"


def _describe_end(machine: Machine, process: Process, exit_code: int, reason: str) -> str:
    return f"-- {process.name} on {machine.name} ended with {exit_code} {reason}"


def _describe_commit(process: Process, puts: Any, deletes: Any) -> str:
    kept = [f"{table.name.lower()} {key.hex()[:6]}" for table, key in puts]
    gone = [f"no {table.name.lower()} {key.hex()[:6]}" for table, key in deletes]
    return f"{process.name:>12} |  commits {', '.join(kept + gone)}"
