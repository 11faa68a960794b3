"""What runs inside the child: compressed or unusual DICOM pixels, and picture files."""

from __future__ import annotations

import io
from importlib.util import find_spec
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

from radfoundry.errors import RadfoundryError, UnreadableError
from radfoundry.studies.decoding.client import Decoded
from radfoundry.studies.dicom import DATASET_ERRORS, guessed_syntax, read_dataset
from radfoundry.studies.limits import Limits

__all__ = ["decode_dicom", "decode_raster"]

_WITH_GDCM = (JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, JPEGBaseline8Bit)
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
Image.MAX_IMAGE_PIXELS = None  # ours is Limits.image_bytes, checked below before anything is decoded


def decode_dicom(data: bytes, name: str, frame: int, limits: Limits) -> Decoded:
    """Return the pixels of a DICOM object with colour spaces, palettes and modality LUTs applied; a linear rescale is not.

    pixels: [frame, y, x] or [frame, y, x, 3].
    """
    dataset, _, _ = read_dataset(io.BytesIO(data), name, pixels=True)
    if not dataset.file_meta.get("TransferSyntaxUID"):
        dataset.file_meta.TransferSyntaxUID = UID(guessed_syntax(dataset))
    if not any(key in dataset for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise UnreadableError(
            f"{name} has no pixels that can be found",
            "the length of its pixel data is wrong: the data set ends before its end mark",
            "fetch it again from the archive",
            code="bad-pixel-length",
        )
    try:
        pixels = _dicom_pixels(dataset, frame)
    except DATASET_ERRORS as error:
        twelve = _twelve_bits(dataset, data)
        if twelve is None:
            raise _decode_error(dataset, data, name, error) from error
        pixels = twelve
    colour = pixels.ndim in (3, 4) and pixels.shape[-1] == 3 and _samples(dataset) == 3
    flat = pixels.ndim == (3 if colour else 2)
    return Decoded(pixels[None] if flat else pixels, {"colour": bool(colour)})


def _samples(dataset: Dataset) -> int:
    palette = dataset.get("PhotometricInterpretation") == "PALETTE COLOR"
    return 3 if palette else int(dataset.get("SamplesPerPixel", 1))


def _dicom_pixels(dataset: Dataset, frame: int) -> npt.NDArray:
    many = int(dataset.get("NumberOfFrames", 1) or 1) > 1
    pixels = pixel_array(dataset, index=frame if frame >= 0 and many else None)
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        return _eight_bits(apply_color_lut(pixels, dataset))
    if "ModalityLUTSequence" in dataset:
        return apply_modality_lut(pixels, dataset)
    return pixels


def _eight_bits(colour: npt.NDArray) -> npt.NDArray:
    """Palettes of 16 bits that use their upper byte only are palettes of 8 bits."""
    if colour.dtype == np.uint16 and colour.max(initial=0) > 255:
        return (colour >> 8).astype(np.uint8)
    return colour


def _twelve_bits(dataset: Dataset, data: bytes) -> npt.NDArray | None:
    """Decode JPEG Extended of 12 bits, which GDCM can but pydicom does not ask it to; None where that fails."""
    if (
        dataset.file_meta.get("TransferSyntaxUID") != JPEGExtended12Bit
        or find_spec("gdcm") is None
        or _bad_scan(dataset)
    ):
        return None
    import gdcm

    with NamedTemporaryFile(suffix=".dcm") as file:
        file.write(data)
        file.flush()
        reader = gdcm.ImageReader()
        reader.SetFileName(file.name)
        if not reader.Read():
            return None
        image = reader.GetImage()
        samples = image.GetBuffer()
        width, height = image.GetDimension(0), image.GetDimension(1)
    raw = samples.encode("utf-8", "surrogateescape") if isinstance(samples, str) else bytes(samples or b"")
    if len(raw) != 2 * width * height or image.GetNumberOfDimensions() != 2:
        return None
    return np.frombuffer(raw, np.uint16).reshape(height, width)


def _bad_scan(dataset: Dataset) -> str:
    """Return what is wrong with the scan header of a sequential JPEG, which decoders of 12 bits do not check."""
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1), b"")
    start = frame.find(b"\xff\xda")
    scan = frame[start + 4 : start + 20] if start > 0 else b""
    spectral = scan[1 + 2 * scan[0] :][:2] if scan else b""
    if spectral == b"\x00\x3f":
        return ""
    return f"its scan header selects the coefficients {', '.join(map(str, spectral)) or 'of nothing'}; a sequential scan has 0 to 63"


