"""Over-fitting as a number: what identity gains on faces that were trained on, and on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .evaluate import Rows

RESAMPLES = 1000


def gap(
    trained_on: NDArray[np.float64], held_out: NDArray[np.float64]
) -> tuple[float, float, float]:
    """The difference of the means of two sets of gains, and its bootstrap interval of 95 %."""
    rng = np.random.default_rng(0)
    means = [
        v[rng.integers(len(v), size=(RESAMPLES, len(v)))].mean(1) for v in (trained_on, held_out)
    ]
    low, high = np.percentile(means[0] - means[1], (2.5, 97.5))
    return float(trained_on.mean() - held_out.mean()), float(low), float(high)


def gap_table(
    trained_on: Mapping[str, Rows], held_out: Mapping[str, Rows], names: Sequence[str]
) -> str:
    """A line for each restorer and measure: how much nearer than bicubic it is to the face."""
    lines = [
        "| restorer | measure | trained on | held out | gap |",
        "|---|---|---|---|---|",
    ]
    for name in names:
        for measure in ("identity", "second"):
            if measure not in trained_on[name].metrics:
                continue
            gains = [
                rows["bicubic"].metrics[measure] - rows[name].metrics[measure]
                for rows in (trained_on, held_out)
            ]
            whole, low, high = gap(*gains)
            cells = [name, measure, *(f"{g.mean():.3f}" for g in gains)]
            cells.append(f"{whole:.3f} [{low:.3f}, {high:.3f}]")
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
