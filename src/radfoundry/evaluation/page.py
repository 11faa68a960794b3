"""A run as a page: scores beside their controls, what was shared, what failed, answers to look at. Made from the run folder alone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from radfoundry.evaluation.runlog import ASKED, Record, RunLog
from radfoundry.evaluation.running import RunResult, result_of_log
from radfoundry.evaluation.scoring import TaskScore
from radfoundry.viewing import PagePicture, PageSection, Score, report_page, score_chart

__all__ = ["write_page"]

_ROWS = 4  # answers shown of each task
_FAILED = 20
_LONGEST = 300


def write_page(folder: Path, notes: Sequence[str] | None = None, result: RunResult | None = None) -> Path:
    """Write `report.html` into a run folder and return its path.

    notes: what a reader has to know; kept in the folder, so that a page written again has them too. result: the scores, where they
    have been worked out already.
    """
    log = RunLog(folder)
    kept = folder / "notes.json"
    if notes is not None:
        kept.write_text(json.dumps(list(notes), ensure_ascii=False) + "\n", encoding="utf-8")
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else log.about.get("notes", [])
    asked = [r for r in log.records() if r.condition == ASKED]
    result, about = result or result_of_log(log), log.about
    sections = [
        _scores(result),
        _controls(result.scores),
        PageSection("Before you believe it", paragraphs=tuple(known) or ("Nothing is known against these scores.",)),
        _failures(asked, result),
        *_pictures(folder, asked),
        _answers(asked),
        _making(about, result),
    ]
    path = folder / "report.html"
    title = f"{about['model']} on {about['suite']}"
    path.write_text(report_page(title, [s for s in sections if _has_content(s)]), encoding="utf-8", errors="replace")
    return path


def _has_content(section: PageSection) -> bool:
    return bool(section.paragraphs or section.rows or section.charts or section.pictures)


def _scores(result: RunResult) -> PageSection:
    marks = [
        Score(s.name, s.score.value, s.score.low, s.score.high, s.score.n, s.best_blind)
        for s in result.scores
        if s.primary
        and s.better == "higher"
        and s.score.value is not None
        and s.score.low is not None
        and s.score.high is not None
    ]
    rows = tuple(
        (
            s.name, "native" if s.scorer == "native" else f"published ({s.scorer})", s.score.n, _number(s.score.value),
            _interval(s), s.better, _number(s.best_blind), s.best_control or "-", s.score.note,
        )
        for s in result.scores
    )  # fmt: skip
    columns = ("score", "scorer", "n", "value", "95 % interval", "better", "best blind", "which", "counted")
    return PageSection(
        "Scores",
        paragraphs=(
            "Intervals resample patients. The best blind control is what the same questions give to who does not see the right picture; "
            "published scorers are shown with their faults, for comparison with published figures alone.",
        ),
        columns=columns,
        rows=rows,
        charts=(score_chart(marks),) if marks else (),
    )


def _controls(scores: Iterable[TaskScore]) -> PageSection:
    shown = [s for s in scores if s.primary and s.blind]
    names = sorted({name for s in shown for name in s.blind})
    rows = tuple(
        (
            s.name,
            _number(s.score.value),
            *(_number(s.blind[name].value) if name in s.blind else "-" for name in names),
        )
        for s in shown
    )
    return PageSection("Every blind control", columns=("score", "as asked", *names), rows=rows)


def _failures(asked: Sequence[Record], result: RunResult) -> PageSection:
    failed = [
        r for r in asked if r.error or (r.parsed is None and r.answer_kind in ("closed", "choice", "box", "mask"))
    ]
    said = ", ".join(f"{count} x {reason}" for reason, count in result.errors.items())
    rows = tuple((r.sample_id, _cut(_question(r)), _cut(r.error or "cannot be read"), _cut(r.answer)) for r in failed)
    return PageSection(
        "Missing and unreadable answers",
        paragraphs=(f"{len(failed)} of {len(asked)}; they count as wrong. {said}",) if failed else (),
        columns=("question", "asked", "why", "answer"),
        rows=rows[:_FAILED],
    )


def _pictures(folder: Path, asked: Sequence[Record]) -> list[PageSection]:
    drawn = [r for r in asked if r.picture and (folder / r.picture).is_file()]
    pictures = []
    for record in drawn:
        with Image.open(folder / record.picture) as picture:
            caption = (
                f"{record.task}: {_cut(_question(record))} - {_cut(record.answer or record.error)}{_scored(record)}"
            )
            pictures.append(PagePicture(picture.copy(), caption))
    return [PageSection("Answers on pictures", pictures=tuple(pictures))] if pictures else []


def _answers(asked: Sequence[Record]) -> PageSection:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in asked:
        groups[record.group or record.task].append(record)
    rows = [
        (name, _cut(_question(r)), _cut(r.reference), _cut(r.answer), _cut(r.parsed or "-"), _number(r.score))
        for name, records in sorted(groups.items())
        for r in records[:_ROWS]
    ]
    return PageSection(
        "Some answers", columns=("task", "asked", "true", "answer", "read as", "score"), rows=tuple(rows)
    )


def _making(about: dict[str, object], result: RunResult) -> PageSection:
    rows = [(key, _cut(str(value))) for key, value in sorted(about.items()) if key != "notes"]
    rows += [("tokens asked, answered", f"{result.tokens[0]:,}, {result.tokens[1]:,}")] if any(result.tokens) else []
    return PageSection(
        "How this was made",
        ("Research use only.",),
        ("what", "value"),
        tuple(rows),
        command=f"radfoundry rescore {result.folder}",
    )


def _question(record: Record) -> str:
    return record.prompt[-1]["text"] if record.prompt else ""


def _scored(record: Record) -> str:
    return "" if record.score is None else f" (score {record.score:.2f})"


def _interval(s: TaskScore) -> str:
    return "-" if s.score.low is None else f"{_number(s.score.low)} to {_number(s.score.high)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
