"""`build m3d`: image-text pairs, five types of questions, boxes and masks from scans with reports, label maps or both (M3D).

studies -> reports, regions, links ->
    pairs         image and report (`report`)
    images        modality, plane, phase, organs in view (`modality`, `plane`, `phase`, `organ`)
    findings      abnormality types and positions (`abnormality`, `location`)
    places        boxes and masks by name, definition, duty and report (`rec`, `reg`, `segment`, `refer-segment`, `reason-segment`)

At most, an image gives 7 questions about itself, 3 x 24 about places by name and 19 by other words; a study gives 2 + 4 x 3 about its
report. What neither a header, a report nor a label map says is not asked. Held-out wordings are asked in the test split alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from radfoundry.builders.m3d_findings import AskFindings
from radfoundry.builders.m3d_images import AskImages
from radfoundry.builders.m3d_places import AskPlaces
from radfoundry.builders.steps import FindRegions, LinkSentences, ReadReports, ReadStudies
from radfoundry.corpus import Pipeline
from radfoundry.grounding.names import region_name
from radfoundry.protocols import Step

__all__ = ["pipeline"]


def pipeline(root: Path, salt: str, regions: Sequence[str] = ()) -> Pipeline:
    """Return the steps of the m3d corpus.

    regions: ask about these alone, by their names alone, whatever else the anatomy calls them: what a small model can learn first.
    """
    read: tuple[Step, ...] = (ReadStudies(salt, root), ReadReports(), FindRegions(), LinkSentences())
    if not regions:
        return Pipeline("m3d", (*read, AskFindings(), AskImages(), AskPlaces()))
    names = tuple(region_name(name) for name in regions)
    places = AskPlaces(regions=names, by_definition=0, by_duty=0, by_report=0, absent=False)
    return Pipeline("m3d", (*read, AskImages(regions=names), places))
