"""What every chat of a node works with; none of it is a chat's to change, except by asking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hermes_core.crypto.mlkem import Kem
from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.signing import Identity
from hermes_core.crypto.suites import Suite
from hermes_core.ids import AppId, ChannelKind, ChatId, Party, app_party
from hermes_core.ratchet.channel import Channel
from hermes_core.ratchet.state import ChannelSnapshot
from hermes_core.relay.admission import Admission
from hermes_core.relay.calendar import Calendar
from hermes_core.relay.directory import Directory
from hermes_core.relay.effects import Effects
from hermes_core.relay.neighbour import Link, Neighbour
from hermes_core.relay.params import ChatParams
from hermes_core.relay.rows import ChatIndex
from hermes_core.relay.whereabouts import Whereabouts


@dataclass(frozen=True, slots=True)
class ChatContext:
    """`links` are the streams that stand; `effects` takes what the chats want done."""

    params: ChatParams
    identity: Identity
    party: Party
    random: RandomSource
    kem: Kem
    links: Mapping[Neighbour, Link]
    effects: Effects
    admission: Admission
    calendar: Calendar
    directory: Directory
    index: ChatIndex
    whereabouts: Whereabouts

    def build_channel(self, chat_id: ChatId, link: Link, *, floor: Suite | None = None) -> Channel:
        """A channel towards a connected neighbour; it has no epoch yet. `floor`: of the one whose place it takes."""
        return self._build(link.neighbour.kind, chat_id, link.party, link.public_key, floor)

    def build_unbound(self, chat_id: ChatId, app_id: AppId, *, floor: Suite | None = None) -> Channel:
        """Of a hop to an app whose home is not known, or whose leg is being made: it never has an epoch."""
        return self._build(ChannelKind.LEG, chat_id, app_party(app_id), None, floor)

    def _build(self, kind: ChannelKind, chat_id: ChatId, peer: Party, key: bytes | None, floor: Suite | None) -> Channel:
        return Channel(
            kind=kind,
            chat_id=chat_id,
            identity=self.identity,
            local=self.party,
            peer=peer,
            peer_public_key=key,
            params=self.params.channel,
            random=self.random,
            kem=self.kem,
            floor=floor,
        )

    def restore_channel(self, chat_id: ChatId, snapshot: ChannelSnapshot, app_id: AppId) -> Channel:
        """The channel of a record, at the positions it reserved.

        One of before our identity key was renewed is of no use any more: its app moves to us anew.
        """
        if snapshot.local != self.party:
            return self.build_unbound(chat_id, app_id)
        return Channel.restore(
            snapshot, chat_id=chat_id, identity=self.identity, params=self.params.channel, random=self.random, kem=self.kem
        )
