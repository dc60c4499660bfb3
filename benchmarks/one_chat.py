"""One chat between two apps at home on one node with a real keystore: every pass is committed before it is sent."""

from __future__ import annotations

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import ChatOffered, MessageReceived
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.router import AppChats
from hermes_core.ids import ChatId, NodeId
from hermes_core.keystore.chat_record_codec import encode_chat_record
from hermes_core.relay.neighbour import app_neighbour
from hermes_core.relay.params import ChatParams
from hermes_core.relay.router import NodeChats
from hermes_core.session.keys import StreamKeys
from hermes_keystore import Keystore, Table

BATCH = 16


class OneChat:
    """The chat is open when this is made; `send` returns once every message was received and acknowledged."""

    def __init__(self, store: Keystore) -> None:
        self._store = store
        self._node_identity = Identity.generate()
        self._node_id = NodeId("node-0")
        self._node = NodeChats(identity=self._node_identity, node_id=self._node_id, params=ChatParams(), random=SYSTEM_RANDOM)
        identities = [Identity.generate() for _ in range(2)]
        self._apps = [AppChats(identity=identity, params=AppParams(), random=SYSTEM_RANDOM) for identity in identities]
        self.received = 0
        for stream, (identity, app) in enumerate(zip(identities, self._apps, strict=True)):
            keys = StreamKeys(bytes([stream]) * 32, bytes(12), bytes(12))
            self._node.connected(app_neighbour(app.app_id), stream, identity.public_key, keys, 0.0)
            app.connected(self._node_id, self._node_identity.public_key, keys, 0.0)
        self._settle()
        self._chat_id: ChatId = self._apps[0].start_chat(self._apps[1].app_id, 0.0)
        self._settle()

    def send(self, messages: int, content: bytes) -> None:
        for start in range(0, messages, BATCH):
            for _ in range(min(BATCH, messages - start)):
                self._apps[0].send(self._chat_id, content, 0.0)
            self._settle()

    def _settle(self) -> None:
        moved = True
        while moved:
            moved = any([self._pass_node(), *(self._pass_app(app) for app in self._apps)])

    def _pass_app(self, app: AppChats) -> bool:
        output = app.take_output()
        for event in output.events:
            if isinstance(event, ChatOffered):
                app.accept(event.chat_id, 0.0)
            elif isinstance(event, MessageReceived):
                self.received += 1
                app.acknowledge(event.chat_id, event.seq, 0.0)
        for message in output.sends:
            self._node.receive(app_neighbour(app.app_id), message, 0.0)
        return bool(output.sends or output.events)

    def _pass_node(self) -> bool:
        output = self._node.take_output()
        puts = {(Table.CHAT, bytes(chat_id)): encode_chat_record(record) for chat_id, record in output.puts.items()}
        self._store.commit(puts, {(Table.CHAT, bytes(chat_id)) for chat_id in output.deletes})
        for record in output.puts.values():
            record.wipe()
        for send in output.sends:
            self._apps[send.stream].receive(send.message, 0.0)  # type: ignore[arg-type]
        return bool(output.sends)
