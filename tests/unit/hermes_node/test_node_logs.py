"""Logs: known events only, one line each, rate limited, and no id, key or payload in full."""

from __future__ import annotations

import io
import json
import logging

import pytest

from hermes_node.logs.event_log import BURST_LINES, EventLog, capture_library_logs, shorten_ids

APP_ID = "abcdefghijklmnopqrstuvwxyz234567"
CHAT_HEX = "00112233445566778899aabbccddeeff"


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def make_log(**settings: str) -> tuple[EventLog, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    return EventLog(node_id="hermes-0", stream=stream, clock=clock, **settings), stream, clock


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line() -> None:
    log, stream, _ = make_log()
    log.info("app_connected", app=APP_ID, count=3)
    (record,) = lines(stream)
    assert record == {
        "time": "2023-11-14T22:13:20.000Z",
        "level": "info",
        "event": "app_connected",
        "node": "hermes-0",
        "app": "abcdefgh",
        "count": 3,
    }


def test_unknown_events_are_refused() -> None:
    log, _, _ = make_log()
    with pytest.raises(KeyError, match=r"logs\.events"):
        log.info("something_else")


def test_bytes_are_never_written() -> None:
    log, stream, _ = make_log()
    log.info("chat_event", frame=b"secret ciphertext", buffers=[bytearray(b"key material")])
    assert "secret" not in stream.getvalue()
    assert "key material" not in stream.getvalue()
    assert lines(stream)[0]["frame"] == "<17 bytes>"


@pytest.mark.parametrize(
    "text",
    [APP_ID, f"app:{APP_ID}", f"node:n:{APP_ID}", CHAT_HEX, f"chat {CHAT_HEX * 2} ended", f"({APP_ID})"],
)
def test_long_ids_are_cut(text: str) -> None:
    cut = shorten_ids(text)
    assert APP_ID not in cut
    assert CHAT_HEX not in cut
    assert len(cut) < len(text)


def test_plain_words_and_hosts_are_kept() -> None:
    text = "hermes-0.hermes-nodes.default.svc.cluster.local:7443 refused"
    assert shorten_ids(text) == text


def test_newlines_of_outsiders_do_not_make_lines() -> None:
    log, stream, _ = make_log()
    log.info("chat_error", reason='x"\n{"event":"forged"}')
    assert len(lines(stream)) == 1


def test_levels_below_are_dropped() -> None:
    log, stream, _ = make_log(level="warning")
    log.info("app_connected")
    log.warning("app_refused")
    assert [record["event"] for record in lines(stream)] == ["app_refused"]


def test_each_event_is_rate_limited_by_itself_and_drops_are_counted() -> None:
    log, stream, clock = make_log()
    for _ in range(BURST_LINES + 7):
        log.info("app_refused")
    log.info("app_connected")
    assert len(lines(stream)) == BURST_LINES + 1
    clock.now += 1.0
    log.info("app_refused")
    assert lines(stream)[-1]["dropped_before"] == 7


def test_text_format_is_for_people() -> None:
    log, stream, _ = make_log(format="text")
    log.warning("peer_state", peer="hermes-1", after="dead")
    line = stream.getvalue()
    assert line.startswith("2023-11-14T22:13:20.000Z WARNING peer_state")
    assert 'peer="hermes-1"' in line


def test_libraries_are_captured_without_tracebacks() -> None:
    log, stream, _ = make_log()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        capture_library_logs(log)
        try:
            raise ValueError(f"payload {APP_ID}")  # noqa: TRY301
        except ValueError:
            logging.getLogger("aiohttp.server").exception("handling %s", APP_ID)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    (record,) = lines(stream)
    assert (record["event"], record["exception"], record["message"]) == ("library_message", "ValueError", "handling abcdefgh")
    assert "Traceback" not in stream.getvalue()
    assert "payload" not in stream.getvalue()
