"""`radfoundry serve --model WHAT`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def serve(*, model: str, data: Path | None = None, host: str = "127.0.0.1", port: int = 8000, token: str = "") -> None:
    """Serve a model: the API, and the page that shows scans, answers and a corpus. Ends with Ctrl-C.

    Parameters
    ----------
    model
        A checkpoint folder.
    data
        A corpus folder, shown in the rooms Corpus and Review; verdicts are stored in it.
    host
        The address to listen at; this machine alone if not given.
    port
        The port to listen at.
    token
        What callers must send; RADFOUNDRY_TOKEN if not given. A host that others can reach gets one of its own without either.
    """
    from radfoundry.cli import console
    from radfoundry.errors import MissingExtraError

    try:
        from radfoundry.serving.running import run_server
        from radfoundry.serving.settings import Settings
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "the server needs more libraries", f"{error.name} is not installed", extra="serve"
        ) from error

    token = token or os.environ.get("RADFOUNDRY_TOKEN", "")
    if not token and not Settings(host=host).loopback:
        token = secrets.token_urlsafe(24)
        console.say(f"token: {token}")
    console.say(f"http://{f'[{host}]' if ':' in host else host}:{port}  (Research use only)")
    run_server(model, Settings(host=host, token=token), port, data)
