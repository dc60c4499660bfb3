"""A front that is not ours any more: it greets as one, and then does what a file says. Started as a real one."""

from __future__ import annotations

import argparse
import contextlib
import socket
import tempfile
import time
from pathlib import Path

from hermes_front.link.events import SettingsCame
from hermes_front.link.frames import LinkKind, build_frame
from hermes_front.link.front_end import FrontEnd
from hermes_front.link.payloads import FrontHello, Stats, StreamOpening, build_opening, build_stats

SERVICE = "test.Service"


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--owner", "--run", "--link", "--memory"):
        parser.add_argument(name, type=int)
    parser.add_argument("--listen", type=int, action="append")
    options = parser.parse_args()
    link = socket.socket(fileno=options.link)
    front = FrontEnd(FrontHello(options.run))
    while not any(isinstance(event, SettingsCame) for event in front.receive(link.recv(65_536))):
        pass
    link.sendall(b"".join(front.take_output()) + build_frame(LinkKind.STATS, 0, build_stats(Stats())))
    time.sleep(0.3)
    with contextlib.suppress(OSError):
        globals()[f"_{mode_file(options.owner).read_text()}"](link, front)


def mode_file(owner: int) -> Path:
    """A front has nothing of the test's environment."""
    return Path(tempfile.gettempdir()) / f"rogue-front-{owner}"


def _break_rule(link: socket.socket, _front: FrontEnd) -> None:
    link.sendall(build_frame(LinkKind.DATA, 99, b"of no stream"))
    time.sleep(60)


def _stay_deaf(_link: socket.socket, _front: FrontEnd) -> None:
    time.sleep(60)


def _grow(link: socket.socket, front: FrontEnd) -> None:
    hoard: list[bytes] = []
    link.setblocking(False)
    while True:
        hoard.append(b"x" * (4 << 20))
        time.sleep(0.01)
        with contextlib.suppress(BlockingIOError):
            front.receive(link.recv(65_536))
            link.sendall(b"".join(front.take_output()))


def _flood(link: socket.socket, _front: FrontEnd) -> None:
    """As much as the rules allow, without end: streams that say something and go."""
    number = 0
    opening = build_opening(StreamOpening(f"/{SERVICE}/Listen", "192.0.2.1", 1))
    while True:
        number += 1
        link.sendall(
            build_frame(LinkKind.OPEN, number, opening)
            + build_frame(LinkKind.DATA, number, bytes(1000))
            + build_frame(LinkKind.GONE, number)
        )


if __name__ == "__main__":
    main()
