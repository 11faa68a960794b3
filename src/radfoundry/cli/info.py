"""`radfoundry info WHAT`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from radfoundry.errors import UsageError


def info(what: str, *, json: bool = False) -> dict[str, Any]:
    """Print facts about the anatomy, a region, a model preset or checkpoint, or a corpus.

    Parameters
    ----------
    what
        `anatomy`, a region's name, nano, small, base, a checkpoint folder or a corpus folder.
    json
        Print one JSON line.
    """
    from radfoundry.cli import console

    facts = _facts(what)
    if json:
        console.say_json(facts)
    else:
        console.say_table(
            what, ["", "value"], [(k, v if isinstance(v, int | float) else _words(v)) for k, v in facts.items()]
        )
    return facts


def _facts(what: str) -> dict[str, Any]:
    from radfoundry import anatomy

    if what == "anatomy":
        return dict(anatomy.describe())
    if (Path(what) / "corpus.json").is_file():
        from radfoundry.corpus import Corpus

        return Corpus(what).about
    if what in ("nano", "small", "base") or (Path(what) / "config.json").is_file():
        return _model(what)
    if anatomy.is_known(what):
        region = anatomy.region(what)
        return {name: getattr(region, name) for name in type(region).__dataclass_fields__}
    raise UsageError(f"nothing known about {what!r}", "it is no region, model or corpus", "radfoundry info anatomy")


def _model(what: str) -> dict[str, Any]:
    from radfoundry.model.describing import describe_model

    return describe_model(what)


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k}: {v}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
