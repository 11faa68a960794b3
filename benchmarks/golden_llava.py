"""Golden cases of LLaVA-Tri."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import golden_metrics
from golden import Case, Outputs
from golden_m3d import fill, greedy
from radfoundry.model.families import llava
from radfoundry.model.families.keys import KeyMap
from radfoundry.model.vision_towers import ClipTower, cut_tiles, join_tiles, resize_bicubic
from radfoundry.model.vlm import VLM
from radfoundry.model.vocabulary import JsonTokenizer, read_codec


def run(case: Case) -> Outputs | str:
    """Run one case by its name."""
    for start, function in (RUNNERS | golden_metrics.LLAVA).items():
        if case.name.startswith(start):
            return function(case)
    return f"no runner for {case.name}"


def tower(case: Case, scales: tuple[int, ...]) -> ClipTower:
    config = llava.vision_config(case.config["vision"], scales, case.config.get("mm_vision_select_layer", -2))
    state = {key: tensor for key, tensor in case.state().items() if "vision_tower" in key}
    return fill(ClipTower(config), KeyMap(llava.clip_rules("clip."), llava.DEAD), state)


def scales_of(case: Case) -> tuple[int, ...]:
    return tuple(sorted(int(scale) for scale in case.config["s2_scales"].split(",")))


def clip_tower(case: Case) -> Outputs:
    states = tower(case, ()).tower(case.arrays()["pixel_values"])
    return {"features": states[:, 1:], "features_cls_patch": states}


def s2_features(case: Case) -> Outputs:
    scales, a = scales_of(case), case.arrays()
    model, out = tower(case, scales), {}
    picture = a["pixel_values"]
    for name, wanted in a.items():
        if name.startswith("resized_"):
            out[name] = resize_bicubic(picture, int(name.removeprefix("resized_")))
        elif name.startswith(("tiles_", "merged_")):
            scale = int(name.rsplit("_", 1)[1])
            tiles = cut_tiles(resize_bicubic(picture, scale), scale // scales[0])
            out[name] = tiles if name.startswith("tiles") else join_tiles(model.tower(tiles)[:, 1:], scale // scales[0])
        elif name.startswith("features_from_"):
            side = name.removeprefix("features_from_")
            out[name] = model(a[f"pixel_values_{side}"][:, :, None]).tokens
        del wanted
    return {**out, "features": model(picture[:, :, None]).tokens}


def llava_model(case: Case) -> VLM:
    config = llava.config(case.config)
    return fill(VLM(config), llava.keys(config), case.state())


def see(model: VLM, images: Tensor) -> Any:
    return model.see(list(images[:, :, None]))


def count(model: VLM) -> int:
    return model.config.image_tokens(model.config.vision.size)


def projector(case: Case) -> Outputs:
    model = llava_model(case)
    pictures = case.arrays()["pixel_values"]
    return {"image_tokens": see(model, pictures).table.reshape(len(pictures), count(model), -1)}


def splice(case: Case) -> Outputs:
    model, a, config = llava_model(case), case.arrays(), case.config
    left, limit = config["tokenizer_padding_side"] == "left", config["tokenizer_model_max_length"]
    rows = llava.splice(a["input_ids"], a["attention_mask_in"], a["labels_in"], count(model), left=left, limit=limit)
    seen = see(model, a["images"])
    real = rows.attention_mask[..., None]
    embeddings = model.embed(rows.input_ids, rows.visual, seen) * real
    positions = rows.position_ids if "position_ids_in" in a else None
    hidden = model.language_model(embeddings, rows.attention_mask, positions)
    out = model.answer(hidden, seen, rows.labels, None, None)
    return {
        "inputs_embeds": embeddings,
        "attention_mask": rows.attention_mask,
        "labels": rows.labels,
        "logits": out.logits * real,
        "loss": out.losses["text"],
        "position_ids": rows.position_ids,
    }


def batch_unmasked_pad(case: Case) -> Outputs:
    model, a = llava_model(case), case.arrays()
    ids, seen = a["input_ids"], see(model, a["images"])
    everything = torch.ones_like(ids)
    rows = llava.splice(ids, everything, torch.full_like(ids, -100), count(model))
    embeddings = model.embed(rows.input_ids, rows.visual, seen)
    logits = model.language_model.logits(model.language_model(embeddings)[:, -1])
    pad = ids[ids[:, 0] == ids[:, 1], 0][0]  # the padded row begins with a run of it
    keep = rows.input_ids != pad
    masked = model.language_model(embeddings, (keep | (rows.visual >= 0)).long())
    padded = int((~keep).any(dim=1).nonzero()[0])
    own = keep[padded] | (rows.visual[padded] >= 0)
    alone = model.language_model(embeddings[padded : padded + 1, own])
    shape = a["last_logits_alone"].shape
    return {
        "last_logits_published": logits,
        "last_logits_alone": model.language_model.logits(alone[:, -1]).reshape(shape),
        "last_logits_masked": model.language_model.logits(masked[:, -1]),
    }


def greedy_case(case: Case) -> Outputs:
    model, a = llava_model(case), case.arrays()
    ids = a["input_ids"]
    rows = llava.splice(ids, torch.ones_like(ids), torch.full_like(ids, -100), count(model))
    embeddings = model.embed(rows.input_ids, rows.visual, see(model, a["images"]))
    new, states = greedy(model, embeddings, a["new_ids"].numel())
    best = model.language_model.logits(states[0]).topk(2).values
    return {
        "new_ids": new.reshape(a["new_ids"].shape),
        "margins": (best[:, 0] - best[:, 1]).reshape(a["margins"].shape),
    }


def prompt_ids(case: Case) -> Outputs:
    codec = read_codec(case.folder / case.config["tokenizer"])
    assert isinstance(codec, JsonTokenizer)
    names = {token.content: i for i, token in codec.tokenizer.get_added_tokens_decoder().items()}
    special, out = llava.Special.of(names), {}
    wrong = []
    for i, talk in enumerate(case.about["conversations"]):
        turns = []
        for n, text in enumerate(talk["turns"]):
            pieces = llava.image_first(text) if n % 2 == 0 else [text]
            spelled = [llava.read_special(p, names) if isinstance(p, str) else [p] for p in pieces]
            turns.append([piece for part in spelled for piece in part])
        ids, labels = llava.training_row(turns, special, codec)
        out[f"train_ids_{i}"], out[f"train_labels_{i}"] = ids, labels
        out[f"prompt_ids_{i}"] = llava.encode(llava.conversation(turns[:1], special, open_answer=True), codec)
        if sum(label != -100 for label in labels) != talk["labelled_tokens"]:
            wrong.append(f"conversation {i}: number of labels")
    return {**out, "wrong": wrong}


def preprocess(case: Case) -> Outputs:
    a, config = case.arrays(), case.config
    out = {}
    for name, wanted in a.items():
        if not name.startswith(("pad_", "crop_")):
            continue
        mode, kind = name.split("_", 1)
        picture = Image.fromarray(a[f"image_{kind}"].numpy())
        view = llava.view(picture, config["crop"], mode == "pad", config["pad_colour"])
        out[name] = np.asarray(view).reshape(wanted.shape)
    return out


RUNNERS: dict[str, Any] = {
    "clip_tower": clip_tower,
    "s2_features": s2_features,
    "projector": projector,
    "splice": splice,
    "batch_unmasked_pad": batch_unmasked_pad,
    "greedy": greedy_case,
    "prompt_ids": prompt_ids,
    "preprocess": preprocess,
}
