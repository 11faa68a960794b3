"""`radfoundry ask STUDY "question"`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from radfoundry.errors import UsageError


def ask(
    study: Path, question: str, *, model: str = "nano", region: str = "", out: Path = Path("answer"), json: bool = False
) -> Any:
    """Ask about a study; prints the answer, and writes a picture, and a mask where the model points with one.

    Parameters
    ----------
    study
        A file or folder: NIfTI, DICOM, a picture.
    question
        What to ask.
    model
        A checkpoint folder.
    region
        The name of a labelled region of the study that the question is about.
    out
        Where the picture and the mask go.
    json
        Print the answer as a JSON line.
    """
    from radfoundry.cli import console
    from radfoundry.cli.asking import AskedStudy
    from radfoundry.evaluation.predictors import open_predictor
    from radfoundry.serving.closed import is_closed

    if not question.strip():
        raise UsageError("what is the question?", "it is empty", 'radfoundry ask STUDY "Where is the liver?"')
    asked = AskedStudy.open(study)
    kind = "closed" if is_closed(question) else "open"
    (answer,) = open_predictor(model).answer([asked.question(question.strip(), kind, region)])
    written = asked.write(answer, out)
    if json:
        boxes = [box.flat for box in answer.boxes]
        console.say_json(
            {"answer": answer.text, "confidence": answer.confidence, "boxes": boxes, "files": written, "note": NOTE}
        )
        return answer
    console.say(answer.text)
    if answer.confidence is not None:
        console.say(f"confidence {answer.confidence:.2f}, {answer.seconds:.2f} s")
    for box in answer.boxes:
        console.say(f"box (z0, y0, x0, z1, y1, x1): {box.flat}")
    for name in written:
        console.say(name)
    console.say(NOTE)
    return answer


NOTE = "Research use only."
