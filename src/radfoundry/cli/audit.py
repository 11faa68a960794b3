"""`radfoundry audit OUT`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radfoundry.grounding.audit import AuditRow


def audit(out: Path, *, everything: bool = False, json: bool = False) -> Any:
    """Say what is wrong with the findings, links and questions of a corpus as a whole, or of RadGenome's published files.

    Parameters
    ----------
    out
        A corpus folder; or a folder with RadGenome-Chest CT's CSV files.
    everything
        Show what was looked at and is fine, too.
    json
        Print every row as a JSON line, and a summary.
    """
    from radfoundry.cli import console

    rows = _rows(out)
    if json:
        for row in rows:
            console.say_json(row._asdict() | {"share": row.share})
        console.say_json({"rows": len(rows), **_counts(rows)})
        return rows
    shown = [row for row in rows if everything or row.level != "fine"]
    cells = [
        (r.level, r.check, r.subject, r.n, r.of, r.share, r.expected, (r.examples or ("",))[0][:100]) for r in shown
    ]
    console.say_table(
        f"audit of {out}", ["level", "check", "subject", "n", "of", "share", "expected", "for example"], cells
    )
    console.say(", ".join(f"{n} {level}" for level, n in _counts(rows).items()))
    console.say_next(f"radfoundry audit {out} --json", f"radfoundry show {out}")
    return rows


def _rows(out: Path) -> list[AuditRow]:
    from radfoundry.corpus import Corpus
    from radfoundry.grounding.audit import audit_corpus

    if (out / "corpus.json").is_file() or not any(out.rglob("*.csv")):
        return audit_corpus(Corpus(out))
    from radfoundry.cli.auditing import audit_tables
    from radfoundry.formats.radgenome import read_tables

    return audit_tables(read_tables(out))


def _counts(rows: list[AuditRow]) -> dict[str, int]:
    return {level: sum(row.level == level for row in rows) for level in ("defect", "note", "fine")}
