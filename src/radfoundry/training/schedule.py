"""How the learning rate goes over a run."""

from __future__ import annotations

import math

__all__ = ["rate_at"]


def rate_at(done: float, *, warmup: float, first: float = 0.0, last: float = 0.1) -> float:
    """Return the share of the highest rate when the share `done` of a run is done.

    It rises as a line from `first` to 1 over the share `warmup`, then falls as half a cosine to `last`.
    """
    if done < warmup:
        return first + (1 - first) * done / warmup
    falling = (done - warmup) / max(1 - warmup, 1e-9)
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * min(falling, 1.0)))
