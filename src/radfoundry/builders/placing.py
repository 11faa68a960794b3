"""Words for places: thirds of the image in the patient's terms, shares, and how one region lies to another."""

from __future__ import annotations

import numpy as np

from radfoundry.records import Image, Region

__all__ = ["place_words", "relation_words", "share_of_image"]

# (low third, middle, high third) along x, y, z of LPS: x grows to the patient's left, y to the back, z to the head
_ACROSS = ("right", "central", "left")
_DEPTH = ("front", "", "back")
_HEIGHT = ("lower", "", "upper")
# along y of a frontal picture, which grows to the feet
_DOWN = ("upper", "", "lower")

_ACROSS_OF = ("to the right of", "to the left of")
_RELATIONS = {2: (_ACROSS_OF, ("above", "below")), 3: (_ACROSS_OF, ("in front of", "behind"), ("below", "above"))}


def place_words(image: Image, region: Region) -> str:
    """Return, say, "the upper left back part" from the middle of the region's box, in the patient's sides."""
    axes = len(image.shape)
    middle = [(region.box[a] + region.box[a + axes]) / 2 / image.shape[a] for a in range(axes)]
    thirds = [min(int(3 * m), 2) for m in middle]
    depth = (_DOWN[thirds[0]], "") if axes == 2 else (_HEIGHT[thirds[0]], _DEPTH[thirds[1]])
    words = (depth[0], _ACROSS[thirds[-1]], depth[1])
    return f"the {' '.join(w for w in words if w)} part"


def share_of_image(image: Image, region: Region) -> float:
    """Return the region's samples as a share of the image's."""
    return region.voxels / float(np.prod(image.shape))


def relation_words(region: Region, other: Region) -> str:
    """Return how `region` lies to `other` along the axis on which their centroids differ most (LPS)."""
    words = _RELATIONS[len(region.centroid)]
    difference = np.subtract(region.centroid, other.centroid)
    axis = int(np.argmax(np.abs(difference)))
    return words[axis][int(difference[axis] > 0)]
