"""Command line, logs, HTTP endpoints, metrics, and that the operator waits for the HermesMesh definition."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from hermes_operator.cli import build_parser, main, parse_settings
from hermes_operator.kube.api import KubeError
from hermes_operator.metrics import OperatorMetrics
from hermes_operator.process.http_server import serve_http
from hermes_operator.process.logs import JsonFormatter
from hermes_operator.process.run import await_definition
from hermes_operator.rollout.state import Rollout, RolloutStep
from tests.support.every_address import expected_loopbacks, find_answering, refuse_ipv6


def settings_of(*arguments: str) -> Any:
    return parse_settings(build_parser().parse_args(["run", *arguments]))


def test_version_and_wrong_options_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("hermes-operator ")
    for wrong in (["run", "--listen", "nowhere"], ["run", "--listen", ":99999"], ["run", "--resync-seconds", "0"], []):
        with pytest.raises(SystemExit) as ended:
            main(wrong)
        assert ended.value.code == 2


def test_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAMESPACE", "hermes-system")
    monkeypatch.setenv("POD_NAME", "operator-1")
    settings = settings_of("--namespace", "a", "--namespace", "b", "--listen", "127.0.0.1:0", "--resync-seconds", "5")
    assert settings.namespaces == ("a", "b")
    assert (settings.http_host, settings.http_port, settings.worker.resync_s) == ("127.0.0.1", 0, 5)
    assert (settings.lease.namespace, settings.lease.name) == ("hermes-system", "hermes-operator")
    assert settings.lease.identity.startswith("operator-1-")
    assert settings.lease.renew_deadline_s < settings.lease.duration_s
    assert settings_of("--no-leader-election").lease is None
    monkeypatch.setenv("HERMES_OPERATOR_NAMESPACES", "x,y")
    assert settings_of().namespaces == ("x", "y")


def test_a_log_line_is_one_json_object_with_its_context() -> None:
    record = logging.LogRecord("hermes_operator.x", logging.WARNING, "f", 1, "pass %d\nfailed", (3,), None)
    record.mesh = "demo"
    line = JsonFormatter().format(record)
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["level"], entry["message"], entry["mesh"]) == ("warning", "pass 3\nfailed", "demo")


async def test_health_and_metrics_over_http() -> None:
    problem = ""
    server, port = await serve_http("127.0.0.1", 0, OperatorMetrics(), lambda: problem)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        async with session.get("/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        async with session.get("/metrics") as answer:
            text = await answer.text()
        problem = "a pass has been running for 300 s"
        async with session.get("/healthz") as answer:
            assert (answer.status, await answer.text()) == (503, problem + "\n")
    await server.stop()
    for series in (
        "hermes_operator_leader 0.0",
        'hermes_operator_reconcile_total{result="ok"} 0.0',
        'hermes_operator_reconcile_total{result="error"} 0.0',
        "hermes_operator_reconcile_duration_seconds_count 0.0",
    ):
        assert series in text
    assert "_created" not in text


async def test_connections_that_ask_nothing_lock_no_health_check_out() -> None:
    server, port = await serve_http("127.0.0.1", 0, OperatorMetrics(), lambda: "")
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(300)]
    async with asyncio.timeout(10):
        while sum(reader.at_eof() or reader.exception() is not None for reader, _ in held) < 200:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/healthz") as answer:
        assert answer.status == 200
    for _, writer in held:
        writer.transport.abort()
    await server.stop()


@pytest.mark.parametrize("with_ipv6", [True, False])
async def test_every_address_answers_those_of_ipv6_too_where_there_are_any(
    monkeypatch: pytest.MonkeyPatch, *, with_ipv6: bool
) -> None:
    if not with_ipv6:
        monkeypatch.setattr(socket, "create_server", refuse_ipv6)
    server, port = await serve_http(settings_of().http_host, 0, OperatorMetrics(), lambda: "")
    reached = await find_answering(port)
    await server.stop()
    assert reached == expected_loopbacks(with_ipv6=with_ipv6)


def test_series_of_a_mesh_start_at_zero_and_end_with_it() -> None:
    metrics = OperatorMetrics()
    metrics.track_mesh("chat", "demo")
    metrics.track_mesh("chat", "other")
    rollout = Rollout(RolloutStep.WITNESS, started_at=datetime(2026, 1, 1, tzinfo=UTC))
    metrics.show_rollout("chat", "demo", rollout)
    value = metrics.registry.get_sample_value
    labels = {"namespace": "chat", "mesh": "demo"}
    assert value("hermes_operator_rollouts_total", labels | {"result": "halted"}) == 0
    assert value("hermes_operator_rollout_in_progress_since_timestamp_seconds", labels) == 1767225600
    metrics.show_rollout("chat", "demo", Rollout(RolloutStep.HALTED, started_at=rollout.started_at))
    assert value("hermes_operator_rollout_in_progress_since_timestamp_seconds", labels) is None
    metrics.forget_mesh("chat", "demo")
    left = [s for m in metrics.registry.collect() for s in m.samples if s.labels.get("mesh") == "demo"]
    assert left == []
    assert value("hermes_operator_rollouts_total", {"namespace": "chat", "mesh": "other", "result": "halted"}) == 0


async def test_the_definition_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    class Cluster:
        answers: tuple[Any, ...] = (False, KubeError(503, "starting"), OSError("refused"), False, True)
        asked = 0

        async def serves(self, _kind: object) -> bool:
            answer = self.answers[self.asked]
            self.asked += 1
            if isinstance(answer, Exception):
                raise answer
            return bool(answer)

    cluster: Any = Cluster()
    async with asyncio.timeout(10):
        await await_definition(cluster, poll_s=0)
    assert cluster.asked == 5
    assert [record.message for record in caplog.records] == [
        "waiting: the cluster does not know HermesMesh: install crds/, or the chart with crds.enabled"
    ]
