"""radfoundry: from radiology studies to grounded corpora, models that point at what they say, and believable scores.

Every command of the command line is a function here: `radfoundry.build(...)`, `radfoundry.train(...)`, `radfoundry.ask(...)` ...;
`radfoundry.Corpus(folder)` opens what was built. They are imported when first used, so that a program that only reads tables never
loads torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_COMMANDS = (
    "ask",
    "audit",
    "bench",
    "build",
    "compare",
    "convert",
    "demo",
    "doctor",
    "export",
    "info",
    "replay",
    "rescore",
    "serve",
    "show",
    "train",
)

__all__ = ["Corpus", "__version__", *_COMMANDS]


def __getattr__(name: str) -> Any:
    if name == "Corpus":
        return import_module("radfoundry.corpus").Corpus
    if name in _COMMANDS:
        return getattr(import_module(f"radfoundry.cli.{name}"), name)
    raise AttributeError(f"module 'radfoundry' has no attribute {name!r}")
