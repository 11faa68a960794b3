"""The header of a DICOM object as plain values: what grouping, ordering and allocation need, without pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from radfoundry.studies.dicom import (
    BIG_ENDIAN,
    DEFLATED,
    IMPLICIT,
    NATIVE,
    guarded,
    guessed_syntax,
    number_of,
    read_dataset,
    syntax_of,
    value_of,
)

__all__ = ["Header", "header_of"]


@dataclass(frozen=True)
class Header:
    """What a DICOM object says of itself, without pixels; absent values are "", 0, () or None.

    orientation: row and column direction, LPS; position: centre of the first pixel, mm; pixel_spacing: between rows, between columns;
    offset, length: where native pixel data lie in the file (offset 0: compressed or absent).
    """

    name: str
    sop_class: str = ""
    sop_uid: str = ""
    study_uid: str = ""
    series_uid: str = ""
    frame_of_reference: str = ""
    patient: str = ""
    sex: str = ""
    age: str = ""
    body_part: str = ""
    modality: str = ""
    image_type: tuple[str, ...] = ()
    series_number: int = 0
    instance: int = 0
    split_keys: tuple[str, ...] = ()
    rows: int = 0
    columns: int = 0
    frames: int = 1
    samples: int = 1
    bits_allocated: int = 0
    bits_stored: int = 0
    signed: bool = False
    photometric: str = ""
    transfer_syntax: str = ""
    slope: float = 1.0
    intercept: float = 0.0
    has_rescale: bool = False
    has_lut: bool = False
    units: str = ""
    padding: int | None = None
    orientation: tuple[float, ...] = ()
    position: tuple[float, ...] = ()
    pixel_spacing: tuple[float, ...] = ()
    thickness: float | None = None
    tilt: float = 0.0
    view_position: str = ""
    patient_orientation: tuple[str, ...] = ()
    contrast: str = ""
    burned_in: str = ""
    has_frame_groups: bool = False
    frame_offsets: bool = False
    has_pixels: bool = False
    offset: int = 0
    length: int = 0
    notes: tuple[str, ...] = ()

    @property
    def placed(self) -> bool:
        """Whether the object says where in the patient its first pixel lies."""
        return len(self.orientation) == 6 and len(self.position) == 3 and len(self.pixel_spacing) == 2

    @property
    def native(self) -> bool:
        """Whether the pixels can be read as they lie in the file."""
        return self.offset > 0 and self.samples == 1 and self.bits_allocated in (8, 16, 32) and not self.has_lut


def header_of(stream: BinaryIO, name: str) -> Header:
    """Return the header of a DICOM object; reads no pixels.

    Raises UnreadableError, the reason in it, where there is none.
    """
    dataset, stop, notes = read_dataset(stream, name)
    return guarded(lambda: _header(dataset, stream, stop, name, notes), name)


def _header(d: Any, stream: BinaryIO, stop: int, name: str, notes: tuple[str, ...]) -> Header:
    syntax = syntax_of(d) or guessed_syntax(d)
    offset, length, has_pixels = _pixel_element(stream, stop, syntax)
    frame = _first_frame(d)
    rescale = frame("PixelValueTransformationSequence", d)
    measures = frame("PixelMeasuresSequence", d)
    return Header(
        name=name,
        sop_class=_text(d, "SOPClassUID"),
        sop_uid=_text(d, "SOPInstanceUID"),
        study_uid=_text(d, "StudyInstanceUID"),
        series_uid=_text(d, "SeriesInstanceUID"),
        frame_of_reference=_text(d, "FrameOfReferenceUID"),
        patient=_text(d, "PatientID"),
        sex=_text(d, "PatientSex"),
        age=_text(d, "PatientAge"),
        body_part=_text(d, "BodyPartExamined"),
        modality=_text(d, "Modality"),
        image_type=_texts(d, "ImageType"),
        series_number=_int(d, "SeriesNumber"),
        instance=_int(d, "InstanceNumber"),
        split_keys=tuple(_text(d, key) for key in SPLIT_KEYS),
        rows=_int(d, "Rows"),
        columns=_int(d, "Columns"),
        frames=_int(d, "NumberOfFrames", 1) or 1,
        samples=_int(d, "SamplesPerPixel", 1),
        bits_allocated=_int(d, "BitsAllocated"),
        bits_stored=_int(d, "BitsStored"),
        signed=_int(d, "PixelRepresentation") == 1,
        photometric=_text(d, "PhotometricInterpretation"),
        transfer_syntax=syntax,
        slope=_float(rescale, "RescaleSlope", 1.0),
        intercept=_float(rescale, "RescaleIntercept", 0.0),
        has_rescale="RescaleSlope" in rescale,
        has_lut="ModalityLUTSequence" in d or _text(d, "PhotometricInterpretation") == "PALETTE COLOR",
        units=_text(d, "Units"),
        padding=_padding(d),
        orientation=_floats(frame("PlaneOrientationSequence", d), "ImageOrientationPatient"),
        position=_floats(frame("PlanePositionSequence", d), "ImagePositionPatient"),
        pixel_spacing=_floats(measures, "PixelSpacing") or _floats(d, "ImagerPixelSpacing"),
        thickness=_float(measures, "SliceThickness", None),
        tilt=_float(d, "GantryDetectorTilt", 0.0),
        view_position=_text(d, "ViewPosition"),
        patient_orientation=_texts(d, "PatientOrientation"),
        contrast=_text(d, "ContrastBolusAgent"),
        burned_in=_text(d, "BurnedInAnnotation"),
        has_frame_groups="PerFrameFunctionalGroupsSequence" in d,
        frame_offsets="GridFrameOffsetVector" in d,
        has_pixels=has_pixels,
        offset=offset,
        length=length,
        notes=notes,
    )


# a series may hold several volumes that differ in one of these
SPLIT_KEYS = ("AcquisitionNumber", "EchoNumbers", "TemporalPositionIdentifier", "DiffusionBValue", "TriggerTime", "ImageType",
              "AcquisitionTime", "ContentTime")  # fmt: skip


def _first_frame(d: Any) -> Callable[[str, Any], Any]:
    """Return a function that finds a functional group of the first frame, or falls back on the data set itself."""

    def group(sequence: str, fallback: Any) -> Any:
        for holder in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
            items = value_of(d, holder)
            if items and items[0].get(sequence):
                found: Any = items[0].get(sequence)[0]
                return found
        return fallback

    return group


def _pixel_element(stream: BinaryIO, stop: int, syntax: str) -> tuple[int, int, bool]:
    """Return where native pixel data begin, how long they are, and whether there are pixel data at all."""
    if syntax == DEFLATED:
        return 0, 0, True
    stream.seek(stop)
    head = stream.read(12)
    order = "big" if syntax == BIG_ENDIAN else "little"
    if len(head) < 8 or int.from_bytes(head[:2], order) != 0x7FE0:  # type: ignore[arg-type]
        return 0, 0, False
    if syntax not in NATIVE or int.from_bytes(head[2:4], order) != 0x0010:  # type: ignore[arg-type]
        return 0, 0, True
    implicit = syntax == IMPLICIT
    start, length = (stop + 8, head[4:8]) if implicit else (stop + 12, head[8:12])
    return start, int.from_bytes(length, order), True  # type: ignore[arg-type]


def _padding(d: Any) -> int | None:
    value = value_of(d, "PixelPaddingValue")
    return int(value) if isinstance(value, int) else None


def _text(d: Any, key: str) -> str:
    value = value_of(d, key)
    return "" if value is None else str(value).strip()


def _texts(d: Any, key: str) -> tuple[str, ...]:
    value = value_of(d, key)
    if value is None or value == "":
        return ()
    return (str(value).strip(),) if isinstance(value, str) else tuple(str(v).strip() for v in value)


def _int(d: Any, key: str, default: int = 0) -> int:
    return number_of(d, key, default, int)


def _float(d: Any, key: str, default: Any) -> Any:
    return number_of(d, key, default, float)


def _floats(d: Any, key: str) -> tuple[float, ...]:
    value: Any = value_of(d, key)
    if value in (None, ""):
        return ()
    return tuple(float(v) for v in value) if not isinstance(value, int | float) else (float(value),)
