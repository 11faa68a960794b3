"""Tiny studies and networks that train in milliseconds."""

from __future__ import annotations

import numpy as np
import torch

from radfoundry.geometry import Grid
from radfoundry.model import VLM, ImagePart, Pointer, Processor, Turn, VLMConfig, create, nano
from radfoundry.model.looking import look_at
from radfoundry.training.examples import StudyExample

WORDS = ["Is there a nodule?", "Yes", "No", "Where is the liver?", "In the upper left part.", "Segment the heart."]


class TinyStudies:
    """Six volumes with up to three questions each; answers, and (if wanted) boxes and masks, follow from the number and the draw."""

    def __init__(self, processor: Processor, config: VLMConfig, points: bool = True) -> None:
        self.processor, self.config, self.points = processor, config, points

    def __len__(self) -> int:
        return 6

    def example(self, number: int, questions: int, rng: np.random.Generator) -> StudyExample:
        pixels = np.random.default_rng(number).normal(0, 300, (8, 16, 16))
        look = look_at(pixels, Grid.axial((8, 16, 16), (4, 2, 2)), "CT", self.config)
        talks = [self._talk(int(rng.integers(6)), number, look.shape) for _ in range(min(questions, 3))]
        return StudyExample((look,), tuple(talks))

    def _talk(self, kind: int, number: int, shape: tuple[int, int, int]):
        answer: list = [WORDS[1 + kind % 4]]
        mask = np.zeros(shape, bool)
        mask[:, 4:12, 2 : 6 + number] = True
        if kind % 3 == 0 and self.points:
            answer.insert(0, Pointer("mask", mask=mask))
        if kind % 3 == 1 and self.points:
            answer.insert(0, Pointer("box", box_zyx=(0, 4, 2, 8, 12, 6 + number)))
        turns = [Turn("user", [ImagePart(0), WORDS[kind]]), Turn("assistant", answer)]
        return self.processor.encode(turns, [shape])


def _config(vocabulary: int) -> VLMConfig:
    return nano(vocabulary, (8, 16, 16))


def build(points: bool = True, seed: int = 0) -> tuple[VLM, Processor, TinyStudies]:
    """A tiny network with weights that follow from `seed`, its processor, and studies for it."""
    torch.manual_seed(seed)
    network, processor = create(_config, WORDS * 4, 300)
    return network, processor, TinyStudies(processor, network.config, points)
