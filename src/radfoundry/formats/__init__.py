"""Published layouts, both ways: one module a layout with `write(corpus, folder)` and `read(folder)`, imported when it is asked for."""

from __future__ import annotations

from radfoundry.formats.exporting import FORMATS, Exported, export_corpus, layout

__all__ = ["FORMATS", "Exported", "export_corpus", "layout"]
