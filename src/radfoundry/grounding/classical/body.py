"""The body: tissue that is thicker than a sheet or the skin of a table, and everything inside it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from radfoundry.grounding.classical.morphology import Mask, fill_slices, grow, pieces, pieces_in_slices, shrink, sizes

__all__ = ["find_body"]

# lighter than any fat
TISSUE_HU = -300.0
# air around the patient, pads and padding included, is emptier than any lung
OUTSIDE_HU = -900.0
# half of what a chest wall measures at least; sheets, tubes and the skin of a table are thinner
THIN_MM = 3.0
CUT_LUNG_MM2 = 1500.0


def find_body(hu: npt.NDArray[np.float32], spacing: tuple[float, ...]) -> Mask:
    """Return the body with lungs and gas inside; a lung that the picture's edge cuts is inside too."""
    tissue = hu > TISSUE_HU
    labels = pieces(shrink(tissue, spacing, THIN_MM))
    counts = sizes(labels)
    if counts.max() == 0:
        return np.zeros(hu.shape, dtype=bool)
    # arms may lie apart; a table that is thick enough is hardly ever so large
    kept = counts >= 0.03 * counts.max()
    solid = tissue & grow(kept[labels], spacing, THIN_MM + max(spacing[1:]))
    return fill_slices(solid | _lungs_at_the_edge(hu, spacing))


def _lungs_at_the_edge(hu: npt.NDArray[np.float32], spacing: tuple[float, ...]) -> Mask:
    """Return what fills a lung in slices whose edge runs through the body: large dark pieces at the edge, fuller than air."""
    edges = (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1])
    border = np.concatenate([hu[edge] for edge in edges], axis=1)
    cut = (border < OUTSIDE_HU).mean(axis=1) < 0.5
    if not cut.any():
        return np.zeros(hu.shape, dtype=bool)
    labels = pieces_in_slices((hu < TISSUE_HU) & cut[:, None, None])
    counts = np.bincount(labels.ravel())
    at_edge = np.zeros(len(counts), dtype=bool)
    for edge in edges:
        at_edge[labels[edge].ravel()] = True
    at_edge[0] = False
    means = np.bincount(labels.ravel(), weights=hu.ravel()) / np.maximum(counts, 1)
    large = counts * spacing[1] * spacing[2] >= CUT_LUNG_MM2
    return (at_edge & large & (means > OUTSIDE_HU))[labels]
