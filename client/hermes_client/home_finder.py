"""Where the home of an app's chats is reached, when an address that the app was given leads to another node."""

from __future__ import annotations

from typing import Final

from hermes_client.addresses import AddressBook
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import Party
from hermes_core.mesh.descriptor import descriptor_party, verify_descriptor
from hermes_core.mesh.messages import HomeFound

HOME_DIAL_S: Final = 2.0
"""An address that is reached by nobody costs so long, and no longer: a pod's may be of another network."""
HOME_RETRY_S: Final = 1.0
"""Between attempts at the home's own address, at most: when it is back, its apps are within this time."""
UNREACHABLE_S: Final = 10.0
"""A home that other nodes reach, and this app never did at its own address, is given up after so long."""


class HomeFinder:
    """Owns what was learned of the home's own address, and whether this app can reach such addresses at all.

    Any node may tell it: it counts as the home itself signed it, and whoever answers there has to prove that it is the home.
    A liar can keep the address to itself, or tell an older one; it leads nobody to a node of another identity.
    """

    def __init__(self, book: AddressBook, *, direct: bool) -> None:
        self._book = book
        self._direct = direct
        self._home: Party | None = None
        self._incarnation = 0
        self._outside = not direct
        self._reached = False
        self._missed_at: float | None = None
        self._others_at = 0.0

    def home_only(self, now: float, pause_s: float) -> bool:
        """Whether the next round is for the home's addresses alone; one that is not comes after each pause."""
        if now < self._others_at:
            return True
        self._others_at = now + pause_s
        return False

    def take(self, found: HomeFound, home: Party, now: float) -> bool:
        """What a node says of the home. Whether to stay there instead: the home lives, and cannot be reached from here.

        AUTH_FAILED or INVALID_KEY for what the home did not sign.
        """
        descriptor = found.home
        if descriptor is None:
            return False
        verify_descriptor(descriptor)
        if descriptor_party(descriptor) != home:
            raise ProtocolError(ErrorCode.AUTH_FAILED, "the home that was told is another node")
        if home != self._home:
            self._home, self._incarnation, self._missed_at = home, 0, None
        if descriptor.incarnation >= self._incarnation:
            self._incarnation = descriptor.incarnation
            if self._direct and self._book.may_learn(descriptor.app_address):
                self._book.learn(descriptor.node_id, descriptor.app_address)
            else:
                self.miss(now)
        waited_s = 0.0 if self._missed_at is None else now - self._missed_at
        return (
            found.linked
            and self._missed_at is not None
            and (self._outside or (waited_s >= UNREACHABLE_S and not self._reached))
        )

    def miss(self, now: float) -> None:
        """The home's own address, if there is one, led nowhere."""
        if self._missed_at is None:
            self._missed_at = now

    def arrive(self, *, own: bool, stayed: bool) -> None:
        """A session stands: at the home's own address, at another node instead of the home, or anywhere else."""
        self._missed_at = None
        if own:
            self._reached, self._outside = True, False
        elif stayed:
            self._outside = True
