"""A member that proved itself, in a process of its own: `member_hold KIND HOST:PORT NODE SECONDS CONNECTIONS CA CERT`.

On each connection it has a stream on which it is proved, and holds what it can; prints as JSON what it got.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.signing import Identity
from hermes_core.errors import HermesError
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.session.join import StreamKind
from hermes_node.mesh.handshake import NodeCredentials
from hermes_wire.app import MAX_BATCH_BYTES
from hermes_wire.byte_stream import StreamEndedError
from tests.support.raw_member import RawMember, RawStream

Hold = Callable[[RawMember, RawStream], Awaitable[int]]


async def begin_long_messages(member: RawMember, gossip: RawStream) -> int:
    """One on the stream that is proved, and one on each that is not."""
    others = [member.open("Join") for _ in range(30)]
    for stream in others:
        await stream.write(b"")
    return await gossip.begin(MAX_BATCH_BYTES)


async def read_nothing(member: RawMember, _gossip: RawStream) -> int:
    member.stop_reading()
    return 0


KINDS: Final[dict[str, Hold]] = {"long_messages": begin_long_messages, "reads_nothing": read_nothing}


class Member:
    def __init__(self, address: str, node: str, ca_file: str, cert: str) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port, self._node = host, int(port), node
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._tls.check_hostname = False
        self._tls.set_alpn_protocols(["h2"])
        self._tls.load_cert_chain(f"{cert}.crt", f"{cert}.key")
        identity, name = Identity.generate(), NodeId(Path(cert).name)
        told = sign_descriptor(identity, node_id=name, address="127.0.0.1:1", incarnation=1, version="1")
        self._local = NodeCredentials(identity, told, SYSTEM_RANDOM)

    async def hold(self, kind: str, seconds: float) -> tuple[int, bool]:
        """How many bytes it sent of what does not end, and whether it was let."""
        member = await RawMember.dial(self._host, self._port, self._tls, "127.0.0.2")
        try:
            async with asyncio.timeout(seconds):
                gossip = await member.prove(self._local, StreamKind.GOSSIP, self._node)
                sent = await KINDS[kind](member, gossip)
        except (TimeoutError, HermesError, StreamEndedError, OSError):
            sent = 0
        await asyncio.sleep(seconds)
        held = not member.ended
        member.abort()
        return sent, held


async def main(kind: str, address: str, node: str, seconds: str, connections: str, ca_file: str, cert: str) -> None:
    member = Member(address, node, ca_file, cert)
    found = await asyncio.gather(*(member.hold(kind, float(seconds)) for _ in range(int(connections))))
    sent = [size for size, _ in found]
    print(
        json.dumps({"MiB": round(sum(sent) / (1 << 20)), "with": sum(map(bool, sent)), "stand": sum(held for _, held in found)})
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
