"""What is true of a phantom, and what its report says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from radfoundry.geometry import Side

__all__ = ["CONCEPTS", "XRAY_CONCEPTS", "TruthFinding", "TruthLink"]


@dataclass(frozen=True)
class TruthFinding:
    """A finding that is there, or that is known not to be.

    presence: "present" or "absent", as in the image, whatever the report says; region: canonical name; size_mm: longest extent (depth
    of a layer, width of an aorta); label_value: its samples in `Phantom.labels`; mentioned, sentence: how FINDINGS tells it;
    stated: "present", "uncertain", "absent" as the sentence says, "" where it is left out; change: since the prior ("new", "larger",
    "smaller", "unchanged", "resolved", "" without a prior); contrast: difference to the tissue it replaced over the noise's deviation.
    """

    concept: str
    presence: str
    side: Side
    region: str
    size_mm: float | None
    label_value: int | None
    mentioned: bool = False
    sentence: str = ""
    stated: str = ""
    change: str = ""
    contrast: float | None = None

    def told(self, sentence: str, stated: str) -> TruthFinding:
        """Return the finding as told by a sentence."""
        return replace(self, mentioned=True, sentence=sentence, stated=stated)


@dataclass(frozen=True)
class TruthLink:
    """A sentence of FINDINGS, the regions that it speaks of and the concepts that it names."""

    sentence: str
    regions: tuple[str, ...]
    concepts: tuple[str, ...]


# finding (as in the room `language`) -> the region in which a report misses it
CONCEPTS: dict[str, str] = {
    "lung nodule": "lung",
    "lung mass": "lung",
    "consolidation": "lung",
    "ground glass opacity": "lung",
    "atelectasis": "lung",
    "emphysema": "lung",
    "pleural effusion": "pleura",
    "pneumothorax": "pleura",
    "cardiomegaly": "heart",
    "pericardial effusion": "heart",
    "coronary calcification": "heart",
    "arterial calcification": "aorta",
    "aortic dilatation": "aorta",
    "lymphadenopathy": "mediastinum",
    "hiatal hernia": "esophagus",
    "fracture": "rib",
    "liver lesion": "liver",
    "liver cyst": "liver",
    "kidney cyst": "kidney",
}

# what a frontal radiograph can show
XRAY_CONCEPTS = (
    "lung nodule", "lung mass", "consolidation", "atelectasis", "pleural effusion", "pneumothorax", "cardiomegaly", "hiatal hernia",
)  # fmt: skip
