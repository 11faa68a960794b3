"""Scores of segmentations beyond overlap: HD95, ASSD and NSD, and a set that measures each pair of masks only once."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from radfoundry.metrics.metric import Mean, Score
from radfoundry.metrics.overlap import Dice, MaskIoU, MaskLike, as_mask, overlap
from radfoundry.metrics.surface import Surface, SurfaceDistances, surface_distances

__all__ = ["ASSD", "HD95", "NSD", "GridMask", "SegmentationScores", "SurfaceMetric"]


class GridMask(NamedTuple):
    """A true mask `[z, y, x]` or `[y, x]` with the spacing of its grid in the same order."""

    voxels: MaskLike
    spacing_mm: tuple[float, ...]


class SurfaceMetric(Mean[MaskLike, GridMask]):
    """A score of two surfaces.

    Two empty masks have no distance: left out and counted. If one is empty or missing: `apart`, counted.
    """

    title: ClassVar[str]
    both_empty: ClassVar[float | None] = None

    def __init__(self, surface: Surface = "voxel") -> None:
        super().__init__()
        self.surface: Surface = surface
        self.name = f"{self.title}, {surface} surface"

    def score(self, prediction: MaskLike, reference: GridMask) -> float | None:
        return self.score_of(surface_distances(prediction, reference.voxels, reference.spacing_mm, self.surface))

    def observe(self, prediction: MaskLike | None, reference: GridMask) -> tuple[float, float]:
        if prediction is None:
            return self.weigh(
                self.apart(float(np.linalg.norm(np.multiply(reference.voxels.shape, reference.spacing_mm))))
            )
        return super().observe(prediction, reference)

    def score_of(self, measured: SurfaceDistances) -> float | None:
        """The score of distances measured before."""
        if measured.both_empty:
            self.counts["both_empty"] += 1
            return self.both_empty
        if measured.one_empty:
            self.counts["one_empty"] += 1
            return self.apart(measured.diagonal_mm)
        return self.measure(measured)

    def apart(self, diagonal_mm: float) -> float:
        """The score where one side has no surface at all: as far as the grid allows."""
        return diagonal_mm

    @abstractmethod
    def measure(self, measured: SurfaceDistances) -> float:
        """The score of two surfaces."""


class HD95(SurfaceMetric):
    """Mean over samples of the Hausdorff distance at 95 %, mm: the larger of the two directed percentiles."""

    title = "HD95 mm"
    better = "lower"

    def measure(self, measured: SurfaceDistances) -> float:
        return measured.hausdorff_mm(95)


class ASSD(SurfaceMetric):
    """Mean over samples of the average symmetric surface distance, mm, over the elements of both surfaces."""

    title = "ASSD mm"
    better = "lower"

    def measure(self, measured: SurfaceDistances) -> float:
        return measured.mean_mm()


class NSD(SurfaceMetric):
    """Mean over samples of the normalised surface Dice: the share of both surfaces within a tolerance; both empty is 1."""

    title = "NSD"
    both_empty = 1.0

    def __init__(self, surface: Surface = "voxel", tolerance_mm: float = 2.0) -> None:
        super().__init__(surface)
        self.tolerance_mm = tolerance_mm
        self.name = f"NSD at {tolerance_mm:g} mm, {surface} surface"

    def apart(self, diagonal_mm: float) -> float:
        return 0.0

    def measure(self, measured: SurfaceDistances) -> float:
        return measured.within(self.tolerance_mm)


class SegmentationScores:
    """Dice, IoU, HD95, ASSD and NSD of the same masks, each pair cropped, bordered and transformed once."""

    def __init__(self, surface: Surface = "voxel", tolerance_mm: float = 2.0, threshold: float = 0.5) -> None:
        self.surface: Surface = surface
        self.threshold = threshold
        self.overlaps: list[Dice] = [Dice(threshold), MaskIoU(threshold)]
        self.surfaces: list[SurfaceMetric] = [HD95(surface), ASSD(surface), NSD(surface, tolerance_mm)]

    def update(self, prediction: MaskLike | None, reference: GridMask, *, patient: str | None = None) -> None:
        """Score one predicted mask on the reference's grid; None where no mask came."""
        if prediction is None:
            for missed in self.overlaps:
                missed.update(None, reference.voxels, patient=patient)
            for absent in self.surfaces:
                absent.update(None, reference, patient=patient)
            return
        predicted, true = as_mask(prediction, self.threshold), as_mask(reference.voxels)
        counted = overlap(predicted, true)
        measured = surface_distances(predicted, true, reference.spacing_mm, self.surface)
        for voxel_metric in self.overlaps:
            voxel_metric.keep(voxel_metric.weigh(voxel_metric.score_of(counted)), patient)
        for metric in self.surfaces:
            metric.keep(metric.weigh(metric.score_of(measured)), patient)

    def merge(self, other: Self) -> Self:
        """Take in all samples of another set with the same settings; gives itself."""
        for mine, theirs in zip(self.metrics(), other.metrics(), strict=True):
            mine.merge(theirs)
        return self

    def metrics(self) -> list[Mean[Any, Any]]:
        """The single metrics."""
        return [*self.overlaps, *self.surfaces]

    def results(self) -> dict[str, Score]:
        """Each metric's score by its name."""
        return {metric.name: metric.result() for metric in self.metrics()}
