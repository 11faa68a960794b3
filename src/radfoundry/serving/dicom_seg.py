"""A label map as DICOM SEG (BINARY), each segment's slices on the frames of the scan that it was drawn on."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.pixels.utils import pack_bits
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid

import radfoundry
from radfoundry.geometry import Grid
from radfoundry.serving.images import Labels, SharedImage
from radfoundry.serving.refusals import Refusal
from radfoundry.studies import ImageSource, Limits
from radfoundry.studies.containers import open_container, read_file
from radfoundry.studies.dicom import read_dataset
from radfoundry.viewing import region_label

__all__ = ["Frames", "seg_of", "write_seg"]

_PATIENT = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime",
            "StudyID", "AccessionNumber", "ReferringPhysicianName", "FrameOfReferenceUID", "PositionReferenceIndicator")  # fmt: skip
_PLACE_MM = 0.01


@dataclass(frozen=True)
class Frames:
    """What a SEG repeats of its source: the study it belongs to, and per object its class, uid and first pixel's place."""

    study: Dataset
    objects: tuple[tuple[str, str, tuple[float, ...]], ...]


def seg_of(labels: Labels, image: SharedImage, limits: Limits) -> bytes:
    """Return a label map of an image as SEG. Raises Refusal (404) where the image came from no DICOM series."""
    if image.source is None or image.source_grid is None or image.grid.ndim != 3:
        raise Refusal(
            404,
            "This mask cannot be a DICOM SEG.",
            "Its image did not come from a DICOM series, so that there are no frames to lie on.",
            "Fetch it as NIfTI: leave .dcm out.",
            code="no-dicom",
        )
    stored = image.orientation.invert(labels.array)
    return write_seg(stored, image.source_grid, labels.names, _frames(image.source, limits))


def _frames(source: ImageSource, limits: Limits) -> Frames:
    if source.files:
        with open_container(source.path, limits) as container:
            heads = [_head(container.open(name).read(), name) for name in source.files]
    else:
        heads = [_head(read_file(source.path, limits), source.path.name)]
    first = heads[0]
    study = Dataset()
    for keyword in _PATIENT:
        if keyword in first:
            study[keyword] = first[keyword]
    objects = [
        (
            str(head.SOPClassUID),
            str(head.SOPInstanceUID),
            tuple(float(v) for v in head.get("ImagePositionPatient") or ()),
        )
        for head in heads
    ]
    series = Dataset()
    series.SeriesInstanceUID = first.get("SeriesInstanceUID") or generate_uid()
    study.ReferencedSeriesSequence = Items([series])
    return Frames(study, tuple(objects))


def _head(data: bytes, name: str) -> Dataset:
    return read_dataset(io.BytesIO(data), name)[0]


def write_seg(labels: npt.NDArray, grid: Grid, names: Mapping[int, str], frames: Frames | None = None) -> bytes:
    """Return a SEG of labels `[z, y, x]` in the order of `grid`, which may have any axis order and any angle.

    Rows and columns are the grid's y and x axes; each slice says where it lies, so that the sense of z does not matter. Slices
    without a label are left out.
    """
    planes = [(value, z) for value in sorted(names) for z in _slices(labels == value)]
    values = sorted({value for value, _ in planes})
    if not values:
        raise Refusal(
            404, "This mask is empty.", "A DICOM SEG has at least one frame.", "Fetch it as NIfTI.", code="empty"
        )
    seg = _shell(frames)
    seg.Rows, seg.Columns = labels.shape[1:]
    seg.NumberOfFrames = len(planes)
    seg.SegmentSequence = Items([_segment(n, names[value]) for n, value in enumerate(values, start=1)])
    seg.SharedFunctionalGroupsSequence = Items([_shared(grid)])
    seg.PerFrameFunctionalGroupsSequence = Items(
        _frame(grid, z, values.index(value) + 1, values, planes, frames) for value, z in planes
    )
    seg.DimensionOrganizationSequence, seg.DimensionIndexSequence = _dimensions()
    seg.PixelData = pack_bits(np.stack([labels[z] == value for value, z in planes]).astype(np.uint8))
    out = io.BytesIO()
    seg.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _slices(mask: npt.NDArray[np.bool_]) -> Iterator[int]:
    yield from np.flatnonzero(mask.any(axis=(1, 2))).tolist()


