"""Scans in, pixels and label maps out."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from serving_helpers import FAR, WITH_TOKEN, client_of, nifti_bytes, png_bytes, upload

from radfoundry.geometry import Grid
from radfoundry.phantom import make_phantom
from radfoundry.serving.nifti_out import nifti_header, plain_samples


def read_back(response) -> nib.Nifti1Image:
    assert response.status_code == 200, response.text
    assert int(response.headers["x-volume-bytes"]) == len(response.content)
    return nib.Nifti1Image.from_bytes(response.content)


def test_a_nifti_comes_back_with_every_sample_at_its_place_whatever_its_axes(client) -> None:
    rng = np.random.default_rng(0)
    array = rng.integers(-1000, 1000, (7, 9, 11)).astype(np.int16)
    affine = np.array([[0, 0, 2.0, 5], [-1.5, 0, 0, 7], [0, 3.0, 0, -9], [0, 0, 0, 1]])
    file = upload(client, nifti_bytes(array, affine)).json()
    back = read_back(client.get(f"/v1/files/{file['id']}/volume"))
    index = np.argwhere(np.ones(array.shape, bool))
    world = nib.affines.apply_affine(affine, index)
    there = np.rint(nib.affines.apply_affine(np.linalg.inv(back.affine), world)).astype(int)
    assert np.array_equal(np.asarray(back.dataobj)[tuple(there.T)], array[tuple(index.T)])


def test_nothing_of_a_file_name_comes_back(client) -> None:
    answer = upload(client, png_bytes(), "Doe^Jane-1950.png")
    assert "Doe" not in answer.text
    assert answer.json()["filename"] == "scan"


def test_a_picture_is_known_by_its_content(client) -> None:
    image = upload(client, png_bytes(), "scan.nii.gz").json()["images"][0]
    assert image["dimensions"] == 2
    assert image["shape"] == [40, 30]
    assert image["grid_unit"] == "pixel"
    back = read_back(client.get(f"/v1/files/{image['image_id']}/volume"))
    assert back.shape == (30, 40, 1)


@pytest.mark.slow
def test_a_dicom_zip_becomes_an_image_whose_mask_can_be_a_dicom_seg(client, shared_data: Path) -> None:
    file = upload(client, (shared_data / "ct_totalseg" / "example_ct_dicom.zip").read_bytes())
    assert file.status_code == 200, file.text
    image = file.json()["images"][0]
    assert image["modality"] == "CT"
    assert image["unit"] == "HU"
    seg = client.get(f"/v1/masks/{image['masks'][0]['mask_id']}.dcm")
    assert seg.status_code == 200
    assert seg.content[128:132] == b"DICM"


def test_the_same_image_has_the_same_id_and_survives_the_deletion_of_one_of_its_files(client) -> None:
    one, two = (upload(client, png_bytes((24, 24))).json() for _ in range(2))
    assert one["id"] != two["id"]
    assert one["images"] == two["images"]
    assert client.delete(f"/v1/files/{one['id']}").json() == {"id": one["id"], "object": "file", "deleted": True}
    assert client.get(f"/v1/files/{one['id']}").status_code == 404
    assert client.get(f"/v1/images/{two['images'][0]['image_id']}").status_code == 200


def test_the_example_knows_its_regions_and_their_masks(client, example) -> None:
    regions = client.get(f"/v1/files/{example['id']}/regions").json()["data"]
    names = {region["label"] for region in regions}
    assert {"aorta", "left kidney", "right kidney"} <= names
    mask = np.asarray(read_back(client.get(f"/v1/masks/{regions[0]['mask_id']}")).dataobj)
    assert int((mask == regions[0]["label_value"]).sum()) == regions[0]["voxels"]
    left = next(region for region in regions if region["label"] == "left kidney")
    assert left["centroid"][0] > example["images"][0]["midline_mm"]


def test_a_mask_of_what_was_no_dicom_is_no_dicom_seg_and_says_why(client, example) -> None:
    mask_id = example["images"][0]["masks"][0]["mask_id"]
    answer = client.get(f"/v1/masks/{mask_id}.dcm")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "no-dicom"


def test_a_volume_that_the_browser_has_is_not_sent_again(client, example) -> None:
    tag = client.get(f"/v1/files/{example['id']}/volume").headers["etag"]
    again = client.get(f"/v1/files/{example['id']}/volume", headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert not again.content


def test_far_readers_get_packed_bytes(answerer) -> None:
    with client_of(answerer, FAR) as client:
        file = client.post("/v1/files/example", headers=WITH_TOKEN).json()
        packed = client.get(f"/v1/files/{file['id']}/volume", headers={"Accept-Encoding": "gzip", **WITH_TOKEN})
        assert packed.headers["content-encoding"] == "gzip"
        assert len(packed.content) == int(packed.headers["x-volume-bytes"])
        assert "content-length" not in packed.headers


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<i2", "<f4", "<i4", "<f8", "?"])
def test_every_sample_type_is_sent_as_one_of_four(dtype: str) -> None:
    array = (np.arange(24).reshape(2, 3, 4) % 2).astype(dtype)
    samples = plain_samples(array)
    image = nib.Nifti1Image.from_bytes(nifti_header(samples, Grid.axial((2, 3, 4), (1, 1, 1))) + samples.tobytes())
    assert np.array_equal(np.asarray(image.dataobj).T, array)


def test_a_box_in_samples_of_the_source_is_the_same_box() -> None:
    from itertools import product

    from radfoundry.geometry import Box, Orientation
    from radfoundry.serving.images import SharedImage, source_box

    for axes in ((0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)):
        for flips in product((False, True), repeat=3):
            way = Orientation(axes, flips)
            stored = np.zeros((5, 6, 7), bool)
            stored[1:3, 2:6, 0:4] = True
            canonical = way.apply(stored)
            box = Box.of_mask(canonical)
            grid = Grid.axial(canonical.shape, (1, 1, 1))
            image = SharedImage("i", "CT", grid, lambda: canonical, list, {}, way)  # noqa: B023
            assert source_box(image, box) == [1, 2, 0, 3, 6, 4]


def test_a_phantom_uploaded_as_dicom_less_nifti_gets_regions_by_rules(client) -> None:
    phantom = make_phantom(1)
    affine = np.diag([-1, -1, 1, 1]) @ phantom.grid.affine
    file = upload(client, nifti_bytes(phantom.volume.T, affine)).json()
    image = file["images"][0]
    assert image["modality"] == "CT"
    assert [mask["name"] for mask in image["masks"]] == ["found"]
    labels = {region["label"] for region in client.get(f"/v1/files/{file['id']}/regions").json()["data"]}
    assert any("lung" in label for label in labels)
