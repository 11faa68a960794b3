"""CT-RATE's volumes, on which RadGenome stands: what a stored number means, and which volumes have no trustworthy spacing.

The first release holds raw values, to be rescaled by the columns of the metadata file; the second ("_fixed") holds HU already.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radfoundry.errors import GeometryError, MismatchError, UnreadableError

__all__ = ["VolumeFacts", "check_not_rescaled", "read_metadata", "to_hu"]

_AIR_HU = -1024.0
_BELOW_ANY_TISSUE = -2000.0
_BELOW_ANY_RAW = -1500.0
"""Stored values from here to -1 are air and fat in HU; raw values start at zero, and padding lies lower."""


class VolumeFacts(NamedTuple):
    """A row of the metadata file: slope and intercept of the first release, spacing (z, y, x) or None where there is none."""

    volume: str
    slope: float
    intercept: float
    spacing_mm: tuple[float, float, float] | None

    def spacing(self) -> tuple[float, float, float]:
        """Return the spacing. Raises GeometryError for a volume without one: it cannot be used."""
        if self.spacing_mm is None:
            raise GeometryError(
                f"{self.volume} has no spacing",
                "the metadata row leaves it empty",
                "skip this volume",
                code="no-spacing",
            )
        return self.spacing_mm


def read_metadata(path: Path) -> Iterator[VolumeFacts]:
    """Yield the rows of a metadata file. Raises UnreadableError for a file without its columns or with words for numbers."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream):
            try:
                slope, intercept = float(row["RescaleSlope"]), float(row["RescaleIntercept"])
                yield VolumeFacts(row["VolumeName"], slope, intercept, _spacing(row["XYSpacing"], row["ZSpacing"]))
            except (KeyError, ValueError, TypeError) as error:
                raise UnreadableError(
                    f"{path.name} is no CT-RATE metadata", f"{type(error).__name__}: {error}", "take the metadata file"
                ) from error


def _spacing(in_plane: str, between: str) -> tuple[float, float, float] | None:
    """`in_plane` is a list as text, "[0.34, 0.34]"."""
    numbers = [float(part) for part in (*in_plane.strip("[] ").split(","), between) if part.strip()]
    if len(numbers) != 3 or not all(math.isfinite(n) and n > 0 for n in numbers):
        return None
    x, y, z = numbers
    return (z, y, x)


def to_hu(stored: npt.NDArray, facts: VolumeFacts) -> npt.NDArray[np.float32]:
    """Return HU of a volume of the first release, not below -1024: padding of an intercept of -8192 would drown any statistic.

    Raises MismatchError where the stored values are HU already.
    """
    check_not_rescaled(stored, facts)
    rescaled = stored.astype(np.float32) * np.float32(facts.slope) + np.float32(facts.intercept)
    return np.maximum(rescaled, np.float32(_AIR_HU))


def check_not_rescaled(stored: npt.NDArray, facts: VolumeFacts) -> None:
    """Raise MismatchError where rescaling would be the second time: values of air would fall below anything a body has."""
    already = (stored < 0) & (stored > _BELOW_ANY_RAW)
    again = stored[already] * facts.slope + facts.intercept < _BELOW_ANY_TISSUE
    if again.any():
        raise MismatchError(
            f"{facts.volume} is in HU already",
            f"{np.count_nonzero(again)} voxels would fall below {_BELOW_ANY_TISSUE:.0f} HU: the second release needs no rescaling",
            "use its values as they are",
            code="rescaled-twice",
        )
