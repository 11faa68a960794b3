"""Values that cannot be what they are called: HU rescaled twice or not at all, slices that are copies of each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from radfoundry.studies.doctor.finding import Finding
from radfoundry.studies.read import ReadImage
from radfoundry.studies.values import HU_FLOOR

__all__ = ["intensity_findings"]


def intensity_findings(path: str, image: ReadImage) -> Iterator[Finding]:
    """Yield double-rescale, lost-hu, constant-image and repeated-slices."""
    if image.pixels.min() == image.pixels.max():
        yield Finding(path, "error", "constant-image", f"every sample is {image.pixels.flat[0]:g}", "export it again")
        return
    if image.modality == "CT" and image.pixels.ndim == 3:
        yield from _ct(path, image)
    if image.pixels.ndim == 3:
        yield from _copies(path, image.pixels)


def _ct(path: str, image: ReadImage) -> Iterator[Finding]:
    sample = image.pixels[:: max(1, image.pixels.shape[0] // 40), ::3, ::3]
    inside = sample[sample > HU_FLOOR]
    tissue = _share(inside, -200, 300)
    if image.unit == "HU" and tissue < 0.02 and _share(sample, HU_FLOOR, -850) > 0.5:
        yield Finding(
            path,
            "error",
            "double-rescale",
            f"only {tissue:.1%} of the samples lie between -200 and 300 HU, where tissue is; most lie near or below -1000: "
            "the intercept was subtracted twice",
            "use the file's own values, or rescale once",
        )
    elif image.unit != "HU" or sample.min() > -200:
        raised = _share(sample, 824, 1324)
        if sample.min() >= 0 and raised > 0.05:
            yield Finding(
                path,
                "error",
                "lost-hu",
                f"no sample is below 0 and {raised:.0%} lie near 1024: the intercept was not applied",
                "subtract 1024, or read the DICOM files again",
            )
        elif sample.min() >= 0:
            yield Finding(
                path,
                "warning",
                "not-hu",
                f"called CT, but values run from {sample.min():g} to {sample.max():g}: windowed or normalised, HU are lost",
                "go back to the original",
            )


def _share(values: npt.NDArray, low: float, high: float) -> float:
    return float(np.count_nonzero((values >= low) & (values <= high))) / max(1, values.size)


def _copies(path: str, pixels: npt.NDArray) -> Iterator[Finding]:
    """Slices that follow each other and are equal, though not empty, were copied to fill a gap."""
    copies = [z for z in range(1, len(pixels)) if np.array_equal(pixels[z], pixels[z - 1]) and np.ptp(pixels[z]) > 0]
    if copies:
        first = ", ".join(str(z) for z in copies[:5])
        yield Finding(
            path,
            "warning",
            "repeated-slices",
            f"{len(copies)} slices equal the one below them (slices {first})",
            "find the slices that they stand for",
        )
