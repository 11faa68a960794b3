"""Label sources end to end: RadGenome's mask folders, masks that lie beside an image, and DICOM SEG."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import radfoundry
from radfoundry.errors import MismatchError, UsageError
from radfoundry.geometry import Grid
from radfoundry.grounding.experts import open_segmenter
from radfoundry.grounding.mask_folder import MaskFolder
from radfoundry.grounding.segmenters import SegmentationRequest
from radfoundry.phantom import make_phantom
from radfoundry.studies import ImageSource
from radfoundry.studies.nifti import nifti_bytes

VOLUME = "valid_53_a_1"
# RadGenome's files: axes to the right, front and head, an affine that says nothing; true spacing 1 x 1 x 3 mm
RAS_IDENTITY = Grid((1, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
STRUCTURES = {
    "heart": ("heart",),
    "liver": ("liver",),
    "left lung lower lobe": ("left lung lower lobe",),
    "left lung": ("left lung upper lobe", "left lung lower lobe"),
    "lumbar vertebrae 1 (l1)": ("thoracic vertebrae",),
}


def published(array: np.ndarray) -> bytes:
    grid = Grid(array.shape, RAS_IDENTITY.spacing, RAS_IDENTITY.origin, RAS_IDENTITY.direction)
    return nifti_bytes(np.ascontiguousarray(array[:, ::-1, ::-1]), grid)


@pytest.fixture(scope="module")
def radgenome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree as published: the volume in one place, ten head masks in a second, structures in a third."""
    root = tmp_path_factory.mktemp("radgenome")
    phantom = make_phantom(0)
    values = {name: value for value, name in phantom.label_names.items()}
    image = root / "valid_preprocessed/valid_53/valid_53a" / f"{VOLUME}.nii.gz"
    anatomy, heads = root / f"valid_anatomy_mask/seg_{VOLUME}", root / f"valid_region_mask/seg_{VOLUME}"
    for folder in (image.parent, anatomy, heads):
        folder.mkdir(parents=True)
    image.write_bytes(published(phantom.volume))
    for name, parts in STRUCTURES.items():
        mask = np.isin(phantom.organs, [values[p] for p in parts]).astype(np.uint8)
        (anatomy / f"{name}.nii.gz").write_bytes(published(mask))
    empty = np.zeros_like(phantom.organs)
    (anatomy / "thymus.nii.gz").write_bytes(published(empty))
    (heads / "mediastinum.nii.gz").write_bytes(published((phantom.organs == values["heart"]).astype(np.uint8)))
    (heads / "trachea and bronchie.nii.gz").write_bytes(
        published((phantom.organs == values["trachea and bronchi"]).astype(np.uint8))
    )
    (heads / "notes of mine.nii.gz").write_bytes(published(empty + 1))
    return root


def request_of(root: Path) -> SegmentationRequest:
    from radfoundry.studies import read_image

    source = ImageSource(next((root / "valid_preprocessed").rglob("*.nii.gz")), "nifti")
    read = read_image(source)
    return SegmentationRequest(read.pixels, read.grid, "CT", source=source)


def test_published_mask_folders_become_regions(radgenome) -> None:
    """RG-T33: the volume's name has no `.nii.gz` in the folder's name, which begins with `seg_`."""
    maps = MaskFolder.at(radgenome).segment(request_of(radgenome))
    masks = {name: m.array == value for m in maps for value, name in m.names.items()}
    assert set(masks) == {
        "heart",
        "liver",
        "left lung",
        "left lung lower lobe",
        "lumbar vertebrae 1 (l1)",
        "mediastinum",
        "trachea and bronchi",
    }
    phantom = make_phantom(0)
    values = {name: value for value, name in phantom.label_names.items()}
    for name, parts in STRUCTURES.items():
        assert np.array_equal(masks[name], np.isin(phantom.organs, [values[p] for p in parts])), name
    # structures that overlap do not share a map
    assert any("left lung" in m.names.values() and "left lung lower lobe" not in m.names.values() for m in maps)


