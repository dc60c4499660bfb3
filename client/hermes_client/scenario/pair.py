"""Two apps and a chat between them, with numbered messages both ways."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from hermes_client.chat import ORDERLY_ENDS, Chat
from hermes_client.client import HermesClient
from hermes_client.errors import ChatEndedError, ClientClosedError
from hermes_client.scenario.delivery import Delivery
from hermes_client.scenario.report import ScenarioReport
from hermes_client.scenario.silence import Silence
from hermes_client.scenario.tally import Tally, Violation
from hermes_client.signal import Signal
from hermes_core.errors import HermesError
from hermes_core.protocol.messages import CloseReason

SHOWN_VIOLATIONS = 3


class BrokenPromiseError(HermesError):
    """Hermes did not keep what it promises; the text names it."""


class PairEnd:
    """One app's end of the chat: what it sends is counted by the other end's tally."""

    def __init__(self, name: str, client: HermesClient, chat: Chat, outgoing: Tally, incoming: Tally) -> None:
        self.name = name
        self.client = client
        self.chat = chat
        self.outgoing = outgoing
        self.incoming = incoming
        self.silence = Silence()

    async def send_next(self) -> None:
        await self.chat.send(self.outgoing.build_next())

    def arrived(self, content: bytes) -> None:
        self.silence.heard()
        self.incoming.record(content)


class ChatPair:
    """Made by `ChatPair.establish`. `close` ends the receivers; the clients belong to the caller."""

    def __init__(self, first: PairEnd, second: PairEnd, delivery: Delivery) -> None:
        self.ends = (first, second)
        self.progress = Signal()
        self._receivers = [asyncio.create_task(self._receive(end, delivery)) for end in self.ends]

    @classmethod
    async def establish(cls, first: HermesClient, second: HermesClient, delivery: Delivery, timeout_s: float) -> ChatPair:
        """Handshake: `first` offers once its node knows of `second`, which accepts."""
        await first.wait_for_app(second.app_id, timeout_s)
        accepting = asyncio.create_task(_accept_from(second, first, timeout_s))
        try:
            offered = await first.start_chat(second.app_id, timeout_s)
            accepted = await accepting
        finally:
            accepting.cancel()
            await asyncio.gather(accepting, return_exceptions=True)
        run_id = secrets.token_hex(4)
        there, back = Tally(run_id, "a→b"), Tally(run_id, "b→a")
        return cls(PairEnd("a", first, offered, there, back), PairEnd("b", second, accepted, back, there), delivery)

    @property
    def tallies(self) -> tuple[Tally, Tally]:
        return self.ends[0].outgoing, self.ends[1].outgoing

    @property
    def messages(self) -> int:
        """Messages sent, both ways."""
        return sum(tally.sent for tally in self.tallies)

    @property
    def received(self) -> int:
        return sum(tally.received for tally in self.tallies)

    @property
    def unacknowledged(self) -> int:
        return sum(end.chat.unacknowledged for end in self.ends)

    @property
    def resumes(self) -> int:
        return sum(end.chat.resumes for end in self.ends)

    async def send(self, each: int, pace_s: float = 0.0) -> None:
        """`each` messages in both directions at the same time, with a pause after every one."""
        await asyncio.gather(*(self._send_from(end, each, pace_s) for end in self.ends))

    async def settle(self) -> None:
        """Wait until everything sent was acknowledged, then hold every promise against the tallies."""
        await asyncio.gather(*(end.chat.drain() for end in self.ends))
        self.check(complete=True)

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that arriving messages bring about."""
        await self.progress.wait_for(condition)

    async def wait_broken(self) -> None:
        """Raise as soon as a promise is broken that no later message can mend, or either app was told that the chat failed.

        The one that was told need not be the one that a step waits for: the other may be where nobody can tell it.
        """
        await self.progress.wait_for(lambda: bool(self.violations(complete=False)) or self._find_failure() is not None)
        self.check(complete=False)
        if (failure := self._find_failure()) is not None:
            raise failure

    def watch_path(self) -> Callable[[], Awaitable[None]]:
        """A function that returns once either app has noticed, since now, that the way to the other was gone."""
        losses_before = sum(end.chat.path_losses for end in self.ends)
        ends = self.ends

        async def wait_lost() -> None:
            waits = [asyncio.create_task(self._wait_losses(end.chat, losses_before)) for end in ends]
            try:
                done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in waits:
                    task.cancel()
                await asyncio.gather(*waits, return_exceptions=True)

        return wait_lost

    def cut_streams(self) -> None:
        """Break both apps' streams off, as a lost network would."""
        for end in self.ends:
            end.client.reconnect()

    def measure_silences(self) -> None:
        """Forget earlier ones: messages flow without a break from now on."""
        for end in self.ends:
            end.silence.measure()

    def stop_measuring(self) -> None:
        for end in self.ends:
            end.silence.stop()

    @property
    def longest_silence_s(self) -> float:
        return max(end.silence.longest_s or 0.0 for end in self.ends)

    async def wait_up(self) -> None:
        """Wait until both apps see the whole path."""
        for end in self.ends:
            await self._wait_up(end.chat)

    async def _wait_losses(self, chat: Chat, before: int) -> None:
        await chat.wait(lambda: sum(end.chat.path_losses for end in self.ends) > before)

    async def _wait_up(self, chat: Chat) -> None:
        await chat.wait(lambda: chat.up)

    def violations(self, *, complete: bool) -> list[Violation]:
        return [found for tally in self.tallies for found in tally.violations(complete=complete)]

    def check(self, *, complete: bool) -> None:
        """Raise BrokenPromiseError that names the first violations."""
        found = self.violations(complete=complete)
        if found:
            more = f" and {len(found) - SHOWN_VIOLATIONS} more" if len(found) > SHOWN_VIOLATIONS else ""
            raise BrokenPromiseError("; ".join(map(str, found[:SHOWN_VIOLATIONS])) + more)

    async def end_chat(self) -> None:
        """The first app deletes the chat, the second must be told so."""
        first, second = (end.chat for end in self.ends)
        await first.delete()
        reason = await second.wait_ended()
        if reason is not CloseReason.DELETED_BY_PEER:
            raise BrokenPromiseError(f"{self.ends[1].name} was told {reason.name} instead of DELETED_BY_PEER")

    def fill(self, report: ScenarioReport, suffix: str = "") -> None:
        """Add this chat's counts to a report."""
        report.messages += self.messages
        for tally in self.tallies:
            report.lost += len(tally.lost())
            report.duplicated += len(tally.duplicated)
            report.reordered += len(tally.reordered)
        report.violations += [str(found) + (f" (chat {suffix})" if suffix else "") for found in self.violations(complete=True)]
        for end in self.ends:
            report.resumes[end.name + suffix] = end.chat.resumes
            if end.silence.longest_s is not None:
                report.longest_pause_s[end.name + suffix] = round(end.silence.longest_s, 3)

    def describe_backlog(self) -> str:
        """Where messages hang, for a step that ran out of time."""
        return "; ".join(
            f"{end.outgoing.direction}: {end.outgoing.sent} sent, {end.outgoing.received} received, "
            f"{end.chat.acknowledged} acknowledged, path {'up' if end.chat.up else 'down'}"
            for end in self.ends
        )

    async def close(self) -> None:
        for task in self._receivers:
            task.cancel()
        await asyncio.gather(*self._receivers, return_exceptions=True)

    def _find_failure(self) -> ChatEndedError | None:
        for chat in (end.chat for end in self.ends):
            if chat.ended is not None and chat.ended not in ORDERLY_ENDS:
                return ChatEndedError(chat.chat_id, chat.ended)
        return None

    async def _send_from(self, end: PairEnd, count: int, pace_s: float) -> None:
        for _ in range(count):
            await end.send_next()
            await asyncio.sleep(pace_s)

    async def _receive(self, end: PairEnd, delivery: Delivery) -> None:
        try:
            async for content in delivery(end.chat):
                end.arrived(content)
                self.progress.notify()
        except (ChatEndedError, ClientClosedError):
            pass  # `wait_broken` reports its end, or the step that waits on this chat
        self.progress.notify()


async def _accept_from(client: HermesClient, other: HermesClient, timeout_s: float) -> Chat:
    async for offer in client.offers():
        if offer.app_id == other.app_id:
            return await offer.accept(timeout_s)
    raise ClientClosedError("the client was closed before the offer came")
