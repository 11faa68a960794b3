"""`make bench-io`: a CT series of 512 x 512 x 300 and the same volume as .nii.gz, to the canonical array, by several readers.

Every reading runs in a process of its own (best of a few, readers taking turns); JSON lines: seconds, CPU seconds, peak memory as
multiples of the volume, and a last line with the ratios that matter. Readers that are not installed are named, not guessed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (300, 512, 512)
SPACING = (1.0, 0.7, 0.7)


def volume() -> np.ndarray:
    """A noisy cylinder: packs about as well as a real CT does."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    body = np.where(x**2 + y**2 < 0.7, 40, -900).astype(np.int16)
    out = np.empty(SHAPE, np.int16)
    for z in range(SHAPE[0]):
        out[z] = body + (random.standard_normal(body.shape) * 12).astype(np.int16)
    return out


def write_series(folder: Path, array: np.ndarray) -> None:
    """300 explicit little-endian slices whose names are not their order."""
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    folder.mkdir()
    for z in range(len(array)):
        d = Dataset()
        d.file_meta = FileMetaDataset()
        d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = CTImageStorage
        d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.{z + 1}"
        d.Modality, d.PatientID, d.StudyInstanceUID, d.SeriesInstanceUID = "CT", "bench", "1.2.826.1", "1.2.826.2"
        d.ImageType, d.InstanceNumber = ["ORIGINAL", "PRIMARY", "AXIAL"], len(array) - z
        d.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        d.ImagePositionPatient = [-180, -180, z * SPACING[0]]
        d.PixelSpacing, d.SliceThickness = list(SPACING[1:]), SPACING[0]
        d.Rows, d.Columns, d.SamplesPerPixel, d.PhotometricInterpretation = 512, 512, 1, "MONOCHROME2"
        d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 1
        d.RescaleSlope, d.RescaleIntercept = 1, -1024
        d.PixelData = (array[z] + 1024).tobytes()
        pydicom.dcmwrite(folder / f"{(z * 7) % len(array):04d}.dcm", d, enforce_file_format=True)


def write_nifti(path: Path, array: np.ndarray) -> None:
    """The volume as others write it: R A S, so that both in-plane axes must be turned."""
    import nibabel as nib

    affine = np.diag([*SPACING[::-1], 1.0])
    nib.save(nib.Nifti1Image(array.transpose(2, 1, 0)[::-1, ::-1], affine), path)


def ours(path: Path) -> np.ndarray:
    """radfoundry: discovery and reading."""
    from radfoundry.studies import discover, read_image

    return read_image(discover(path).studies[0].images[0]).pixels


def simpleitk(path: Path) -> np.ndarray:
    """SimpleITK with one thread, turned to LPS."""
    import SimpleITK as sitk

    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path)) if path.is_dir() else str(path)
    image = sitk.ReadImage(names)
    if image.GetDirection() != (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0):
        image = sitk.DICOMOrient(image, "LPS")
    return sitk.GetArrayFromImage(image).astype(np.int16, copy=False)


def nibabel(path: Path) -> np.ndarray:
    """nibabel, turned to its canonical axes and then to ours."""
    import nibabel as nib

    image = nib.as_closest_canonical(nib.load(path))
    stored = np.asanyarray(image.dataobj)
    return np.ascontiguousarray(stored[::-1, ::-1].transpose(2, 1, 0).astype(np.int16, copy=False))


def monai(path: Path) -> np.ndarray:
    """MONAI's LoadImage and Orientation."""
    from monai.transforms import Compose, EnsureChannelFirst, LoadImage, Orientation

    image = Compose([LoadImage(image_only=True), EnsureChannelFirst(), Orientation("LPS")])(str(path))
    return np.ascontiguousarray(np.asarray(image)[0].transpose(2, 1, 0).astype(np.int16))


READERS: dict[str, tuple[Callable[[Path], np.ndarray], str]] = {
    "radfoundry": (ours, "radfoundry"),
    "SimpleITK": (simpleitk, "SimpleITK"),
    "nibabel": (nibabel, "nibabel"),
    "MONAI": (monai, "monai"),
}


def one_reading(reader: str, path: Path) -> dict[str, Any]:
    """Read once in this process, libraries imported before the clock starts."""
    read, _ = READERS[reader]
    read(path.parent / ("tiny" if path.is_dir() else "tiny.nii.gz"))
    wall, cpu = time.perf_counter(), time.process_time()
    array = read(path)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert array.shape == SHAPE
    assert array.dtype == np.int16
    checksum = int(array[::10, ::7, ::5].astype(np.int64).sum())
    return {"seconds": wall, "cpu_seconds": cpu, "peak_ratio": peak / array.nbytes, "checksum": checksum}


def in_its_own_process(reader: str, path: Path) -> dict[str, Any]:
    """Run `one_reading` in a fresh interpreter."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
    command = [sys.executable, __file__, "--read", reader, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def compare(what: str, path: Path, readers: list[str], repeats: int) -> dict[str, dict[str, Any]]:
    """Let the readers take turns; keep each one's best."""
    best: dict[str, dict[str, Any]] = {}
    for _ in range(repeats):
        for reader in readers:
            result = in_its_own_process(reader, path)
            if reader not in best or result["cpu_seconds"] < best[reader]["cpu_seconds"]:
                best[reader] = result
    assert len({result["checksum"] for result in best.values()}) == 1, "readers disagree on the values"
    for reader, result in best.items():
        print(
            json.dumps({"bench": "io", "what": what, "reader": reader, **{k: round(v, 4) for k, v in result.items()}})
        )
    return best


def main() -> None:
    """Write the inputs, compare, and print the ratios to the fastest other reader."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--read", nargs=2, metavar=("READER", "PATH"))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(one_reading(arguments.read[0], Path(arguments.read[1]))))
        return
    here = [name for name, (_, module) in READERS.items() if importlib.util.find_spec(module)]
    for name in READERS.keys() - set(here):
        print(json.dumps({"bench": "io", "reader": name, "skipped": "not installed"}))
    with tempfile.TemporaryDirectory() as folder:
        root, array = Path(folder), volume()
        write_series(root / "series", array)
        write_series(root / "tiny", array[:3])
        write_nifti(root / "volume.nii.gz", array)
        write_nifti(root / "tiny.nii.gz", array[:3])
        series = compare("dicom series", root / "series", [n for n in here if n != "nibabel"], arguments.repeats)
        nifti = compare("nii.gz", root / "volume.nii.gz", here, arguments.repeats)
    for what, results in (("dicom series", series), ("nii.gz", nifti)):
        others = {name: result for name, result in results.items() if name != "radfoundry"}
        fastest = min(others, key=lambda name: others[name]["cpu_seconds"])
        mine = results["radfoundry"]
        print(
            json.dumps(
                {
                    "bench": "io",
                    "what": what,
                    "fastest_other": fastest,
                    "cpu_ratio": round(mine["cpu_seconds"] / others[fastest]["cpu_seconds"], 3),
                    "wall_ratio": round(mine["seconds"] / others[fastest]["seconds"], 3),
                    "peak_ratio": round(mine["peak_ratio"], 3),
                    "ok": mine["cpu_seconds"] <= 1.1 * others[fastest]["cpu_seconds"] and mine["peak_ratio"] <= 2.5,
                }
            )
        )


if __name__ == "__main__":
    main()
