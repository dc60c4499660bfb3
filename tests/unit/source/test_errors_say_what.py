"""The text of an error is for people: what an app's own machine or its library raises says more than its code does."""

from __future__ import annotations

import ast

from tests.unit.source.product import name_of, walk


def test_every_protocol_error_that_an_app_may_see_says_what_it_is() -> None:
    raised = [
        node
        for node in walk("node/hermes_core/endpoint", "client")
        if isinstance(node, ast.Call) and name_of(node.func) == "ProtocolError"
    ]
    assert len(raised) > 20
    assert [ast.unparse(call) for call in raised if len(call.args) < 2 and not _has_detail(call)] == []


def _has_detail(call: ast.Call) -> bool:
    return any(keyword.arg == "detail" for keyword in call.keywords)
