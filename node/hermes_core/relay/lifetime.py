"""How long a chat may be idle, and how long its keys may be used."""

from __future__ import annotations

from hermes_core.relay.params import ChatParams


class Lifetime:
    """The owner of a chat's age: when it was last active, how much its present keys have carried, and the grace for a rekey.

    `counted_epochs`: the hops' epochs that `messages` counts in; it starts again when both have a newer one.
    """

    __slots__ = ("_counted_epochs", "_keys_end_at", "_params", "last_active_at", "messages", "rekey_deadline")

    def __init__(self, params: ChatParams, now: float) -> None:
        self._params = params
        self._counted_epochs = (0, 0)
        self.last_active_at = now
        self.messages = 0
        self._keys_end_at = float("inf")
        """When the older of the two hops' keys has served its time."""
        self.rekey_deadline: float | None = None
        """The end of the grace after REKEY_REQUIRED."""

    def restore(self, *, last_active_at: float, messages: int, epochs: tuple[int, int]) -> None:
        self.last_active_at = last_active_at
        self.messages = messages
        self._counted_epochs = epochs

    @property
    def idle_at(self) -> float:
        return self.last_active_at + self._params.idle_timeout_s

    @property
    def unconfirmed_at(self) -> float:
        """When a first handshake that was answered must have been confirmed."""
        return self.last_active_at + self._params.handshake_timeout_s

    def note_activity(self, now: float) -> None:
        self.last_active_at = now

    def note_message(self, now: float) -> None:
        """A message of an app; acknowledgements are repeated on every reconnect and keep no idle chat."""
        self.last_active_at = now
        self.messages += 1

    def note_keys(self, began_at: float) -> None:
        """When the older of the keys in use began to be used."""
        self._keys_end_at = began_at + self._params.max_key_lifetime_s

    def note_renewal(self, epochs: tuple[int, int]) -> bool:
        """True when every key of the chat is newer than those counted so far: the count starts again, the grace is over."""
        counted = self._counted_epochs
        if not (epochs[0] > counted[0] and epochs[1] > counted[1]):
            return False
        self._counted_epochs = epochs
        self.messages = 0
        self.rekey_deadline = None
        return True

    @property
    def keys_due_at(self) -> float:
        """When the keys have served their time; at once, when they have served their messages."""
        return 0.0 if self.messages >= self._params.max_key_messages else self._keys_end_at

    def keys_are_due(self, now: float) -> bool:
        return now >= self._keys_end_at or self.messages >= self._params.max_key_messages

    def begin_grace(self, now: float) -> None:
        self.rekey_deadline = now + self._params.rekey_grace_s

    def end_grace(self) -> None:
        self.rekey_deadline = None
