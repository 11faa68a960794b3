"""M3D's layout: volumes of 32x256x256 as npy, captions (M3D-Cap), questions (M3D-VQA), masks (M3D-Seg) and referring (M3D-RefSeg).

`read` gives rows as a corpus has them, `read_tables` the lists as they are; `arrays` and `texts` prepare raw cases as the published
scripts do. What the files mean: Bai et al. 2024, arXiv 2404.00578.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from radfoundry.formats.m3d.arrays import prepare_caption, prepare_referring, prepare_segmentation
from radfoundry.formats.m3d.as_records import records_of
from radfoundry.formats.m3d.reading import read_tables, straddling
from radfoundry.formats.m3d.rows import CaptionRow, M3DData, MaskRow, QuestionRow, ReferringRow
from radfoundry.formats.m3d.texts import kept_text, plain_name, shortened
from radfoundry.formats.m3d.writing import write

__all__ = [
    "CaptionRow", "M3DData", "MaskRow", "QuestionRow", "ReferringRow",
    "kept_text", "plain_name", "prepare_caption", "prepare_referring", "prepare_segmentation",
    "read", "read_tables", "records_of", "shortened", "straddling", "write",
]  # fmt: skip


def read(folder: Path) -> dict[str, list[Any]]:
    """Return the rows of studies, images, reports and samples that the lists below a folder (M3D's data_root) hold."""
    return records_of(read_tables(folder))