def _decode_error(dataset: Dataset, data: bytes, name: str, error: Exception) -> RadfoundryError:
    syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID", "")))
    reason = " ".join(str(error).split()).removeprefix(
        "Unable to decode as exceptions were raised by all available plugins: "
    )
    if syntax == JPEGExtended12Bit and find_spec("gdcm") is not None:
        reason = _bad_scan(dataset) or reason
    elif not _has_decoder(syntax):
        return _no_decoder(syntax, name)
    if "number of bytes of pixel data is less than expected" in reason:
        return UnreadableError(f"{name} is cut short", reason.split(" - ")[0], "copy it again", code="truncated-pixels")
    if syntax.is_compressed and _delimited(data):
        reason = "a sequence delimiter stands inside the stream"
    return UnreadableError(
        f"{name} has pixels that cannot be decoded",
        f"the {syntax.name} stream is invalid: {reason[:300]}",
        "fetch it again from the archive, uncompressed if it can send so",
        code="bad-pixels",
    )


def _delimited(data: bytes) -> bool:
    """Say whether the mark that ends pixel data stands in them more than once."""
    return data.count(b"\xfe\xff\xdd\xe0", max(0, data.rfind(b"\xe0\x7f\x10\x00"))) > 1


def _has_decoder(syntax: UID) -> bool:
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _no_decoder(syntax: UID, name: str) -> RadfoundryError:
    if syntax in _WITH_GDCM:
        why, mend = "no decoder that is installed knows it; GDCM does", "pip install 'radfoundry[dicom]'"
        return UnreadableError(f"{name} is written as {syntax.name}", why, mend, code="missing-decoder")
    mend = "send it again in another transfer syntax"
    return UnreadableError(f"{name} is written as {syntax.name}", "nothing here decodes it", mend, code="no-decoder")


def decode_raster(data: bytes, name: str, frame: int, limits: Limits) -> Decoded:
    """Return the samples of a picture file, [1, y, x] or [1, y, x, 3]; alpha is dropped, palettes are applied."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            limits.check_array((image.height, image.width, len(image.getbands())), 4, name)
            pages = int(getattr(image, "n_frames", 1))
            image.seek(min(max(frame, 0), pages - 1))
            facts: dict[str, Any] = {"mode": image.mode, "format": image.format, "pages": pages}
            upright = ImageOps.exif_transpose(image)
            facts["turned"] = upright.size != image.size or image.getexif().get(0x0112, 1) != 1
            pixels = np.asarray(_plain(upright))
    except UnidentifiedImageError as error:
        raise UnreadableError(
            f"{name} is no picture that can be read", mend="convert it to PNG", code="not-a-picture"
        ) from error
    except (OSError, SyntaxError, *DATASET_ERRORS) as error:
        reason = " ".join(str(error).split())[:300]
        raise UnreadableError(f"{name} is a damaged picture", reason, "copy it again", code="bad-picture") from error
    facts["colour"] = pixels.ndim == 3
    return Decoded(pixels[None], facts)


def _plain(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "I", "F", "I;16", "I;16B", "I;16L", "RGB"):
        return image
    if image.mode in ("1", "LA", "La"):
        return image.convert("L")
    if image.mode == "P" and image.getpalette() is None:
        return image.convert("L")
    return image.convert("RGBA").convert("RGB") if image.mode in ("P", "PA") else image.convert("RGB")
