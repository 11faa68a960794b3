"""Label maps: the same bytes for the same map, and what nibabel and we read is what went in."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radfoundry.corpus import decode_labelmap, encode_labelmap, labelmap_name
from radfoundry.errors import UnreadableError
from radfoundry.geometry import Grid

SHAPES = st.tuples(*[st.integers(1, 6)] * 3)


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(0, 65535), st.integers(0, 2**32 - 1))
def test_labels_survive_the_way_to_disk_and_back(shape: tuple[int, int, int], highest: int, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, highest + 1, shape)
    data = encode_labelmap(labels, Grid.axial(shape, (2.0, 1.0, 0.5)))
    np.testing.assert_array_equal(decode_labelmap(data), labels)
    assert data == encode_labelmap(labels, Grid.axial(shape, (2.0, 1.0, 0.5)))


def test_nibabel_reads_the_same_labels_at_the_same_place() -> None:
    labels = np.random.default_rng(1).integers(0, 300, (3, 4, 5))
    grid = Grid.axial((3, 4, 5), (2.5, 1.0, 0.75), (10.0, -20.0, 30.0))
    image = nib.Nifti1Image.from_bytes(_plain(encode_labelmap(labels, grid)))
    np.testing.assert_array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), labels)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    np.testing.assert_allclose(lps @ [0, 0, 0, 1], [10, -20, 30, 1])
    np.testing.assert_allclose(lps @ [1, 0, 0, 0], [0.75, 0, 0, 0])
    np.testing.assert_allclose(image.header.get_zooms(), [0.75, 1.0, 2.5])
    assert image.header.get_xyzt_units()[0] == "mm"


def test_a_picture_has_a_label_map_too() -> None:
    labels = np.arange(12).reshape(3, 4)
    data = encode_labelmap(labels, Grid.picture((3, 4)))
    np.testing.assert_array_equal(decode_labelmap(data), labels)
    assert nib.Nifti1Image.from_bytes(_plain(data)).shape == (4, 3)


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 65535"):
        encode_labelmap(np.array([[-1]]), Grid.picture((1, 1)))


def test_every_cut_label_map_is_unreadable_and_nothing_worse() -> None:
    data = encode_labelmap(np.ones((4, 4), int), Grid.picture((4, 4)))
    for end in range(len(data)):
        with pytest.raises(UnreadableError, match="cannot be read"):
            decode_labelmap(data[:end])


def test_label_maps_lie_in_folders_by_the_first_digits_of_the_image() -> None:
    assert labelmap_name("img_4beede", "organs") == "labelmaps/4b/img_4beede.organs.nii.gz"


def _plain(data: bytes) -> bytes:
    import gzip

    return gzip.decompress(data)
