"""The page of all commands, made from their functions: `python -m radfoundry.cli.reference > docs/commands.md`."""

from __future__ import annotations

import inspect
from importlib import import_module

from docstring_parser import parse

from radfoundry.cli import COMMANDS

__all__ = ["reference"]


def reference() -> str:
    """Return the reference as Markdown: each command's call, what it is for, and its settings with their defaults."""
    parts = ["# Commands", "", "Made from the functions themselves; each is also `radfoundry.NAME(...)` in Python.", ""]
    for name, line in COMMANDS.items():
        function = getattr(import_module(f"radfoundry.cli.{name}"), name)
        told = parse(inspect.getdoc(function) or "")
        parts += [f"## {name}", "", line, "", f"    {_call(name, function)}", "", told.short_description or "", ""]
        parts += ["| setting | default | |", "|---|---|---|"]
        words = {p.arg_name: " ".join((p.description or "").split()).replace("|", "\\|") for p in told.params}
        parts += [_row(p, words.get(p.name, "")) for p in inspect.signature(function).parameters.values()]
        parts.append("")
    return "\n".join(parts)


def _call(name: str, function: object) -> str:
    words = [f"radfoundry {name}"]
    for p in inspect.signature(function).parameters.values():  # type: ignore[arg-type]
        if p.kind is not p.KEYWORD_ONLY:
            words.append(p.name.upper() if p.default is p.empty else f"[{p.name.upper()}]")
    return " ".join([*words, "[--...]"])


def _row(parameter: inspect.Parameter, words: str) -> str:
    positional = parameter.kind is not parameter.KEYWORD_ONLY
    name = parameter.name.upper() if positional else f"--{parameter.name.replace('_', '-')}"
    default = "" if parameter.default in (parameter.empty, None, "", ()) else f"`{parameter.default}`"
    return f"| `{name}` | {default} | {words} |"


if __name__ == "__main__":
    print(reference())
