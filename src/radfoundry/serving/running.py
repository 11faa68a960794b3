"""Running a server: the model that a name means, and uvicorn around the application."""

from __future__ import annotations

from pathlib import Path

import uvicorn

from radfoundry.errors import UsageError
from radfoundry.model import Answerer, load
from radfoundry.model.checkpoint import read_config
from radfoundry.serving.app import create_app
from radfoundry.serving.desk import Load
from radfoundry.serving.settings import Settings

__all__ = ["model_of", "run_server"]


def model_of(what: str, settings: Settings) -> tuple[str, Load]:
    """Return the name of a model and how to load it; a folder is checked now, its weights are read later.

    Raises UsageError for what is no checkpoint folder.
    """
    folder = Path(what)
    if not folder.is_dir():
        raise UsageError(
            f"no model {what!r}",
            "it is no folder with a checkpoint",
            "train one: radfoundry train OUT --run DIR, then --model DIR/last",
        )
    name = str(read_config(folder)["model"].get("name") or folder.name)

    def answerer() -> Answerer:
        return Answerer(*load(folder), studies=settings.studies)

    return name, answerer


def run_server(what: str, settings: Settings, port: int, out: Path | None = None) -> None:
    """Serve until the process is told to stop. Raises UsageError for an unknown model, CorpusError for a folder without corpus."""
    if not settings.loopback and not settings.token:
        raise UsageError(
            "a server that others can reach needs a token",
            f"{settings.host} is not this machine alone",
            "add --token TOKEN, or leave --host out",
        )
    name, load_model = model_of(what, settings)
    app = create_app(name, load_model, settings, out)
    # no access log: addresses hold ids of images
    uvicorn.run(
        app,
        host=settings.host,
        port=port,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=64 * 1024,
    )
