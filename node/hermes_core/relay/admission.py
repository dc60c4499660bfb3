"""Who may open or rekey a chat: limits and throttles, all checked before any cryptography."""

from __future__ import annotations

from collections import Counter, OrderedDict
from enum import StrEnum
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId
from hermes_core.relay.cure_line import CureLine, Requester
from hermes_core.relay.neighbour import app_neighbour
from hermes_core.relay.params import ChatParams
from hermes_core.relay.rows import ChatIndex
from hermes_core.relay.waiting_offers import RETRY_LATER_MS, WaitingOffers
from hermes_core.token_bucket import TokenBucket

MAX_THROTTLED_APPS: Final = 10_000
"""Apps whose recent handshakes are remembered; the one longest unseen is forgotten first."""
LOOKUP_BURST: Final = 200
LOOKUP_REFILL_S: Final = 0.02
"""Where an app is: a look into a table, and an answer. Who waits for another app asks a few times a second."""
STRANGERS_BURST: Final = 200
STRANGERS_REFILL_S: Final = 0.05
"""Of these, apps that other nodes have to be asked for: up to four of them, 0.1 ms of each."""
STEP_BURST: Final = 1 << 17
STEP_REFILL_S: Final = 1 / (1 << 16)
"""Positions that resumes may pass over: a chain is stepped for each, 2 µs. So it is a seventh of a core for one app at most."""
MOVE_BURST: Final = 1000
MOVE_REFILL_S: Final = 0.1
"""Moves that an app may make here, apart from its handshakes: all its chats come at once when its home is gone."""


class AppBudget(StrEnum):
    """What one app may do so often, whatever code it hears when it is refused."""

    HANDSHAKES = "handshakes"
    MOVES = "moves"
    REKEYS = "rekeys"
    LOOK_UPS = "look_ups"
    UNKNOWN_TARGETS = "unknown_targets"
    RESUME_STEPS = "resume_steps"


class AppThrottle:
    """How often one app may open chats, move them here, rekey, look others up, and how far resumes may move positions."""

    __slots__ = ("handshakes", "lookups", "moves", "rekeys", "steps", "strangers")

    def __init__(self, params: ChatParams, now: float) -> None:
        self.handshakes = TokenBucket(params.max_handshakes_per_app, params.handshake_refill_s, now)
        factor = params.rekey_app_factor
        self.rekeys = TokenBucket(params.rekey_burst * factor, params.rekey_refill_s / factor, now)
        self.lookups = TokenBucket(LOOKUP_BURST, LOOKUP_REFILL_S, now)
        self.strangers = TokenBucket(STRANGERS_BURST, STRANGERS_REFILL_S, now)
        self.steps = TokenBucket(STEP_BURST, STEP_REFILL_S, now)
        self.moves = TokenBucket(MOVE_BURST, MOVE_REFILL_S, now)


