"""LLaVA's conversations: `<split>.json` with `id, image, conversations`, and the pictures as PNG.

The layout knows flat pictures and text. Of a volume a sample gets the axial slice that shows most of its regions, else the middle one.
Choices stand below the question. Boxes of pictures are written as [x0, y0, x1, y1] in parts of the picture. Samples that answer with
masks or with boxes of volumes, or that point at a region, have no place in it and are counted. Keys of ours (split, task, study,
licence) stand beside the published ones.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from radfoundry.errors import UnreadableError, UsageError
from radfoundry.formats.pictures import ImageFiles
from radfoundry.formats.progress import Tell, silent
from radfoundry.formats.shown import Shown, shown_samples
from radfoundry.ids import make_id
from radfoundry.records import Image, MadeBy, Part, Region, Sample, Turn

if TYPE_CHECKING:
    from radfoundry.corpus import Corpus

__all__ = ["read", "write"]

_MARK = "<image>"
_ESCAPED = "<\u200bimage>"
"""What a report or a question spells "<image>" as: readers put a picture wherever they meet the token."""
_FROM = {"user": "human", "assistant": "gpt"}
_ROLES = {value: role for role, value in _FROM.items()}


def write(corpus: Corpus, folder: Path, tell: Tell = silent) -> dict[str, int]:
    """Write one JSON file a split and the pictures; return how many samples and pictures that gave, and what was left out."""
    files, regions = ImageFiles(corpus, folder), {row.region_id: row for row in corpus.rows("regions")}
    chosen = shown_samples(corpus, corpus.samples())
    counts, left_out = Counter[str](), Counter(chosen.left_out)
    with ExitStack() as stack:
        streams: dict[str, Any] = {}
        for number, shown in enumerate(chosen.samples, start=1):
            if reason := _no_place(shown):
                left_out[f"left out: {reason}"] += 1
            else:
                names = [_file(corpus, files, image, shown.sample, regions) for image in shown.images]
                split = shown.sample.split or "train"
                if split not in streams:
                    streams[split] = stack.enter_context((folder / f"{split}.json").open("w", encoding="utf-8"))
                streams[split].write(",\n" if counts[split] else "[\n")
                streams[split].write(json.dumps(_object(shown, names), ensure_ascii=False))
                counts[split] += 1
            tell(number, len(chosen.samples))
        for stream in streams.values():
            stream.write("\n]\n")
    return {"samples": counts.total(), "images": files.count, **left_out}


def _no_place(shown: Shown) -> str:
    sample = shown.sample
    if any(part.kind == "region" for turn in sample.turns for part in turn.parts):
        return "points at a region"
    if sample.answer_kind == "mask":
        return "answers with a mask"
    if sample.answer_kind == "box" and any(image.dimensions == 3 for image in shown.images):
        return "answers with a box of a volume"
    return ""


def _file(corpus: Corpus, files: ImageFiles, image: Image, sample: Sample, regions: Mapping[str, Region]) -> str:
    if image.dimensions == 2:
        return files.whole(image.image_id, 2)
    own = [regions[one] for one in sample.region_ids if one in regions and regions[one].image_id == image.image_id]
    return files.slice(image.image_id, _fullest_slice(corpus, own) if own else image.shape[0] // 2)


def _fullest_slice(corpus: Corpus, regions: list[Region]) -> int:
    rows = np.sum([corpus.mask(region.region_id).sum(axis=(1, 2)) for region in regions], axis=0)
    return int(rows.argmax())


def _object(shown: Shown, names: list[str]) -> dict[str, Any]:
    sample = shown.sample
    pictures = {"image": names[0] if len(names) == 1 else names} if names else {}
    turns = list(_conversation(sample))
    if sample.answer_kind == "choice":
        turns[-2]["value"] += f"\nAnswer with one of: {'; '.join(sample.choices)}".replace(_MARK, _ESCAPED)
    if sample.answer_kind == "box":
        turns[-1]["value"] += "".join(f" {_normalised(box, shown.images[0])}" for box in sample.boxes)
    return {
        "id": sample.sample_id, **pictures, "conversations": turns,
        "split": sample.split, "task": sample.task, "study": sample.study_id, "licence": shown.licence,
    }  # fmt: skip


def _conversation(sample: Sample) -> Iterator[dict[str, str]]:
    """Every picture is shown before the first words: that is where published readers expect the tokens. A system turn opens the first."""
    lead = [_MARK] * len(sample.image_ids) + [_text(turn) for turn in sample.turns if turn.role == "system"]
    for turn in sample.turns:
        if turn.role in _FROM:
            yield {"from": _FROM[turn.role], "value": "\n".join([*lead, _text(turn)])}
            lead = []


def _text(turn: Turn) -> str:
    return turn.text.replace(_MARK, _ESCAPED)


def _normalised(box: tuple[int, ...], image: Image) -> str:
    height, width = image.shape
    y0, x0, y1, x1 = box
    return "[" + ", ".join(f"{v:.3f}" for v in (x0 / width, y0 / height, x1 / width, y1 / height)) + "]"


def read(folder: Path) -> dict[str, list[Any]]:
    """Return the samples of every JSON file of the layout in a folder, ours or anyone's.

    A sample whose file does not say its task is a chat; its split is the file's name where that is one.
    Raises UnreadableError for a file that is not a list of conversations, UsageError where there is none.
    """
    samples = []
    for path in sorted(folder.glob("*.json")):
        if path.name != "export.json":
            samples += [_sample(row, path) for row in _rows(path)]
    if not samples:
        raise UsageError(
            f"no conversations in {folder}", "no JSON file is a list of them", "give the folder of the JSON"
        )
    return {"samples": samples}


def _rows(path: Path) -> list[Any]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnreadableError(f"{path.name} is not JSON", str(error)[:200], "download it again") from error
    if not isinstance(rows, list):
        raise UnreadableError(f"{path.name} is no list", "the layout is a list of conversations", "take the right file")
    return rows


def _sample(row: Any, path: Path) -> Sample:
    try:
        images = tuple(_image_id(name) for name in _listed(row.get("image")))
        waiting = iter(images)
        turns = tuple(_turn(said["from"], said["value"], waiting) for said in row["conversations"])
        split = row.get("split", path.stem if path.stem in ("train", "validation", "test") else "")
        study = row.get("study") or make_id("study", "llava", *(images or (str(row["id"]),)))
        return Sample(
            str(row["id"]), study, images, row.get("task", "chat"), turns, "open", (), (), (), (), split,
            row.get("licence", ""), MadeBy("llava", "1", "", path.name),
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(
            f"{path.name} has a row that is no conversation", f"{type(error).__name__}: {error}", "mend the row"
        ) from error


def _listed(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _image_id(name: str) -> str:
    """Return the image's id of one of our files, the file's name of anyone else's."""
    stem = Path(name).name.split(".")[0]
    return stem.split("_z")[0] if stem.startswith("img_") else name


def _turn(speaker: str, value: str, waiting: Iterator[str]) -> Turn:
    parts: list[Part] = []
    for number, piece in enumerate(value.split(_MARK)):
        if number and (image := next(waiting, None)) is not None:
            parts.append(Part("image", ref=image))
        if text := piece.replace(_ESCAPED, _MARK).strip():
            parts.append(Part("text", text))
    return Turn(_ROLES.get(speaker, speaker), tuple(parts))
