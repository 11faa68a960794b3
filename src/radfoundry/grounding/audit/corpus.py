"""The audit of a grounded-report corpus: read study by study, each check a small table of rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from radfoundry.corpus import Corpus
from radfoundry.grounding.audit.prevalence import LABELS_OF, Told, check_prevalence
from radfoundry.grounding.audit.row import AuditRow, Level
from radfoundry.grounding.audit.texts import check_sentences, check_sizes
from radfoundry.grounding.consistency import Verdict, check_study
from radfoundry.grounding.statements import Statement, clash, statements_of
from radfoundry.records import Finding, Image, Link, Region, Sample, Sentence, Study

__all__ = ["AuditedStudy", "audit_corpus", "studies_of", "verdicts_of"]

_EXAMPLES = 3
# readers and drawers differ about sizes; a side or a presence is right or wrong
_FIRM = frozenset({"side", "presence", "sides of masks"})


@dataclass(frozen=True)
class AuditedStudy:
    """A study with everything that hangs on it."""

    study: Study
    images: Mapping[str, Image]
    regions: tuple[Region, ...]
    sentences: tuple[Sentence, ...]
    links: Mapping[str, Sequence[Link]]
    findings: Mapping[str, Sequence[Finding]]

    @property
    def statements(self) -> tuple[Statement, ...]:
        """What its report states."""
        return statements_of(self.sentences, self.links, self.findings)


def audit_corpus(corpus: Corpus) -> list[AuditRow]:
    """Return the rows of every check, in the order of docs/audit.md."""
    studies = studies_of(corpus)
    return [
        *_prevalence(studies),
        *_contradictions(studies),
        *check_sentences([s for one in studies for s in one.sentences], _all_links(studies)),
        *check_sizes([s for one in studies for s in one.sentences]),
        *_consistency(verdicts_of(studies)),
        *_duplicates(corpus.samples()),
    ]


def studies_of(corpus: Corpus) -> list[AuditedStudy]:
    """Return the studies of a corpus with their rows."""
    images = _grouped(corpus.rows("images"), "study_id")
    regions = _grouped(corpus.rows("regions"), "image_id")
    reports = _grouped(corpus.rows("reports"), "study_id")
    sentences = _grouped(corpus.rows("sentences"), "report_id")
    links, findings = _grouped(corpus.rows("links"), "sentence_id"), _grouped(corpus.rows("findings"), "sentence_id")
    out = []
    for study in corpus.rows("studies"):
        mine = {image.image_id: image for image in images.get(study.study_id, ())}
        told = [s for report in reports.get(study.study_id, ()) for s in sentences.get(report.report_id, ())]
        told.sort(key=lambda s: (s.report_id, s.index))
        own = {
            s.sentence_id: [k for k in links.get(s.sentence_id, ()) if k.image_id is None or k.image_id in mine]
            for s in told
        }
        found = {s.sentence_id: findings[s.sentence_id] for s in told if s.sentence_id in findings}
        drawn = tuple(r for image_id in mine for r in regions.get(image_id, ()))
        out.append(AuditedStudy(study, mine, drawn, tuple(told), own, found))
    return out


def _grouped(rows: Iterable[object], column: str) -> dict[str, list]:
    grouped: dict[str, list] = defaultdict(list)
    for row in rows:
        grouped[getattr(row, column)].append(row)
    return dict(grouped)


def _all_links(studies: Iterable[AuditedStudy]) -> dict[str, list[Link]]:
    return {sentence: list(links) for one in studies for sentence, links in one.links.items()}


def _prevalence(studies: Sequence[AuditedStudy]) -> Iterator[AuditRow]:
    for labels in sorted(set(LABELS_OF.values())):
        mine = [s for s in studies if any(LABELS_OF.get(m) == labels for m in s.study.modalities) and s.sentences]
        told = [Told(s.study.study_id, t.concept) for s in mine for t in s.statements if t.finding.presence != "absent"]
        if mine:
            yield from check_prevalence(told, len(mine), labels)


def _contradictions(studies: Iterable[AuditedStudy]) -> Iterator[AuditRow]:
    """A concept that one report both affirms and denies at places that overlap."""
    found: dict[str, list[str]] = defaultdict(list)
    reports = 0
    for one in studies:
        reports += bool(one.sentences)
        affirmed = [s for s in one.statements if s.finding.presence == "present"]
        denied = [s for s in one.statements if s.finding.presence == "absent" and s.finding.temporal != "resolved"]
        both = {a.concept: (a, d) for a in affirmed for d in denied if a.concept == d.concept and clash(a, d)}
        for concept, (a, d) in both.items():
            found[concept].append(f"{a.sentence.text} / {d.sentence.text}")
    if not found:
        yield AuditRow("contradiction", "fine", "affirmed and denied", 0, reports)
    for concept, examples in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
        yield AuditRow("contradiction", "defect", concept, len(examples), reports, "0", tuple(examples[:_EXAMPLES]))


def verdicts_of(studies: Iterable[AuditedStudy]) -> list[tuple[str, Verdict]]:
    """Return study id and verdict of every comparison of text and masks."""
    return [
        (one.study.study_id, verdict)
        for one in studies
        if one.regions
        for verdict in check_study(
            one.statements, [k for several in one.links.values() for k in several], one.regions, one.images
        )
    ]


def _consistency(verdicts: Iterable[tuple[str, Verdict]]) -> Iterator[AuditRow]:
    by_check: dict[str, list[tuple[str, Verdict]]] = defaultdict(list)
    for study, verdict in verdicts:
        by_check[verdict.check].append((study, verdict))
    for check, mine in sorted(by_check.items()):
        wrong = [f"{study}: {v.said}, but {v.seen}" for study, v in mine if not v.agrees]
        level: Level = ("defect" if check in _FIRM else "note") if wrong else "fine"
        yield AuditRow("text and mask", level, check, len(wrong), len(mine), "0", tuple(wrong[:_EXAMPLES]))


def _duplicates(samples: Iterable[Sample]) -> Iterator[AuditRow]:
    """Questions that are asked twice of one study, and those of them whose answers differ."""
    asked: dict[tuple[object, ...], set[str]] = defaultdict(set)
    counts: Counter[tuple[object, ...]] = Counter()
    for sample in samples:
        if len(sample.turns) >= 2:
            shown = tuple((p.kind, p.ref) for turn in sample.turns[:-1] for p in turn.parts if p.kind != "text")
            key = (sample.study_id, shown, sample.choices, *(turn.text for turn in sample.turns[:-1]))
            counts[key] += 1
            asked[key].add(sample.turns[-1].text)
    twice = [key for key, n in counts.items() if n > 1]
    unlike = [key for key in twice if len(asked[key]) > 1]
    for subject, keys in (("asked twice", twice), ("asked twice, answered differently", unlike)):
        examples = tuple(f"{key[0]}: {key[-1]}" for key in keys[:_EXAMPLES])
        yield AuditRow("questions", "defect" if keys else "fine", subject, len(keys), len(counts), "0", examples)
