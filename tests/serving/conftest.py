"""A server in this process, over a model that has learned nothing: what it says is noise, how it says it is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient
from serving_helpers import client_of, ready

from radfoundry.model import Answerer, create, load, nano, save
from radfoundry.phantom import make_phantom


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained nano."""
    torch.manual_seed(0)
    model, processor = create(nano, [make_phantom(i).report for i in range(3)], 512)
    return save(model, processor, tmp_path_factory.mktemp("serving") / "nano")


@pytest.fixture(scope="session")
def answerer(checkpoint: Path) -> Answerer:
    """The same in memory."""
    return Answerer(*load(checkpoint))


@pytest.fixture(scope="session")
def client(answerer: Answerer) -> Iterator[TestClient]:
    """A server without corpus."""
    with client_of(answerer) as found:
        yield ready(found)


@pytest.fixture(scope="session")
def example(client: TestClient) -> dict:
    """The phantom that the server offers, taken in."""
    return client.post("/v1/files/example").json()
