"""Resumes that wait until it is known whether the store is the latest: what came meanwhile is taken up then, in order."""

from __future__ import annotations

from hermes_core.ids import ChatId
from hermes_core.protocol.messages import Resume
from hermes_core.relay.neighbour import Neighbour


class ResumeGate:
    """The owner of what waits. It is open, may be shut once, and stays open when it was opened again.

    A neighbour's later claims of a chat take the place of earlier ones.
    """

    def __init__(self) -> None:
        self._shut = self._done = False
        self._waiting: dict[Neighbour, dict[ChatId, Resume]] = {}

    @property
    def is_shut(self) -> bool:
        return self._shut

    def shut(self) -> None:
        self._shut = not self._done

    def hold(self, source: Neighbour, resume: Resume) -> None:
        self._waiting.setdefault(source, {})[resume.chat_id] = resume

    def drop(self, neighbour: Neighbour) -> None:
        """Its stream is gone, and what it claimed there with it."""
        self._waiting.pop(neighbour, None)

    def open(self) -> list[tuple[Neighbour, Resume]]:
        """Nothing waits from now on; what did."""
        self._shut, self._done = False, True
        waiting, self._waiting = self._waiting, {}
        return [(source, resume) for source, resumes in waiting.items() for resume in resumes.values()]
