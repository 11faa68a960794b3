"""The tiny model and its processor, for every test of this room."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_model import SHAPE, TEXTS, tiny

from radfoundry.model import VLM, Processor


@pytest.fixture(scope="session")
def processor() -> Processor:
    words = Processor.train_tokenizer(TEXTS, 320)
    return Processor.for_model(words, tiny(words.size))


@pytest.fixture
def model(processor: Processor) -> VLM:
    torch.manual_seed(0)
    return VLM(tiny(processor.vocabulary.size)).eval()


@pytest.fixture
def volume() -> torch.Tensor:
    return torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def lesion() -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[2:5, 4:9, 3:12] = True
    return mask
