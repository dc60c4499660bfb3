"""What is told of a defect of the chat machine, which must not stop the node for everybody else."""

from __future__ import annotations

from hermes_node.logs.event_log import EventLog


def log_defect(log: EventLog, error: Exception) -> None:
    """The type and place only: an exception's text could quote what an outsider sent."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace is not None else ""
    log.error("unexpected_error", where="chat machine", exception=type(error).__name__, place=place)
