"""Saying in the conditions that passes fail; the next one that gets through takes it back."""

from __future__ import annotations

from typing import Any

from hermes_operator.crd_spec import parse_mesh
from hermes_operator.diagnose import diagnose
from hermes_operator.kube import kinds
from hermes_operator.plan.actions import Problem
from hermes_operator.reconcile.context import PassContext
from hermes_operator.rollout.state import parse_rollout
from hermes_operator.status.conditions import degraded, render_condition


async def report_failure(context: PassContext, namespace: str, name: str, problem: Problem) -> None:
    """Put `problem` into `Degraded`, as the next pass would; written only where it is not there yet."""
    body = await context.api.get(kinds.MESHES, namespace, name)
    if body is None:
        return
    mesh, status = parse_mesh(body), body.get("status") or {}
    told = degraded(diagnose(parse_rollout(status, mesh.replicas), (problem,)))
    old: list[dict[str, Any]] = status.get("conditions") or []
    before = next((condition for condition in old if condition["type"] == told.type), None)
    new = render_condition(told, before, mesh.generation, context.clock())
    if new != before:
        conditions = [new if condition is before else condition for condition in old] if before else [*old, new]
        await context.api.replace(body | {"status": status | {"conditions": conditions}}, subresource="status")
