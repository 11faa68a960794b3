"""Golden cases of data: how the published scripts prepare volumes, masks and texts, and what their dataset classes give."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from golden import Case, Outputs
from radfoundry.formats import m3d, radfm_items, radfm_sizes, xraygpt_items
from radfoundry.formats.m3d.writing import class_paths


def prepare_cap(case: Case) -> Outputs:
    config, pictures = case.config, case.arrays()["slices"].numpy()
    slices = {f"{i}.png": picture for i, picture in reversed(list(enumerate(pictures)))}
    slices["99.png"] = np.zeros((5, 5), np.uint8)
    full = m3d.prepare_caption(slices, tuple(config["spatial_size_full"]))
    z, y, x = config["full_subsample"]
    return {
        "out_small": m3d.prepare_caption(slices, tuple(config["spatial_size_small"])),
        "out_full": full[:, ::z, ::y, ::x],
        "files_small": sorted([f"{m3d.plain_name(config['series'])}.npy", "text.txt"]),
        "reports": [m3d.kept_text(text) for text in config["texts"]],
    }


def prepare_seg(case: Case) -> Outputs:
    a, out, entries = case.arrays(), {}, []
    for name, split in (("caseA", "train"), ("caseB", "test")):
        done = m3d.prepare_segmentation(
            a[f"image_{name}"].numpy(), a[f"mask_{name}"].numpy(), tuple(case.config["spatial_size"])
        )
        out[f"out_image_{name}"] = done.image
        for channel, mask in enumerate(done.masks):
            out[f"out_mask_{name}_{channel}"] = mask
            paths = class_paths("0099", name, channel)
            entries.append([split, *(path.removeprefix("M3D_Seg_npy/") for path in paths)])
    return {**out, "entries": entries}


def prepare_refseg(case: Case) -> Outputs:
    a = case.arrays()
    done = m3d.prepare_referring(a["ct"].numpy(), a["mask"].numpy(), tuple(case.config["spatial_size"]))
    return {"out_image": done.image, "out_mask": done.masks[0]}


def text_processor(case: Case) -> Outputs:
    texts, second = case.arrays()["text"], case.config["second"]
    return {
        "default": [xraygpt_items.process_caption(str(t)) for t in texts],
        "second": [xraygpt_items.process_caption(str(t), **second) for t in texts],
    }


def dataset_items(case: Case) -> Outputs:
    out: Outputs = {}
    rows = case.config["annotation"]["annotations"]
    for kind in ("mimic", "openi"):
        items = xraygpt_items.caption_items(rows, kind)
        out |= {
            f"{kind}_image_id": [item.number for item in items],
            f"{kind}_caption": [item.caption for item in items],
            f"{kind}_keys": ["caption", "image", "image_id"],
            f"{kind}_file": [item.file for item in items],
            f"{kind}_instance_id": [item.instance for item in items],
        }
    return out


def resize_rules(case: Case) -> Outputs:
    rules = {
        "stack_images": radfm_sizes.stacked_shape,
        "collate_train": radfm_sizes.batch_shape,
        "collate_test": lambda shapes: radfm_sizes.batch_shape(shapes, test=True),
        "study_resize": radfm_sizes.study_shape,
        "modality_resize": radfm_sizes.modality_shape,
    }
    out: Outputs = {"wrong": []}
    for row in case.json("shapes.json"):
        found = rules[row["rule"]](row["in"])
        if list(found) != row["out"]:
            out["wrong"].append(f"{row['rule']} {row['in']}: {found}")
    for name in case.about["outputs"]:
        numbers = [int(n) for n in name.split("_") if n.isdigit()]
        if name.startswith("nearest_"):
            out[name] = radfm_sizes.nearest(*numbers)
        elif name.startswith("study_depth_"):
            out[name] = radfm_sizes.study_slices(numbers)
        elif name.startswith("modality_"):
            out[name] = modality_line(tuple(numbers[:3]), name[-1])
    images = [np.full((s, 3, 8, 8, 4), float(s), np.float32) for s in (1, 3)]
    out["collate_padding"] = radfm_sizes.collated(images)[:, :, 0, 0, 0, 0]
    return out


def modality_line(shape: tuple[int, ...], axis: str) -> np.ndarray:
    """A line through the resized volume whose samples hold their slice number along the shortest axis."""
    shortest = int(np.argmin(shape))
    number = np.arange(shape[shortest], dtype=np.float32)
    volume = np.broadcast_to(number.reshape([-1 if a == shortest else 1 for a in range(3)]), shape)
    resized = radfm_sizes.modality_volume(volume)[0]
    lines = {"d": resized[0, 0, :], "h": resized[::32, 0, 0], "w": resized[0, ::32, 0]}
    return lines[axis]


class Scripted:
    """Draws that a golden row has written down, in their order; each must be of the kind that is asked for."""

    def __init__(self, draws: list[list[Any]]) -> None:
        self.left = list(draws)

    def _next(self, kind: str) -> Any:
        said, value = self.left.pop(0)
        assert said == kind, f"{kind} drawn, {said} expected"
        return value

    def random(self) -> float:
        return float(self._next("random"))

    def choice(self, count: int) -> int:
        return int(self._next("choice"))

    def randint(self, most: int) -> int:
        return int(self._next("randint"))

    def sample(self, count: int, size: int) -> list[int]:
        return list(self._next("sample"))


def dataset_rules(case: Case) -> Outputs:
    rows, wrong = case.json("rules.json"), []
    classes = radfm_classes(case.config["prompts"], between(rows))
    for number, row in enumerate(rows):
        name = row["dataset"].split(":")[0]
        if "state" in row:
            if classes["values"]["modality"] != row["modality"]:
                wrong.append(f"row {number}: {classes['values']}")
            continue
        draws = Scripted(row["draws"])
        if name in ("MedPix_Single", "Radio_Modality"):
            draws.randint(4)  # which of five rows stands for this item
        item = classes[name](row["record"], draws, row)
        places = [[placed.text, placed.offset] for placed in item.placed]
        found = (item.question, item.answer, places, len(draws.left))
        if found != (row["question"], row["answer"], row["positions"], row["draws_left"]):
            wrong.append(f"row {number} {row['dataset']}: {found}"[:200])
    study = case.arrays()["norm_in"].numpy()
    return {"norm_out": radfm_sizes.study_range(study), "wrong": wrong}


def between(rows: list[dict[str, Any]]) -> str:
    """The published sentence between an article and its features, read off the first answer that has it."""
    row = next(r for r in rows if r["dataset"] == "Radiofeatures")
    articles, features = (" ".join(row["record"][key]) for key in ("articles", "radiographic_features"))
    return str(row["answer"]).removeprefix(articles).removesuffix(features)


def radfm_classes(prompts: dict[str, Any], connecting: str) -> dict[str, Any]:
    """Each published class as a function of (record, draws, golden row)."""
    caption, yes_no = prompts["caption"], prompts["yes_no"]
    values = {
        "modality": ["CT - noncontrast", "MR - STIR", "US - Ultrasound"],
        "plane": ["Axial", "Coronal", "Sagittal"],
    }
    single = radfm_items.MedPixSingle(
        {"modality": ["Modality?"], "plane": ["Plane?"], "caption": ["Caption it."]},
        {"modality": ["Is it {object}?"], "plane": ["Is the view {object}?"]},
        values,
        known=lambda name: name != "no.png",
    )

    def paper(record: dict[str, Any], draws: Scripted, row: dict[str, Any]) -> radfm_items.Item:
        refs = record["img_ref"]
        sentences = [{"text": f"Text {i}. ", "img_ref": refs.get(str(i), [])} for i in range(record["sentences"])]
        return radfm_items.paper_inline(sentences, draws, known=lambda ref: ref != "nope")

    def case_report(record: dict[str, Any], draws: Scripted, row: dict[str, Any]) -> radfm_items.Item:
        refs = ast.literal_eval(record["img_ref"])
        return radfm_items.case_report(record, draws, refs, known=lambda name: not name.endswith("_zz.jpg"))

    def multi(record: dict[str, Any], draws: Scripted, row: dict[str, Any]) -> radfm_items.Item:
        twelve = record["name"] == "12 names"
        named = record | {"name": ",".join(f"{i}.png" for i in range(12))} if twelve else record
        return radfm_items.medpix_multi(named, draws, [f"Ask {record['type']}."])

    def radio(function: Any, *given: Any, **named: Any) -> Any:
        return lambda record, draws, row: function(record, draws, *given, series_of(row), **named)

    return {
        "Binary": lambda record, draws, row: radfm_items.binary(record, draws, yes_no),
        "ChestXray": lambda record, draws, row: radfm_items.chest_xray(record, draws, caption),
        "PMCOA": lambda record, draws, row: radfm_items.pmc_oa(record, draws, caption),
        "VQA": lambda record, draws, row: radfm_items.visual_question(record, draws),
        "CaseReport": case_report,
        "Paper_Inline": paper,
        "MedPix_Single": lambda record, draws, row: single(record, draws),
        "MedPix_Multi": multi,
        "MedPix_QA": lambda record, draws, row: radfm_items.medpix_qa(record, draws),
        "Radio_Modality": lambda record, draws, row: radfm_items.radio_modality(
            record, draws, prompts["modality_direct"], prompts["modality_yes_no"], prompts["modality_set"]
        ),
        "RadioVQA": radio(radfm_items.radio_vqa),
        "RadioCaption": radio(radfm_items.radio_caption, caption),
        "Radiofeatures": radio(radfm_items.radio_features, caption, yes_no, prompts["article_set"], between=connecting),
        "values": values,
    }


def series_of(row: dict[str, Any]) -> int:
    """How many series the golden study has; a list ends in "x12" where the rest are alike."""
    last = row["image_shapes"][-1]
    return int(last[1:]) if isinstance(last, str) else len(row["image_shapes"])


M3D: dict[str, Any] = {"prepare_cap": prepare_cap, "prepare_seg": prepare_seg, "prepare_refseg": prepare_refseg}
RADFM: dict[str, Any] = {"resize_rules": resize_rules, "dataset_rules": dataset_rules}
XRAYGPT: dict[str, Any] = {"text_processor": text_processor, "dataset_items": dataset_items}
