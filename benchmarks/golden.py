"""Run every case of a folder of golden cases: does our code compute what the published models compute?

    python benchmarks/golden.py FOLDER [--salt TEXT] [--only NAME]

FOLDER holds `<family>/<case>/{case.json,arrays.npz,keys.tsv}` (or is one family's folder); weights are made from the keys'
names. Prints one JSON line a case: name, max_abs_error, tolerance, ok (null with a reason where a case does not apply).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
Outputs = dict[str, Any]


@dataclass
class Case:
    """One golden case, read from its folder."""

    folder: Path
    about: dict[str, Any]
    salt: str

    @property
    def name(self) -> str:
        return str(self.about["name"])

    @property
    def config(self) -> dict[str, Any]:
        return dict(self.about["config"])

    def arrays(self) -> dict[str, torch.Tensor]:
        """Inputs and outputs by name, numbers as tensors."""
        with np.load(self.folder / "arrays.npz", allow_pickle=False) as stored:
            return {k: torch.from_numpy(v) if v.dtype.kind in "biuf" else v for k, v in stored.items()}  # type: ignore[misc]

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Key to shape of the tiny model."""
        return read_listing(self.folder / "keys.tsv")

    def state(self, shapes: dict[str, tuple[int, ...]] | None = None) -> dict[str, torch.Tensor]:
        """The published state dict, made from its keys."""
        overrides = self.about.get("weights", {}).get("overrides", {})
        return {
            key: torch.from_numpy(np.asarray(keyed(key, shape, self.salt, overrides.get(key))))
            for key, shape in (self.shapes() if shapes is None else shapes).items()
        }


def keyed(key: str, shape: tuple[int, ...], salt: str = "", override: Any = None) -> np.ndarray:
    """A tensor's values from its name: PCG64 seeded by SHA-256(salt + key), uniform with unit variance, then scaled."""
    if isinstance(override, int | float):
        return np.full(shape, override, dtype=np.float32)
    seed = int.from_bytes(hashlib.sha256((salt + key).encode()).digest()[:8], "little")
    count = math.prod(shape)
    raw = np.asarray(np.random.PCG64(seed).random_raw(count) if count else [], dtype=np.uint64)
    unit = (((raw >> np.uint64(11)).astype(np.float64) * 2.0**-53 - 0.5) * math.sqrt(12)).reshape(shape)
    if override is not None:
        unit = override["scale"] * unit + override.get("shift", 0.0)
    elif len(shape) >= 2:
        unit = unit / math.sqrt(math.prod(shape[1:]))
    elif len(shape) == 1:
        scale = key.rsplit(".", 1)[-1] in ("weight", "gamma")
        unit = 1 + 0.1 * unit if scale else 0.02 * unit
    else:
        unit = 0.1 * unit
    return unit.astype(np.float32)


def read_listing(file: Path) -> dict[str, tuple[int, ...]]:
    """Key to shape of a `keys.tsv` or `*_state_dict.tsv`."""
    rows = (line.split("\t") for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    return {
        row[0]: tuple(int(n) for n in row[1].split(",") if n)
        for row in rows
        if row[0] != "key" and not row[0].startswith("#")
    }


def compare(case: Case, found: Outputs) -> dict[str, Any]:
    """The verdict on a case: every output within its tolerance, integers and texts equal."""
    wanted, worst, limit = case.arrays(), 0.0, 0.0
    wrong = list(found.pop("wrong", []))
    tolerance = case.about.get("tolerance", {})
    names = [name for name in case.about["outputs"] if name in wanted]
    for name in [name for name in names if name not in found]:
        wrong.append(f"{name}: not computed")
    for name in [name for name in names if name in found]:
        allowed = float(tolerance.get(name, 0) if isinstance(tolerance, dict) else tolerance)
        error = difference(found[name], wanted[name])
        worst, limit = max(worst, error), max(limit, allowed)
        if not error <= allowed:
            wrong.append(f"{name}: {error:.3g} > {allowed:.3g}")
    line: dict[str, Any] = {"name": case.name, "max_abs_error": worst, "tolerance": limit, "ok": not wrong}
    if wrong:
        line["wrong"] = wrong[:12]
    return line


def difference(found: Any, wanted: Any) -> float:
    """Largest absolute difference; infinite if shapes, texts or the places of infinities differ."""
    if isinstance(wanted, np.ndarray) and wanted.dtype.kind not in "biuf":
        return 0.0 if np.array_equal(np.asarray(found, dtype=wanted.dtype), wanted) else math.inf
    found = found.detach() if isinstance(found, torch.Tensor) else found
    ours, theirs = np.asarray(found, dtype=np.float64), np.asarray(wanted, dtype=np.float64)
    if ours.size == theirs.size == 1:
        ours, theirs = ours.reshape(()), theirs.reshape(())
    if ours.shape != theirs.shape:
        return math.inf
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        gap = np.where(same, 0.0, np.abs(ours - theirs))
    return float(np.where(np.isnan(gap), math.inf, gap).max(initial=0.0))


def runners() -> dict[str, Callable[[Case], Outputs | str]]:
    """Per family the function that runs a case; a string is the reason why a case does not apply."""
    import golden_llava
    import golden_m3d
    import golden_radfm
    import golden_xraygpt

    return {
        "m3d": golden_m3d.run,
        "radfm": golden_radfm.run,
        "xraygpt": golden_xraygpt.run,
        "llava": golden_llava.run,
    }


def judge(case: Case, run: Callable[[Case], Outputs | str]) -> dict[str, Any]:
    """Run one case; a crash is a failed case, not the end."""
    empty = {"name": case.name, "max_abs_error": None, "tolerance": None}
    try:
        with torch.inference_mode(mode=not any(name.startswith("grad") for name in case.about["outputs"])):
            found = run(case)
    except Exception as error:  # noqa: BLE001 - whatever fails in a case is that case's result
        traceback.print_exc()
        return {**empty, "ok": False, "reason": f"{type(error).__name__}: {error}".splitlines()[0]}
    if isinstance(found, str):
        return {**empty, "ok": None, "reason": found}
    return compare(case, found)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--salt", default=None, help="put before every key (default: what case.json says)")
    parser.add_argument("--only", default="", help="run cases whose name contains this")
    arguments = parser.parse_args()
    known = runners()
    for file in sorted(arguments.folder.rglob("case.json")):
        about = json.loads(file.read_text(encoding="utf-8"))
        salt = about.get("salt", "") if arguments.salt is None else arguments.salt
        case = Case(file.parent, about, salt)
        if arguments.only in case.name:
            print(json.dumps(judge(case, known[about["family"]])), flush=True)


if __name__ == "__main__":
    main()
