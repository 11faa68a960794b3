"""RadGenome's published tables as what the audit asks of: who affirms what, and which rows break their own logic."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import lru_cache

from radfoundry.formats.radgenome import RadGenome, breaches
from radfoundry.formats.radgenome.tables import listed
from radfoundry.grounding.audit import AuditRow, Told, check_agreement, check_prevalence
from radfoundry.language import find_findings, why_no_size

__all__ = ["audit_tables"]

_EXAMPLES = 3


def audit_tables(data: RadGenome) -> list[AuditRow]:
    """Return prevalence, agreement of presence and disorders, row logic and sizes of published (or any) RadGenome tables."""
    present = {
        Told(row.volume, concept) for row in data.vqa_presence if row.presence == "Yes."
        for finding in listed(row.finding) for concept in concepts_in(finding, row.anatomy.rpartition("/")[2])
    }  # fmt: skip
    concluded = {
        Told(r.volume, c) for r in data.case_disorders for finding in listed(r.disorders) for c in concepts_in(finding)
    }
    volumes = {row.volume for row in data.vqa_abnormality} or {row.volume for row in data.vqa_presence}
    rows = check_prevalence(present, len(volumes), "ct-rate")
    if data.case_disorders:
        rows += check_agreement(present, concluded, len(volumes))
    return [*rows, *_breaches(data, len(volumes)), *_sizes(data)]


@lru_cache(maxsize=65536)
def concepts_in(finding: str, region: str = "") -> tuple[str, ...]:
    """Return the concepts of a free-text finding in a region, the text itself where it names none of ours."""
    text = f"{finding} in the {region}" if region else finding
    return tuple(dict.fromkeys(s.concept for s in find_findings(text))) or (finding,)


def _breaches(data: RadGenome, volumes: int) -> Iterator[AuditRow]:
    found = breaches(data, as_published=True)
    counts = Counter(breach.rule for breach in found)
    examples: dict[str, list[str]] = defaultdict(list)
    for breach in found:
        examples[breach.rule].append(" | ".join(part for part in (breach.volume, breach.path, breach.what) if part))
    for rule, n in sorted(counts.items()):
        yield AuditRow("row logic", "defect", rule, n, volumes, "0", tuple(examples[rule][:_EXAMPLES]))
    if not counts:
        yield AuditRow("row logic", "fine", "every rule holds", 0, volumes)


def _sizes(data: RadGenome) -> Iterator[AuditRow]:
    lost: dict[str, list[str]] = defaultdict(list)
    for row in data.vqa_size:
        if reason := why_no_size(row.size):
            lost[reason].append(row.size)
    n = len(data.vqa_size)
    yield AuditRow("sizes", "fine", "read", n - sum(map(len, lost.values())), n)
    for reason, texts in sorted(lost.items()):
        yield AuditRow("sizes", "note", f"not read: {reason}", len(texts), n, "", tuple(texts[:_EXAMPLES]))
