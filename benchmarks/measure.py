"""Interleaved measuring, and the figures a bench module returns.

Candidates take turns within every round, so that whatever else the machine does meets all of them alike.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Figure = dict[str, Any]
"""id, name, ratio, must, aim, samples (seconds an operation, by candidate), and ratio_of_minima, ours, theirs.

Where aim < must, less is better. A module may add fields; the runner prints these.
"""


def interleave(candidates: Mapping[str, Callable[[int], object]], *, operations: int, rounds: int) -> dict[str, list[float]]:
    """Seconds an operation, one sample a round. A candidate does as many operations as it is told."""
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    for run in candidates.values():
        run(max(1, operations // 10))  # caches filled, code specialised
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            names = list(candidates)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                started = time.perf_counter()
                candidates[name](operations)
                samples[name].append((time.perf_counter() - started) / operations)
            gc.collect()
    finally:
        gc.enable()
    return samples


def build_speed_figure(
    figure_id: str, name: str, samples: Mapping[str, list[float]], ours: str, theirs: str, *, must: float, aim: float
) -> Figure:
    """How many times as fast as `theirs`: more is better."""
    return {
        "id": figure_id,
        "name": name,
        "ratio": statistics.median(samples[theirs]) / statistics.median(samples[ours]),
        "ratio_of_minima": min(samples[theirs]) / min(samples[ours]),
        "must": must,
        "aim": aim,
        "ours": ours,
        "theirs": theirs,
        "samples": {candidate: samples[candidate] for candidate in (ours, theirs)},
    }


def build_cost_figure(
    figure_id: str, name: str, samples: Mapping[str, list[float]], ours: str, theirs: str, *, must: float, aim: float
) -> Figure:
    """How many times the cost of `theirs`: less is better."""
    figure = build_speed_figure(figure_id, name, samples, ours, theirs, must=must, aim=aim)
    for ratio in ("ratio", "ratio_of_minima"):
        figure[ratio] = 1 / figure[ratio]
    return figure
