"""Phantoms are built like people: the heart on the left, the liver on the right, lobes where lobes are."""

from __future__ import annotations

import numpy as np
import pytest

from radfoundry import anatomy
from radfoundry.phantom import Phantom, make_phantom
from radfoundry.phantom.tissues import ORGANS


def centre(phantom: Phantom, *names: str) -> np.ndarray:
    """World (x, y, z) of the middle of some structures."""
    mask = np.isin(phantom.organs, [ORGANS[name] for name in names])
    return phantom.grid.to_world(np.argwhere(mask).mean(axis=0))


def midline(phantom: Phantom) -> float:
    return float(centre(phantom, "thoracic vertebrae")[0])


@pytest.mark.parametrize(
    ("name", "sign"),
    [("heart", 1), ("spleen", 1), ("stomach", 1), ("left kidney", 1), ("left lung lower lobe", 1), ("left clavicle", 1),
     ("liver", -1), ("right kidney", -1), ("superior vena cava", -1), ("gallbladder", -1), ("right rib", -1)],
)  # fmt: skip
def test_every_organ_lies_on_its_side(train: tuple[Phantom, ...], name: str, sign: int) -> None:
    for phantom in train:
        if (phantom.organs == ORGANS[name]).any():
            assert sign * (centre(phantom, name)[0] - midline(phantom)) > 0, phantom.key


def test_lobes_lie_above_before_and_behind_each_other(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        if (phantom.organs == ORGANS["pleura"]).any():
            continue  # fluid or air has taken the lung's place
        for side in ("left", "right"):
            upper, lower = (centre(phantom, f"{side} lung {lobe} lobe") for lobe in ("upper", "lower"))
            assert upper[2] > lower[2]
            assert upper[1] < lower[1]
        middle = centre(phantom, "right lung middle lobe")
        assert middle[2] < centre(phantom, "right lung upper lobe")[2]
        assert middle[1] < centre(phantom, "right lung lower lobe")[1]


def test_order_from_head_to_feet(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        thyroid, arch, heart, liver = (
            centre(phantom, n)[2] for n in ("thyroid gland", "trachea and bronchi", "heart", "liver")
        )
        assert thyroid > arch > heart > liver


def test_every_region_name_is_canonical(train: tuple[Phantom, ...]) -> None:
    names = (
        set(ORGANS)
        | {f.region for p in train for f in p.truth}
        | {r for p in train for k in p.links for r in k.regions}
    )
    synonyms = {"thyroid gland": "thyroid"}
    for name in names:
        assert anatomy.region(name).name in (name, synonyms.get(name)), name


def test_at_least_twenty_structures_are_labelled(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        values = set(np.unique(phantom.labels).tolist()) - {0}
        assert values <= set(phantom.label_names)
        assert len([v for v in values if v < 100]) >= 30


def test_the_same_patient_at_two_sizes() -> None:
    small, large = make_phantom(3), make_phantom(3, size="standard")
    assert large.volume.shape == (96, 160, 160)
    assert [(f.concept, f.region, f.size_mm) for f in small.truth] == [
        (f.concept, f.region, f.size_mm) for f in large.truth
    ]
    for name in ("heart", "liver", "aorta", "left lung upper lobe"):
        assert np.allclose(centre(small, name), centre(large, name), atol=4)
    share = np.prod(large.grid.spacing) * np.count_nonzero(large.organs == ORGANS["liver"])
    assert share == pytest.approx(
        np.prod(small.grid.spacing) * np.count_nonzero(small.organs == ORGANS["liver"]), rel=0.05
    )


def test_patients_differ_in_size_and_place(train: tuple[Phantom, ...]) -> None:
    hearts = np.array([centre(p, "heart") for p in train])
    assert hearts.std(axis=0).min() > 5
    lungs = [np.isin(p.organs, range(1, 6)).sum() for p in train]
    assert max(lungs) > 1.3 * min(lungs)


def test_densities_are_those_of_the_tissue(train: tuple[Phantom, ...]) -> None:
    for phantom in train:

        def mean(name: str, phantom: Phantom = phantom) -> float:
            return float(phantom.volume[phantom.labels == ORGANS[name]].mean())

        assert -940 < mean("left lung upper lobe") < -700
        assert mean("trachea and bronchi") < -700
        assert mean("thoracic vertebrae") > mean("liver") > mean("mediastinal tissue")
        if phantom.phase == "arterial":
            assert mean("aorta") > mean("liver") + 100


def test_volumes_are_int16_hounsfield_units_on_the_canonical_grid(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        assert phantom.volume.dtype == np.int16
        assert phantom.volume.shape == phantom.labels.shape == phantom.grid.shape == (32, 64, 64)
        assert phantom.volume.min() >= -1024
        assert phantom.volume.max() <= 3071
        assert np.allclose(phantom.grid.direction_matrix, np.eye(3))
