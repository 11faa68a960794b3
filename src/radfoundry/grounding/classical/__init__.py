"""Body, lungs, airway and bone from a CT in HU by rules alone: no weights, seconds on a laptop."""

from radfoundry.grounding.classical.segment import NAMES, ClassicalSegmentation, segment_ct

__all__ = ["NAMES", "ClassicalSegmentation", "segment_ct"]
