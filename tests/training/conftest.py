"""A tiny network and studies for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tiny_studies import TinyStudies, build

from radfoundry.model import VLM, Processor


@pytest.fixture
def tiny() -> Callable[..., tuple[VLM, Processor, TinyStudies]]:
    """Build them: `tiny(points=False, seed=3)`."""
    return build
