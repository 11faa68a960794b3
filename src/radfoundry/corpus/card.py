"""The data card: README.md with counts, classes, licences and what was left out; plots; croissant.json. A function of the corpus."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from radfoundry.corpus import disk
from radfoundry.corpus.croissant import croissant
from radfoundry.corpus.licences import licence_counts, terms_of
from radfoundry.corpus.plots import bar_chart

if TYPE_CHECKING:
    from radfoundry.corpus.corpus import Corpus

__all__ = ["write_card"]

_MOST_BARS = 20
_TABLES_FIRST = ("samples", "studies", "images", "reports", "sentences", "findings", "regions", "links", "descriptions")


def write_card(corpus: Corpus, pictures: Mapping[str, bytes] | None = None) -> None:
    """Write README.md, croissant.json and card/*.svg into the corpus; pictures: file name -> PNG, shown at the top."""
    plots = {f"card/{name}.svg": svg.encode() for name, svg in _plots(corpus).items()}
    shown = {f"card/{name}": data for name, data in (pictures or {}).items()}
    described = json.dumps(croissant(corpus.about), indent=1, ensure_ascii=False) + "\n"
    (corpus.path / "card").mkdir(exist_ok=True)
    for name, data in {**plots, **shown, "croissant.json": described.encode()}.items():
        disk.put(corpus.path / name, data)
    disk.put(corpus.path / "README.md", _text(corpus, [*shown, *plots]).encode())


def _text(corpus: Corpus, pictures: Sequence[str]) -> str:
    about = corpus.about
    parts = [
        _front_matter(corpus),
        f"# {_safe(about['title'] or about['pipeline'])}",
        "Built by radfoundry. Research use only: no text or mask here may guide the care of a patient.",
        *[f"![]({name})" for name in pictures],
        "## What is in it\n\n" + _markdown(("table", "rows"), [(t, f"{n:,}") for t, n in about["rows"].items()]),
        "## Splits\n\n" + _splits(corpus),
        "## Licences\n\n" + _licences(corpus),
        "## How it was made\n\n" + _steps(corpus),
        "## What is not in it\n\n" + _left_out(corpus),
        "## Reading it\n\n" + _reading(),
        f"## Citation\n\n{_safe(about['citation'])}" if about["citation"] else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(corpus: Corpus) -> str:
    tables = sorted(corpus.about["rows"], key=lambda t: _TABLES_FIRST.index(t) if t in _TABLES_FIRST else 99)
    lines = ["---", "tags: [radiology, medical-imaging, radfoundry]", "configs:" if tables else "configs: []"]
    for place, table in enumerate(tables):
        lines += [f"- config_name: {table}"] + ["  default: true"] * (place == 0)
        lines += ["  data_files:", "  - split: corpus", f'    path: "tables/{table}/*.parquet"']
    return "\n".join([*lines, "---"])


def _splits(corpus: Corpus) -> str:
    counts = {table: Counter(_column(corpus, table, "split")) for table in ("studies", "samples")}
    names = [name for name in ("train", "validation", "test") if any(name in c for c in counts.values())]
    rows = [(name, f"{counts['studies'][name]:,}", f"{counts['samples'][name]:,}") for name in names]
    moved = len(corpus.about["moved_to_train"])
    note = (
        f"\n\n{moved} studies count as train though their rows name another split (`corpus.json`, `moved_to_train`): a study in \
another split has the same image or nearly the same report. `radfoundry.Corpus` applies this."
        if moved
        else ""
    )
    return _markdown(("split", "studies", "samples"), rows) + note


def _licences(corpus: Corpus) -> str:
    rows = []
    for licence, count in licence_counts(corpus).items():
        terms = terms_of(licence)
        uses = [_yes(terms.allows("commercial")), _yes(terms.allows("redistribute"))]
        rows.append((_safe(licence) or "(none named)", f"{count:,}", *uses, _yes(terms.attribution)))
    return _markdown(("licence", "studies", "commercial use", "handing on", "attribution"), rows)


def _steps(corpus: Corpus) -> str:
    rows = [(s["name"], s["version"], s["settings"], s["needs"]) for s in corpus.about["steps"]]
    return _markdown(("step", "version", "settings", "needs"), rows)


def _left_out(corpus: Corpus) -> str:
    reasons = Counter(zip(_column(corpus, "rejected", "step"), _column(corpus, "rejected", "code"), strict=True))
    if not reasons:
        return "Every source went in."
    rows = [
        (_safe(step), _safe(code), f"{n:,}") for (step, code), n in sorted(reasons.items(), key=lambda i: (-i[1], i[0]))
    ]
    return "Each has a row with its reason and what mends it in the table `rejected`.\n\n" + _markdown(
        ("step", "reason", "sources"), rows
    )


def _reading() -> str:
    return """```python
import radfoundry
corpus = radfoundry.Corpus("THIS FOLDER")
train = corpus.samples(split="train")          # random access: train[0]
links = corpus.table("links")                  # pyarrow
mask = corpus.mask(links["region_id"][0].as_py())

import datasets
samples = datasets.load_dataset("THIS FOLDER", "samples", split="corpus")
```"""


def _plots(corpus: Corpus) -> dict[str, str]:
    concepts = (
        f"{concept}, {presence}"
        for concept, presence in zip(
            _column(corpus, "findings", "concept"), _column(corpus, "findings", "presence"), strict=True
        )
    )
    columns: dict[str, tuple[str, Iterable[str]]] = {
        "tasks": ("Samples by task", _column(corpus, "samples", "task")),
        "findings": ("Findings, most frequent", concepts),
        "regions": ("Regions, most frequent", _column(corpus, "regions", "name")),
        "modalities": ("Images by modality", _column(corpus, "images", "modality")),
    }
    counted = {name: (title, Counter(values)) for name, (title, values) in columns.items()}
    return {name: bar_chart(title, _most(counts)) for name, (title, counts) in counted.items() if counts}


def _most(counts: Mapping[str, int]) -> dict[str, int]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {label or "(not known)": count for label, count in ordered[:_MOST_BARS]}


def _column(corpus: Corpus, table: str, column: str) -> list[str]:
    if table not in corpus.about["rows"]:
        return []
    return list(corpus.table(table, columns=[column])[column].to_pylist())


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _safe(text: str) -> str:
    """Text of others in Markdown: no markup, no table cells, no line ends."""
    return escape(" ".join(text.split())).replace("|", "&#124;").replace("`", "&#96;").replace("[", "&#91;")