def _shell(frames: Frames | None) -> FileDataset:
    """The parts of a SEG that are the same for every one of ours."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SegmentationStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    seg = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    now = datetime.now(UTC)
    for keyword in _PATIENT:
        setattr(seg, keyword, "")
    seg.StudyInstanceUID, seg.FrameOfReferenceUID = generate_uid(), generate_uid()
    if frames is not None:
        seg.update(frames.study)
        seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence = Items(_reference(o) for o in frames.objects)
    seg.SOPClassUID, seg.SOPInstanceUID = SegmentationStorage, meta.MediaStorageSOPInstanceUID
    seg.SeriesInstanceUID, seg.Modality, seg.SeriesNumber, seg.InstanceNumber = generate_uid(), "SEG", 900, 1
    seg.Manufacturer, seg.ManufacturerModelName = "radfoundry", "radfoundry serve"
    seg.DeviceSerialNumber, seg.SoftwareVersions = "0", radfoundry.__version__
    seg.ContentDate, seg.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    seg.SeriesDescription, seg.ContentDescription, seg.ContentLabel = "Research use only", "Research use only", "MASKS"
    seg.ContentCreatorName = ""
    seg.ImageType = ["DERIVED", "PRIMARY"]
    seg.SegmentationType, seg.SegmentsOverlap = "BINARY", "NO"
    seg.SamplesPerPixel, seg.PhotometricInterpretation, seg.PixelRepresentation = 1, "MONOCHROME2", 0
    seg.BitsAllocated, seg.BitsStored, seg.HighBit = 1, 1, 0
    seg.LossyImageCompression = "00"
    return seg


def _reference(of: tuple[str, str, tuple[float, ...]]) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = of[0], of[1]
    return item


def _code(value: str, scheme: str, meaning: str) -> Items:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Items([item])


def _segment(number: int, name: str) -> Dataset:
    item = Dataset()
    item.SegmentNumber, item.SegmentLabel, item.SegmentAlgorithmType = number, region_label(name)[:64], "AUTOMATIC"
    item.SegmentAlgorithmName = "radfoundry"
    item.SegmentedPropertyCategoryCodeSequence = _code("91723000", "SCT", "Anatomical structure")
    item.SegmentedPropertyTypeCodeSequence = _code("91723000", "SCT", "Anatomical structure")
    return item


def _shared(grid: Grid) -> Dataset:
    item, plane, measures = Dataset(), Dataset(), Dataset()
    matrix = grid.direction_matrix
    plane.ImageOrientationPatient = [_ds(v) for v in (*matrix[:, 0], *matrix[:, 1])]
    measures.PixelSpacing = [_ds(v) for v in grid.spacing[1:]]
    measures.SliceThickness = measures.SpacingBetweenSlices = _ds(grid.spacing[0])
    item.PlaneOrientationSequence, item.PixelMeasuresSequence = Items([plane]), Items([measures])
    return item


def _frame(
    grid: Grid,
    z: int,
    segment: int,
    values: Sequence[int],
    planes: Sequence[tuple[int, int]],
    frames: Frames | None,
) -> Dataset:
    item, place, content, named = Dataset(), Dataset(), Dataset(), Dataset()
    position = grid.to_world((z, 0, 0))
    place.ImagePositionPatient = [_ds(v) for v in position]
    slices = sorted({slice_ for _, slice_ in planes})
    content.DimensionIndexValues = [segment, slices.index(z) + 1]
    named.ReferencedSegmentNumber = segment
    item.PlanePositionSequence, item.FrameContentSequence = Items([place]), Items([content])
    item.SegmentIdentificationSequence = Items([named])
    source = _source(position, frames)
    if source is not None:
        derivation = Dataset()
        derivation.SourceImageSequence = Items([source])
        derivation.DerivationCodeSequence = _code("113076", "DCM", "Segmentation")
        item.DerivationImageSequence = Items([derivation])
    return item


def _source(position: npt.NDArray[np.float64], frames: Frames | None) -> Dataset | None:
    """The object that a slice lies on; the one object of many frames."""
    if frames is None:
        return None
    item = _reference(frames.objects[0]) if len(frames.objects) == 1 else None
    for of in frames.objects:
        if len(of[2]) == 3 and np.abs(np.asarray(of[2]) - position).max() < _PLACE_MM:
            item = _reference(of)
    if item is not None:
        item.PurposeOfReferenceCodeSequence = _code("121322", "DCM", "Source image for image processing operation")
    return item


def _dimensions() -> tuple[Items, Items]:
    """Frames are ordered by segment, then by place."""
    uid = generate_uid()
    organisation = Dataset()
    organisation.DimensionOrganizationUID = uid
    pointers = []
    for pointer, group, label in ((0x0062000B, 0x0062000A, "Segment"), (0x00200032, 0x00209113, "Position")):
        item = Dataset()
        item.DimensionOrganizationUID, item.DimensionIndexPointer = uid, pointer
        item.FunctionalGroupPointer, item.DimensionDescriptionLabel = group, label
        pointers.append(item)
    return Items([organisation]), Items(pointers)


def _ds(value: float) -> str:
    """A decimal string of at most 16 characters, as DICOM has it."""
    for digits in range(14, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    return f"{value:.6e}"
