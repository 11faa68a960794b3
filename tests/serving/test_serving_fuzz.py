"""schemathesis asks everything that openapi.json allows, and much that it does not: no answer is a 5xx."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from serving_process import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is in the extra dev")


@pytest.fixture(scope="module")
def api(checkpoint: Path, phantom_corpora, tmp_path_factory) -> Iterator:
    out = shutil.copytree(phantom_corpora["grounded-report"].path, tmp_path_factory.mktemp("fuzz") / "corpus")
    with Server(checkpoint, out) as server:
        yield schemathesis.openapi.from_url(f"{server.url}/openapi.json")


def test_nothing_that_is_asked_breaks_the_server(api) -> None:
    # one operation after the other, without the plugin's subtests, which the newest pytest does not know
    asked = 0
    for found in api.get_all_operations():
        operation = found.ok()

        @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case) -> None:
            response = case.call(timeout=120)
            assert response.status_code < 500, response.text
            if response.status_code >= 400:
                assert response.json()["error"]["what"]

        ask()
        asked += 1
    assert asked > 10