class Admission:
    """The owner of throttles, and of how often each refused. `offers`: first offers that wait.

    `cures`: whose turn it is to rekey after a rollback.
    """

    def __init__(self, params: ChatParams, index: ChatIndex) -> None:
        self._params = params
        self._index = index
        self._throttles: OrderedDict[Requester, AppThrottle] = OrderedDict()
        self._draining = False
        self.refused: Counter[AppBudget] = Counter()
        self.offers = WaitingOffers(params.max_handshakes_per_app)
        self.cures = CureLine()

    def drain(self) -> None:
        """Take no new chats; those that live go on."""
        self._draining = True

    def check_open(self) -> None:
        """DRAINING once the node is about to leave."""
        if self._draining:
            raise ProtocolError(ErrorCode.DRAINING, "this node is about to leave")

    def check_room(self, maker: Requester, target: AppId) -> None:
        """LIMIT_EXCEEDED when the node, or one of the apps, has as many chats as it may have, or as many offers that wait.

        Offers that wait are fewer after a while, so it says when to try again while any of those that count is one; chats go
        on for as long as their apps want.
        """
        self.check_place(maker[1], maker)
        self.check_place(target)
        self.offers.check(maker, target)

    def check_place(self, app_id: AppId, maker: Requester | None = None) -> None:
        """LIMIT_EXCEEDED when the node, or the app, has as many chats as it may have. `maker`: whose offers are the app's."""
        if len(self._index) >= self._params.max_chats:
            raise _full("this node has as many chats as it may have", waits=bool(self.offers))
        if self._index.count_of(app_neighbour(app_id)) >= self._params.max_chats_per_app:
            waits = self.offers.has_of(app_id, maker)
            raise _full("the app has as many chats as it may have", waits=waits)

    def charge_move(self, requester: Requester, now: float) -> None:
        """HANDSHAKE_THROTTLED when the app has moved too many chats here of late, or made legs anew; repeats count too."""
        self._charge(AppBudget.MOVES, self._throttle_of(requester, now).moves, now)

    def charge_handshake(self, requester: Requester, now: float) -> None:
        """HANDSHAKE_THROTTLED when the app has asked for too many chats of late."""
        self._charge(AppBudget.HANDSHAKES, self._throttle_of(requester, now).handshakes, now)

    def charge_rekey(self, requester: Requester, now: float) -> None:
        """REKEY_THROTTLED when the app has rekeyed too often, over all its chats."""
        self._charge(AppBudget.REKEYS, self._throttle_of(requester, now).rekeys, now, ErrorCode.REKEY_THROTTLED)

    def charge_lookup(self, requester: Requester, now: float) -> None:
        """HANDSHAKE_THROTTLED when the app has looked up too many others of late."""
        self._charge(AppBudget.LOOK_UPS, self._throttle_of(requester, now).lookups, now)

    def charge_stranger(self, requester: Requester, now: float) -> None:
        """HANDSHAKE_THROTTLED when the app has asked of late for too many that this node does not know the place of."""
        self._charge(AppBudget.UNKNOWN_TARGETS, self._throttle_of(requester, now).strangers, now)

    def check_steps(self, requester: Requester, now: float) -> None:
        """HANDSHAKE_THROTTLED while earlier resumes of the app have moved positions too far; they are repeated later."""
        wait_ms = self._throttle_of(requester, now).steps.peek(now)
        if wait_ms:
            self.refused[AppBudget.RESUME_STEPS] += 1
            raise ProtocolError(ErrorCode.HANDSHAKE_THROTTLED, "resumes moved too many positions", retry_after_ms=wait_ms)

    def charge_steps(self, requester: Requester, steps: int, now: float) -> None:
        """What a resume has cost, once it shows."""
        self._throttle_of(requester, now).steps.take(steps)

    def _charge(
        self, budget: AppBudget, bucket: TokenBucket, now: float, code: ErrorCode = ErrorCode.HANDSHAKE_THROTTLED
    ) -> None:
        try:
            charge(bucket, now, code)
        except ProtocolError:
            self.refused[budget] += 1
            raise

    def _throttle_of(self, requester: Requester, now: float) -> AppThrottle:
        throttle = self._throttles.get(requester)
        if throttle is None:
            throttle = self._throttles[requester] = AppThrottle(self._params, now)
            if len(self._throttles) > MAX_THROTTLED_APPS:
                self._throttles.popitem(last=False)
        self._throttles.move_to_end(requester)
        return throttle


def check(bucket: TokenBucket, now: float, code: ErrorCode) -> None:
    """`code`, with the wait, when there is no token to take."""
    wait_ms = bucket.peek(now)
    if wait_ms:
        raise ProtocolError(code, retry_after_ms=wait_ms)


def charge(bucket: TokenBucket, now: float, code: ErrorCode) -> None:
    """Take a token; `code`, with the wait, when there is none."""
    check(bucket, now, code)
    bucket.take()


def _full(detail: str, *, waits: bool) -> ProtocolError:
    return ProtocolError(ErrorCode.LIMIT_EXCEEDED, detail, retry_after_ms=RETRY_LATER_MS if waits else 0)
