"""Telling each side whether its frames would reach the far app."""

from __future__ import annotations

from hermes_core.keystore.chat_record import ChatState
from hermes_core.protocol.messages import PathState
from hermes_core.relay.chat import Chat, Neighbour
from hermes_core.relay.closing import refuse_unknown
from hermes_core.relay.tables import NodeTables


def is_path_up(chat: Chat, index: int) -> bool:
    """Whether frames from side `index` would reach the other app."""
    return chat.state is not ChatState.QUARANTINED and chat.sides[1 - index].leads_on


def refresh_paths(tables: NodeTables, chat: Chat) -> None:
    """Tell each ready side when its path came or went."""
    for index, side in enumerate(chat.sides):
        if not side.ready:
            continue
        up = is_path_up(chat, index)
        if up != side.told_up:
            side.told_up = up
            tables.send_to_side(side, PathState(chat.chat_id, up))


def report_path_down(tables: NodeTables, chat: Chat, index: int) -> None:
    """A frame of this side was dropped because its path is down; say so once."""
    side = chat.sides[index]
    if side.told_up:
        side.told_up = False
        tables.send_to_side(side, PathState(chat.chat_id, up=False))


def apply_path(tables: NodeTables, source: Neighbour, message: PathState, now: float) -> None:
    """The node behind a tieline says whether its own onward path is up."""
    chat = tables.chats.get(message.chat_id)
    index = chat.find_side(source) if chat is not None else None
    if chat is None or index is None:
        refuse_unknown(tables, source, message.chat_id)
        return
    chat.sides[index].remote_up = message.up
    refresh_paths(tables, chat)
    tables.chat_timers.schedule(chat.chat_id, now)  # a rekey that is due can be made when the other app is back
