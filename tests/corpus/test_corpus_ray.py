"""The same bytes from a Ray cluster, and nothing lost when its workers die."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from corpus_toys import content, toy_pipeline, toys
from test_corpus_kill import survive

from radfoundry.corpus import Corpus, StepError, build
from radfoundry.corpus.runners.ray import RayRunner

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[str]:
    """A cluster of two nodes on this machine."""
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # nodes import the toys
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 * 2**20})
    cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    yield cluster.address
    cluster.shutdown()
    del os.environ["PYTHONPATH"]


@pytest.fixture
def runner(two_nodes: str) -> Iterator[RayRunner]:
    runner = RayRunner(2, two_nodes)
    yield runner
    runner.close()


def test_ray_writes_the_same_bytes_as_this_process(tmp_path: Path, runner: RayRunner) -> None:
    build(toys(30, {"study-0003": "row"}), toy_pipeline(), tmp_path / "ray", runner=runner)
    build(toys(30, {"study-0003": "row"}), toy_pipeline(), tmp_path / "calm", workers=0)
    assert content(tmp_path / "ray") == content(tmp_path / "calm")


def test_a_row_that_kills_its_ray_worker_is_found_and_rejected(tmp_path: Path, runner: RayRunner) -> None:
    build(toys(12, {"study-0007": "kill"}), toy_pipeline(), tmp_path, runner=runner)
    assert [row.key for row in Corpus(tmp_path).rows("rejected")] == ["study-0007"]


def test_a_ray_worker_killed_once_loses_nothing(tmp_path: Path, runner: RayRunner) -> None:
    once = str(tmp_path / "once")
    build(toys(8), toy_pipeline(once=once), tmp_path / "calm", workers=0)
    build(toys(8, {"study-0004": "kill-once"}), toy_pipeline(once=once), tmp_path / "ray", runner=runner)
    assert content(tmp_path / "ray") == content(tmp_path / "calm")


def test_a_bug_comes_back_from_ray_as_what_it_is(tmp_path: Path, runner: RayRunner) -> None:
    with pytest.raises(StepError, match="read 1 failed on study-0005"):
        build(toys(9, {"study-0005": "bug"}), toy_pipeline(9), tmp_path, runner=runner)


def test_twenty_five_kills_of_ray_builds_change_nothing(tmp_path: Path, two_nodes: str) -> None:
    survive(tmp_path, two_nodes, kills=25, count=1200, seed=5, pause_s=0.05)
