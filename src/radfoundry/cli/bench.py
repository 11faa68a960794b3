"""`radfoundry bench SUITE`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from radfoundry.errors import UsageError

if TYPE_CHECKING:
    from radfoundry.evaluation.running import RunResult


def bench(
    suite: str,
    src: Path | None = None,
    *,
    model: str = "",
    split: Literal["train", "validation", "test"] = "test",
    tasks: tuple[str, ...] = (),
    limit: int | None = None,
    out: Path | None = None,
    disjoint: bool = False,
    trained_on: str = "",
    retry_errors: bool = False,
    mapping: Literal["compat", "clean"] = "compat",
    json: bool = False,
) -> Any:
    """Ask a model the questions of a benchmark or a corpus, score it beside its blind controls; or score the language rules on a file.

    Parameters
    ----------
    suite
        A corpus folder; or vqa-rad, slake, m3d, radbench, medmnist with the benchmark's folder as SRC; or linking, findings, retrieval
        with a file as SRC.
    src
        The benchmark's folder, or the file of linking, findings and retrieval.
    model
        A checkpoint folder, nano, openai:URL#MODEL, hf:FOLDER-OR-ID, answers:FILE, majority, or text-only.
    split
        Which patients are asked about.
    tasks
        Ask these tasks alone; all if not given.
    limit
        Ask so many questions, drawn evenly.
    out
        The run folder; a run that stopped goes on.
    disjoint
        Let majority and text-only learn only from pictures and patients that are not asked about.
    trained_on
        What the model has learned from, in words or as a corpus folder, which is then checked for shared pictures and patients.
    retry_errors
        Ask again what failed when the run was last made.
    mapping
        For linking: RadGenome's habits, or anatomy.
    json
        Print scores as JSON; the last line holds them all.
    """
    if suite in ("linking", "findings", "retrieval"):
        return _file(suite, src, mapping, json)
    from radfoundry.evaluation.benching import Wanted, run_bench

    if not model:
        raise UsageError("which model?", "--model is missing", "--model RUN/last, majority, or answers:FILE")
    from radfoundry.cli import console

    wanted = Wanted(suite, src, model, split, tasks, limit, out, disjoint, trained_on, retry_errors)
    with console.meter("bench") as shown:
        done = run_bench(wanted, lambda asked, total: shown.update(asked, total))
    if json:
        say_details(done.result, done.warnings)
        console.say_json(done.last_line())
        return done.result
    for warning in done.warnings:
        console.say(f"note: {warning}")
    say_scores(f"{done.model} on {done.suite} ({split})", done.result)
    console.say(str(done.page))
    console.say_next(f"radfoundry rescore {done.result.folder}", f"radfoundry compare {done.result.folder} OTHER-RUN")
    return done.result


def _file(suite: str, src: Path | None, mapping: Literal["compat", "clean"], json: bool) -> dict[str, Any]:
    from radfoundry.cli import console

    if src is None or not src.is_file():
        raise UsageError(f"bench {suite} needs a file", f"{src} is none", f"radfoundry bench {suite} FILE --json")
    result = _score_file(suite, src, mapping)
    if json:
        console.say_json(result)
    else:
        rows = [(name, value) for name, value in result.items() if not isinstance(value, dict)]
        console.say_table(f"{suite}: {src}", ["score", "value"], rows)
    return result


def _score_file(suite: str, src: Path, mapping: Literal["compat", "clean"]) -> dict[str, Any]:
    if suite == "linking":
        from radfoundry.grounding.bench_linking import bench_linking

        return dict(bench_linking(src, mapping))
    if suite == "findings":
        from radfoundry.language.bench_findings import bench_findings

        return dict(bench_findings(src))
    from radfoundry.evaluation.retrieval import bench_retrieval

    return bench_retrieval(src)


def say_details(result: RunResult, warnings: tuple[str, ...] = ()) -> None:
    """Print a JSON line about the run, then one a score with its direction, its scorer and each blind control."""
    from radfoundry.cli import console

    console.say_json({"run": str(result.folder), "errors": result.errors, "tokens": result.tokens, "notes": warnings})
    for s in result.scores:
        blind = {name: score._asdict() for name, score in s.blind.items()}
        console.say_json(
            {
                "score": s.name, "scorer": s.scorer, "better": s.better, "primary": s.primary, **s.score._asdict(),
                "controls": blind, "unparsed": s.unparsed[:3],
            }
        )  # fmt: skip


def say_scores(title: str, result: RunResult) -> None:
    """Print the first score of every task and the published ones, with intervals, beside the best blind control and its name."""
    from radfoundry.cli import console

    rows = []
    for s in result.scores:
        if not s.primary and s.scorer == "native" and s.name.rpartition("/")[2] not in _ALSO:
            continue
        known = s.score.low is not None and s.score.high is not None
        interval = f"{s.score.low:.3f}-{s.score.high:.3f}" if known else "-"
        name = s.name if s.scorer == "native" else f"{s.name} *"
        rows.append((name, s.score.n, s.score.value, interval, s.best_blind, s.best_control or "-"))
    console.say_table(title, ["score", "n", "value", "95 %", "blind", "best blind control"], rows)
    for note in dict.fromkeys(f"{s.name}: {s.score.note}" for s in result.scores if s.primary and s.score.note):
        console.say(note)
    if any(s.scorer != "native" for s in result.scores):
        console.say("* as published, faults included: for comparison with published figures alone")
    failed = sum(result.errors.values())
    if failed:
        reasons = ", ".join(f"{count} {reason}" for reason, count in result.errors.items())
        console.say(f"{failed} answers failed, and count as wrong: {reasons}; --retry-errors asks them again")
    if any(result.tokens):
        console.say(f"{result.tokens[0]:,} tokens asked, {result.tokens[1]:,} answered")


# second scores that a table on a terminal has room for
_ALSO = frozenset({"accuracy", "token_f1", "finding_f1", "right_side", "hallucinated_places", "hd95_mm", "acc_at_0.5"})
