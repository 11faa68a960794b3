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
    mapping: Literal["compat", "clean"] = "compat",
    json: bool = False,
) -> Any:
    """Ask a model the questions of a corpus and score it beside its blind controls; or score the language rules on a file.

    Parameters
    ----------
    suite
        A corpus folder; or `linking` or `findings` with a file as SRC.
    src
        The file of `linking` and `findings`.
    model
        A checkpoint folder, majority, or answers:FILE.
    split
        Which patients are asked about.
    tasks
        Ask these tasks alone; all if not given.
    limit
        Ask so many questions, drawn evenly.
    out
        The run folder; a run that stopped goes on.
    mapping
        For `linking`: RadGenome's habits, or anatomy.
    json
        Print scores as JSON; the last line holds them all.
    """
    if suite in ("linking", "findings"):
        return _language(suite, src, mapping, json)
    return _corpus(Path(suite), model, split, tasks, limit, out, json)


def _language(suite: str, src: Path | None, mapping: Literal["compat", "clean"], json: bool) -> dict[str, Any]:
    from radfoundry.cli import console
    from radfoundry.grounding.bench_linking import bench_linking
    from radfoundry.language.bench_findings import bench_findings

    if src is None or not src.is_file():
        raise UsageError(f"bench {suite} needs a file", f"{src} is none", f"radfoundry bench {suite} FILE --json")
    result = dict(bench_linking(src, mapping) if suite == "linking" else bench_findings(src))
    if json:
        console.say_json(result)
    else:
        rows = [(name, value) for name, value in result.items() if not isinstance(value, dict)]
        console.say_table(f"{suite}: {src}", ["score", "value"], rows)
    return result


def _corpus(
    folder: Path, model: str, split: str, tasks: tuple[str, ...], limit: int | None, out: Path | None, json: bool
) -> RunResult:
    from radfoundry.cli import console
    from radfoundry.corpus import Corpus
    from radfoundry.evaluation.controls import CONTROLS
    from radfoundry.evaluation.predictors import open_predictor
    from radfoundry.evaluation.predictors.majority import Majority
    from radfoundry.evaluation.running import as_json, run_task
    from radfoundry.evaluation.tasks import corpus_task

    if not model:
        raise UsageError("which model?", "--model is missing", "--model RUN/last, majority, or answers:FILE")
    corpus = Corpus(folder)
    task = corpus_task(corpus, split, limit, tasks)
    if not task.items:
        raise UsageError(f"no questions in the {split} split of {folder}", "no patient fell into it", "--split train")
    training = list(corpus_task(corpus, "train", tasks=tasks).items)
    predictor = open_predictor(model, training)
    looks = model != "majority" and not model.startswith("answers:")
    run = out or folder.parent / f"bench-{predictor.name.replace(':', '-').replace('/', '-')}-{split}"
    with console.meter("bench") as shown:
        result = run_task(
            task,
            predictor,
            run,
            controls=tuple(CONTROLS) if looks else (),
            baselines={"majority": Majority.of(training)} if training and model != "majority" else {},
            progress=lambda done, total: shown.update(done, total),
        )
    if json:
        console.say_json(as_json(result, task.name, predictor.name))
    else:
        say_scores(f"{predictor.name} on {folder} ({split})", result)
        console.say_next(f"radfoundry rescore {run}", f"radfoundry show {folder}")
    return result


def say_scores(title: str, result: RunResult) -> None:
    """Print every score with its interval, beside the best blind control and its name."""
    from radfoundry.cli import console

    rows = []
    for s in result.scores:
        best = max(s.blind.items(), key=lambda kv: kv[1].value if kv[1].value is not None else -1.0, default=None)
        interval = (
            f"{s.score.low:.3f} to {s.score.high:.3f}" if s.score.low is not None and s.score.high is not None else "-"
        )
        rows.append(
            (s.name, s.score.n, s.score.value, interval, best[1].value if best else None, best[0] if best else "-")
        )
    console.say_table(title, ["score", "n", "value", "95 % interval", "best blind", "which"], rows)
