"""Write phantoms as files that any reader of studies takes: NIfTI, PNG, label maps, and one table."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
from PIL import Image

from radfoundry.geometry import Grid
from radfoundry.phantom.study import Phantom, make_phantom

__all__ = ["COLUMNS", "write_cohort"]

COLUMNS = (
    "image", "report", "patient", "mask", "study", "prior", "split", "licence", "labels", "modality", "view", "age", "sex",
)  # fmt: skip

# DICOM and this package are LPS, NIfTI is RAS
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_cohort(
    folder: str | Path, n: int, *, seed: int = 0, size: str = "demo", xray: bool = True, splits: Sequence[str] = ()
) -> Path:
    """Write n phantoms and their priors below a folder, and return the path of `table.csv` (see `COLUMNS`).

    splits: one name a phantom, repeated as needed; by default of every ten one is for validation and two are for the test.
    `truth.json` beside the table holds what is true of each study, keyed by study.
    """
    root = Path(folder)
    for sub in ("images", "masks", "reports"):
        (root / sub).mkdir(parents=True, exist_ok=True)
    pattern = tuple(splits) or ("train",) * 7 + ("validation",) + ("test",) * 2
    truth: dict[str, object] = {}
    with (root / "table.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for index in range(n):
            phantom = make_phantom(index, seed=seed, split=pattern[index % len(pattern)], size=size)
            for study in (phantom.prior, phantom):
                if study is not None:
                    table.writerows(_write_study(root, study, xray))
                    truth[study.key] = [vars(finding) for finding in study.truth]
    (root / "truth.json").write_text(json.dumps(truth, indent=1), encoding="utf-8")
    return root / "table.csv"


def _write_study(root: Path, study: Phantom, xray: bool) -> Iterator[dict[str, str]]:
    """Write one study's files and yield its rows of the table."""
    shared = {
        "patient": study.patient_key,
        "study": study.key,
        "prior": study.prior.key if study.prior else "",
        "split": study.split,
        "licence": "CC0-1.0",
        "age": str(study.age),
        "sex": study.sex,
    }
    ct = {
        "image": f"images/{study.key}.nii.gz",
        "mask": f"masks/{study.key}.nii.gz",
        "report": f"reports/{study.key}.txt",
    }
    _write_nifti(root / ct["image"], study.volume, study.grid)
    _write_nifti(root / ct["mask"], study.labels, study.grid)
    (root / ct["report"]).write_text(study.report + "\n", encoding="utf-8")
    labels = _write_names(root / f"masks/{study.key}.tsv", study.label_names, root)
    yield shared | ct | {"labels": labels, "modality": "CT", "view": "volume"}
    if xray:
        film = study.key + "-xray"
        names = {"image": f"images/{film}.png", "mask": f"masks/{film}.png", "report": f"reports/{film}.txt"}
        Image.fromarray(study.xray).save(root / names["image"])
        Image.fromarray(study.xray_labels).save(root / names["mask"])
        (root / names["report"]).write_text(study.xray_report + "\n", encoding="utf-8")
        prior = study.prior.key + "-xray" if study.prior else ""
        labels = _write_names(root / f"masks/{film}.tsv", study.xray_label_names, root)
        told = {"study": film, "prior": prior, "labels": labels, "modality": "DX", "view": "frontal"}
        yield shared | names | told


def _write_nifti(path: Path, array: npt.NDArray, grid: Grid) -> None:
    image = nibabel.nifti1.Nifti1Image(np.ascontiguousarray(array.T), _LPS_TO_RAS @ grid.affine)  # type: ignore[no-untyped-call]
    nibabel.loadsave.save(image, path)


def _write_names(path: Path, names: dict[int, str], root: Path) -> str:
    path.write_text("".join(f"{value}\t{name}\n" for value, name in names.items()), encoding="utf-8")
    return path.relative_to(root).as_posix()