def test_an_all_zero_mask_is_an_absent_structure(radgenome, tmp_path) -> None:
    """RG-T29: Reg2RG fails where every mask is empty; here there are no regions, and the build goes on."""
    maps = MaskFolder.at(radgenome).segment(request_of(radgenome))
    assert "thymus" not in {name for m in maps for name in m.names.values()}
    folder = tmp_path / f"seg_{VOLUME}"
    folder.mkdir()
    for name in ("heart", "liver"):
        (folder / f"{name}.nii.gz").write_bytes(published(np.zeros(make_phantom(0).organs.shape, np.uint8)))
    assert MaskFolder.at(tmp_path).segment(request_of(radgenome)) == []


def test_a_volume_without_a_folder_has_no_masks(radgenome, tmp_path) -> None:
    request = request_of(radgenome)
    assert MaskFolder.at(tmp_path).segment(request) == []
    assert MaskFolder.at(tmp_path).segment(SegmentationRequest(request.pixels, request.grid, "CT")) == []
    with pytest.raises(UsageError, match="no folder"):
        open_segmenter(f"masks:{tmp_path}/none")


def test_a_mask_without_a_place_does_not_fit_another_volume(radgenome, tmp_path) -> None:
    folder = tmp_path / f"seg_{VOLUME}"
    folder.mkdir()
    (folder / "heart.nii.gz").write_bytes(published(np.ones((4, 5, 6), np.uint8)))
    with pytest.raises(MismatchError, match="does not lie on its image") as raised:
        MaskFolder.at(tmp_path).segment(request_of(radgenome))
    assert raised.value.code == "mask-grid"


def test_published_files_are_built_end_to_end_and_measure_nothing(radgenome, tmp_path) -> None:
    """RG-T30: 1 x 1 x 3 mm is what the files mean and not what they say, so no volume in mm3 is given."""
    out = tmp_path / "out"
    radfoundry.build("m3d", radgenome / "valid_preprocessed", out, segmenter=(f"masks:{radgenome}",), workers=0)
    corpus = radfoundry.Corpus(out)
    assert not corpus.rows("rejected")
    regions = {r.name: r for r in corpus.rows("regions")}
    assert {"heart", "liver", "left lung", "mediastinum"} <= set(regions)
    assert all(r.mm3 == 0.0 for r in regions.values())
    assert "identity-affine" in corpus.rows("images")[0].notes[0]
    assert corpus.mask(regions["heart"].region_id).sum() == regions["heart"].voxels


def test_masks_beside_an_image_are_found_and_named_by_their_files(tmp_path) -> None:
    phantom = make_phantom(0)
    values = {name: value for value, name in phantom.label_names.items()}
    (tmp_path / "src/s1/segmentations").mkdir(parents=True)
    (tmp_path / "src/s1/ct.nii.gz").write_bytes(nifti_bytes(phantom.volume, phantom.grid))
    for name, file in {"heart": "heart", "left kidney": "kidney_left", "": "thymus"}.items():
        mask = (phantom.organs == values[name]).astype(np.uint8) if name else np.zeros_like(phantom.organs)
        (tmp_path / f"src/s1/segmentations/{file}.nii.gz").write_bytes(nifti_bytes(mask, phantom.grid))
    radfoundry.build("m3d", tmp_path / "src", tmp_path / "out", workers=0)
    corpus = radfoundry.Corpus(tmp_path / "out")
    assert not corpus.rows("rejected")
    assert {"heart", "left kidney"} <= {r.name for r in corpus.rows("regions")}


def test_a_dicom_seg_is_a_label_source(shared_data, tmp_path) -> None:
    source = shared_data / "dicom_seg_sr/dcmqi_liver"
    (tmp_path / "src").mkdir()
    for name in ("ct-3slice.zip", "liver.dcm"):
        shutil.copy(source / name, tmp_path / "src")
    radfoundry.build("m3d", tmp_path / "src", tmp_path / "out", workers=0)
    corpus = radfoundry.Corpus(tmp_path / "out")
    assert not corpus.rows("rejected")
    (liver,) = [r for r in corpus.rows("regions") if r.name == "liver"]
    assert (liver.side, liver.made_by.by) == ("right", "labels-on-disk/1")
    mask = corpus.mask(liver.region_id)
    assert mask.sum() == liver.voxels > 100_000
    assert corpus.samples(task="segment")
