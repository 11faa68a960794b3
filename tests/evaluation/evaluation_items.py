"""Questions that need no corpus."""

from __future__ import annotations

import numpy as np

from radfoundry.evaluation.tasks import Item, Reference, Task
from radfoundry.geometry import Grid
from radfoundry.protocols import Picture, Question
from radfoundry.records import Part, Turn


def closed_item(number: int, true: str = "yes", pictures: tuple[Picture, ...] = ()) -> Item:
    """A yes/no question of a patient of its own."""
    shown = tuple(Part("image", ref=p.image_id) for p in pictures)
    turn = Turn("user", (*shown, Part("text", f"Is thing {number} there?")))
    question = Question(f"q{number:03d}", f"s{number}", (turn,), pictures, "closed", ("yes", "no"), "presence")
    return Item(question, Reference(true), f"p{number}")


def closed_task(n: int) -> Task:
    """n yes/no questions, every second one truly "yes"."""
    return Task("toy", "1", [closed_item(k, "yes" if k % 2 == 0 else "no") for k in range(n)])


def grey_picture(name: str = "img_a", shape: tuple[int, ...] = (40, 30), modality: str = "XR") -> Picture:
    """A ramp as a picture or a volume."""
    pixels = np.linspace(0, 255, int(np.prod(shape))).reshape(shape).astype(np.int16)
    grid = (
        Grid.picture((shape[0], shape[1]))
        if len(shape) == 2
        else Grid.axial((shape[0], shape[1], shape[2]), (3.0, 1.0, 1.0))
    )
    return Picture(name, modality, grid, lambda: pixels)
