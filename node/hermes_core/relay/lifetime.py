"""How long a chat may be idle, and how long its keys may be used."""

from __future__ import annotations

from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.keystore.chat_record import ChatState
from hermes_core.protocol.messages import CloseReason, ErrorNotice
from hermes_core.relay.context import ChatContext
from hermes_core.relay.events import RekeyRequired
from hermes_core.relay.hops import Hops
from hermes_core.relay.standing import Standing


class Lifetime:
    """The owner of a chat's age: when it was last active, how much its present keys have carried, and the grace for a rekey.

    `_counted_epochs`: the hops' epochs that `messages` counts in; it starts again when both have a newer one.
    `_active_on`: the date on which it was active before this run, None once it was in this one; `_active_at`: when it was in
    this run, or began to be known in it. `_old_keys`: not both hops' keys were made in this run.
    """

    __slots__ = (
        "_active_at",
        "_active_on",
        "_context",
        "_counted_epochs",
        "_doubted",
        "_hops",
        "_keys_end_at",
        "_old_keys",
        "_standing",
        "_surely_end_at",
        "messages",
        "rekey_deadline",
    )

    def __init__(self, context: ChatContext, hops: Hops, standing: Standing, now: float) -> None:
        self._context = context
        self._hops = hops
        self._standing = standing
        self._counted_epochs = (0, 0)
        self._active_at = now
        self._active_on: float | None = None
        self._old_keys = False
        self.messages = 0
        self._doubted = False
        """How old the keys are is not known, so they are as old as can be; nobody is to blame for that."""
        self._keys_end_at = float("inf")
        """When the older of the two hops' keys has served its time."""
        self._surely_end_at = float("inf")
        """When keys of before the run have served their whole time in it, however old they were."""
        self.rekey_deadline: float | None = None
        """The end of the grace after REKEY_REQUIRED."""

    def restore(
        self, *, last_active_on: float, messages: int, epochs: tuple[int, int], now: float, keys_in_doubt: bool
    ) -> None:
        """What was active later than `now`, by a clock that was wrong then, is active now."""
        self._active_on = last_active_on
        self._active_at = now
        self._old_keys = True
        self.messages = messages
        self._counted_epochs = epochs
        self._doubted = keys_in_doubt
        self._surely_end_at = now + self._context.params.max_key_lifetime_s

    @property
    def last_active_at(self) -> float:
        """By the run's clock, as far as is known today: what came before the run moves with the calendar."""
        if self._active_on is None:
            return self._active_at
        return min(self._context.calendar.moment(self._active_on), self._active_at)

    @property
    def last_active_on(self) -> float:
        """The date of it, to be stored."""
        return max(0.0, self._context.calendar.date(self.last_active_at))

    @property
    def was_active(self) -> bool:
        """In this run."""
        return self._active_on is None

    @property
    def idle_at(self) -> float:
        return self.last_active_at + self._context.params.idle_timeout_s

    def note_activity(self, now: float) -> None:
        self._active_at = now
        self._active_on = None

    def note_message(self, now: float) -> None:
        """A message of an app; acknowledgements are repeated on every reconnect and keep no idle chat."""
        self._active_at = now
        self._active_on = None
        self.messages += 1

    def doubt_keys(self) -> None:
        """The clock is in doubt: how old keys of before this run are is not known."""
        if self._old_keys:
            self._doubted = True
            if self.rekey_deadline is not None and not self._has_carried_all:
                self.rekey_deadline = float("inf")

    def note_keys(self, began_at: float) -> None:
        """When the older of the keys in use began to be used."""
        self._keys_end_at = began_at + self._context.params.max_key_lifetime_s

    def forget_epoch(self, index: int) -> None:
        """The hop begins anew: its next epoch is newer than what was counted, whatever its number."""
        first, second = self._counted_epochs
        self._counted_epochs = (0, second) if index == 0 else (first, 0)

    def note_renewal(self, epochs: tuple[int, int]) -> bool:
        """True when every key of the chat is newer than those counted so far: the count starts again, the grace is over."""
        counted = self._counted_epochs
        if not (epochs[0] > counted[0] and epochs[1] > counted[1]):
            return False
        self._counted_epochs = epochs
        self.messages = 0
        self.rekey_deadline = None
        self._doubted = self._old_keys = False
        return True

    @property
    def _has_carried_all(self) -> bool:
        return self.messages >= self._context.params.max_key_messages

    def keys_are_due(self, now: float) -> bool:
        """They have served their time, or their messages."""
        return self._doubted or now >= self._keys_end_at or self._has_carried_all

    def keys_due_at(self) -> float | None:
        """When the apps are to be asked for a rekey: at once, when they are both there, if the keys were due before.

        Apps that were asked because of a clock alone are asked again when the keys are due whatever it says.
        """
        if self._standing.state is not ChatState.ACTIVE or not self._hops.lead_on:
            return None
        if self.rekey_deadline is None:
            return 0.0 if self._doubted or self._has_carried_all else self._keys_end_at
        if self.rekey_deadline < float("inf"):
            return None
        return 0.0 if self._has_carried_all else self._surely_end_at

    def ask_for_rekey(self, now: float) -> None:
        """The keys are due: ask the apps for a rekey; the grace begins, without end while only a clock says that they are."""
        due_at = self.keys_due_at()
        if due_at is None or now < due_at:
            return
        by_clock_alone = self._doubted and not self._has_carried_all and now < self._surely_end_at
        self.rekey_deadline = float("inf") if by_clock_alone else now + self._context.params.rekey_grace_s
        chat_id = self._hops.chat_id
        self._context.effects.report(RekeyRequired(chat_id))
        self._hops.tell_apps(
            ErrorNotice(ErrorCode.REKEY_REQUIRED, ErrorScope.FRAME, chat_id, "the keys have served their time", 0)
        )

    def grace_ends_at(self) -> float | None:
        """The grace runs while both apps are there; when one goes it is over at once, and begins anew when it is back."""
        return self.rekey_deadline if self._hops.lead_on or self.rekey_deadline is None else 0.0

    def end_grace(self, _now: float) -> None:
        """No rekey came: the chat ends, unless an app is away."""
        if self._hops.lead_on:
            self._standing.end(CloseReason.RATCHET_FAILED, ())
        else:
            self.rekey_deadline = None
