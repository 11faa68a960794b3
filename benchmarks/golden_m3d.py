"""Golden cases of M3D-CLIP and M3D-LaMed."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

import golden_data
import golden_metrics
from golden import Case, Outputs
from radfoundry.model.clip import ContrastiveModel, contrastive_loss
from radfoundry.model.connector import Connector
from radfoundry.model.families import m3d, m3d_training
from radfoundry.model.families.keys import KeyMap, check, vit_rules
from radfoundry.model.segvol import SegVol
from radfoundry.model.vision import VisionFeatures, VisionTransformer
from radfoundry.model.vlm import VLM


def run(case: Case) -> Outputs | str:
    """Run one case by its name."""
    for start, function in (RUNNERS | golden_data.M3D | golden_metrics.M3D).items():
        if case.name.startswith(start):
            return function(case)
    return f"no runner for {case.name}"


def fill(module: nn.Module, keys: KeyMap, state: dict[str, torch.Tensor]) -> Any:
    """Load a published state into a module of ours, strictly."""
    mapped, _ = keys.apply(state)
    check(module, mapped, "the golden case")
    module.load_state_dict(mapped)
    return module.eval()


def vit_encoder(case: Case) -> Outputs:
    config = m3d.vision_config(case.config, case.config.get("classification", True))
    model: VisionTransformer = fill(VisionTransformer(config), KeyMap(vit_rules("", "")), case.state())
    image = case.arrays()["image"]
    hidden: list[torch.Tensor] = []
    model.blocks[0].register_forward_hook(lambda *args: hidden.append(args[2]))
    patches, grid, _ = model.embedding(image)
    last = model(image).tokens
    return {"patch_embed": patches + model.positions.patch_rows(grid), "hidden_0": hidden[0], "last": last}


def vision_tower(case: Case) -> Outputs:
    model = VisionTransformer(m3d.vision_config(case.config))
    features = fill(model, KeyMap(vit_rules("vision_tower.", "")), case.state())(case.arrays()["image"])
    return {"patch": features.patches, "cls_patch": features.tokens}


def clip_pair(case: Case) -> Outputs:
    model: ContrastiveModel = fill(ContrastiveModel(m3d.clip_config(case.config)), m3d.clip_keys(), case.state())
    a = case.arrays()
    images, texts = model.encode_image(a["image"]), model.encode_text(a["input_ids"], a["attention_mask"])
    loss, logits = model(a["image"], a["input_ids"], a["attention_mask"])
    both = contrastive_loss(logits)
    return {
        "image_tokens": images,
        "text_tokens": texts,
        "similarity": images[:, 0] @ texts[:, 0].T,
        "logits": (logits + logits.T) / 2,
        "loss": loss,
        "loss_gather": both,
        "loss_gather_local": both,
    }


def projector(case: Case) -> Outputs:
    published = dict(case.config)
    if case.name in ("projector_minigpt", "projector_vanilla"):
        published["mm_projector_type"] = case.name.removeprefix("projector_")
    config = m3d.connector_config(published)
    module = Connector(config, published["mm_hidden_size"], published["hidden_size"])
    fill(module, KeyMap(m3d.projector_rules("", "projection.", config)), case.state())
    tokens = case.arrays()["tokens"]
    grid = tuple(published.get("grid", (1, 1, tokens.shape[1])))
    out = {"out": module(VisionFeatures(tokens, grid))}
    if "proj_out_num" in case.about["outputs"]:
        out["proj_out_num"] = torch.tensor(m3d.projector_tokens(published))
    return out


def lamed(case: Case, state: dict[str, torch.Tensor] | None = None) -> VLM:
    config = m3d.config(case.config)
    return fill(VLM(config), m3d.keys(config), case.state() if state is None else state)


def lamed_forward(case: Case) -> Outputs:
    model, a = lamed(case), case.arrays()
    hidden: list[torch.Tensor] = []
    model.language_model.causal.base_model.layers[0].register_forward_hook(lambda *args: hidden.append(args[2]))
    seen = model.see(list(a["image"]))
    count = model.config.image_tokens(model.config.vision.size)
    embeddings = model.embed(a["input_ids"], m3d.splice(a["input_ids"], count), seen)
    last = model.language_model(embeddings, a["attention_mask"])
    first = hidden[0][0] if isinstance(hidden[0], tuple) else hidden[0]
    out = model.answer(last, seen, a["labels"], None, None)
    shifted, one = a["ids_shifted"], model.see(list(a["image"][:1]))
    text = model.language_model(model.language_model.embed(shifted))
    return {
        "tower": torch.cat([features.patches for features in seen.features]),
        "image_embeds": seen.table.reshape(len(a["image"]), count, -1),
        "inputs_embeds": embeddings,
        "logits": out.logits,
        "loss": out.losses["text"],
        "hidden_1": first,
        "hidden_last": last,
        "inputs_embeds_shifted": model.embed(shifted, m3d.splice(shifted, count), one),
        "logits_text_only": model.language_model.logits(text),
        "generated": greedy(model, embeddings[1:], case.arrays()["generated"].shape[1])[0],
    }


def greedy(
    model: VLM, embeddings: torch.Tensor, steps: int, forced: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """New token ids `[B, steps]` (or the forced ones) and the states that predicted them `[B, steps, D]`."""
    state, past = model.language_model.read(embeddings)
    ids, states = [], []
    for step in range(steps):
        states.append(state[:, -1])
        best = model.language_model.logits(state[:, -1]).argmax(dim=-1)
        ids.append(best if forced is None else forced[:, step])
        state, past = model.language_model.read(model.language_model.embed(ids[-1][:, None]), past=past)
    return torch.stack(ids, dim=1), torch.stack(states, dim=1)


def seg_train(case: Case) -> Outputs:
    model, a = lamed(case), case.arrays()
    seg = case.config["seg_token_id"]
    given = (a["image"], a["input_ids"], a["attention_mask"], a["labels"])
    losses, logits = m3d_training.training_losses(model, *given, a["segs"], seg)
    none, _ = m3d_training.training_losses(model, *given, torch.zeros_like(a["segs"]), seg)
    count = model.config.image_tokens(model.config.vision.size)
    seen = model.see(list(a["image"]))
    embeddings = model.embed(a["input_ids"], m3d.splice(a["input_ids"], count), seen)
    states = m3d_training.prompt_states(model.language_model(embeddings, a["attention_mask"]), a["input_ids"], seg)
    present = a["segs"].flatten(1).sum(dim=1) != 0
    return {
        "logits": logits,
        "loss": sum(losses.values()),
        "loss_lm_only": sum(none.values()),
        "dice": losses["dice"],
        "bce": losses["bce"],
        "seg_prompts": model.decoder.project(states[present]),
        "mask_logits": m3d_training.segment(model, a["image"][present], states[present]),
    }


def seg_generate(case: Case) -> Outputs:
    model, a = lamed(case), case.arrays()
    seen = model.see(list(a["image"]))
    count = model.config.image_tokens(model.config.vision.size)
    embeddings = model.embed(a["input_ids"], m3d.splice(a["input_ids"], count), seen)
    ids, states = greedy(model, embeddings, a["forced"].shape[1], a["forced"])
    prompts, present = m3d_training.generated_states(states, ids, case.config["seg_token_id"])
    masks = m3d_training.segment(model, a["image"], prompts)
    masks[~present] = -torch.inf
    return {"output_ids": ids, "mask_logits": masks, "seg_prompts": model.decoder.project(prompts)}


def seg_module(case: Case) -> Outputs:
    published = case.config
    vision = m3d.vision_config({**published, "hidden_size": published.get("embed_dim", 768)})
    model: SegVol = SegVol(m3d.segmentation_config(published, vision), vision, 8)
    mapped, _ = m3d.segvol_keys().apply(case.state())
    own = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("prompt.")}
    model.load_state_dict({**own, **mapped})
    model.eval()
    a = case.arrays()
    text, shape = a["text"], tuple(a["image"].shape[2:])
    tokens = torch.stack([maps.tokens for maps in model.decode(a["image"])])
    masks, quality = model.decoder(tokens, text[:, None], text)
    return {
        "image_tokens": tokens,
        "sparse": text[:, None],
        "dense": model.decoder.no_mask[..., None, None, None].expand(len(text), -1, *model.grid),
        "dense_pe": model.decoder.position_code(),
        "all_masks": masks,
        "all_iou": quality,
        "low_res": masks[:, :1],
        "iou": quality[:, :1],
        "low_res_no_text": model.decoder(tokens, text[:, None], None)[0][:, :1],
        "logits": model.masks_of(tokens, text, shape)[:, None],
        "logits_zero_text": model.masks_of(tokens, torch.zeros_like(text), shape)[:, None],
    }


def seg_losses(case: Case) -> Outputs:
    a = case.arrays()
    logits, target = a["logits"], a["target"]
    out = {}
    for name, pick in [("all", slice(None)), *((str(i), slice(i, i + 1)) for i in range(len(logits)))]:
        out[f"dice_{name}"] = m3d_training.dice_loss(logits[pick], target[pick])
        out[f"bce_{name}"] = m3d_training.entropy_loss(logits[pick], target[pick])
        out[f"metric_dice_{name}"] = 1 - m3d_training.dice_loss(logits[pick], target[pick])
    out["dice_int_target"] = m3d_training.dice_loss(logits, target.long())
    out["bce_int_target"] = m3d_training.entropy_loss(logits, target.long())
    nothing = torch.full_like(logits[:1], -torch.inf)
    out["metric_dice_neginf_empty"] = 1 - m3d_training.dice_loss(nothing, target[1:2])
    out["metric_dice_neginf_present"] = 1 - m3d_training.dice_loss(nothing, target[2:3])
    return out


def token_init(case: Case) -> Outputs:
    config, a = case.config, case.arrays()
    length, new, width = config["tokenizer_length"], config["num_new_tokens"], config["hidden_size"]
    out = {}
    for name in ("grow", "shrink"):
        rows = config[f"vocab_size_{name}"]
        state = case.state({"model.embed_tokens.weight": (rows, width), "lm_head.weight": (rows, width)})
        embedding = m3d.grow_rows(state["model.embed_tokens.weight"], length, new)
        out[f"embed_{name}_none"] = out[f"embed_{name}_full"] = embedding
        out[f"embed_{name}_rows"] = torch.cat([embedding[: length - new], a["adapter_rows"]])
        out[f"head_{name}"] = m3d.grow_rows(state["lm_head.weight"], length, new)
    return out


def labels(case: Case) -> Outputs:
    words = case.config["tokenizer"]
    vocabulary = {word: i for i, word in enumerate(words["vocab"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=words["unk"]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_tokens(list(m3d.NEW_TOKENS))
    special = {name: vocabulary[words[name]] for name in ("bos", "eos", "pad", "unk")}

    def encode(text: str) -> list[int]:
        return [special["bos"], *tokenizer.encode(text, add_special_tokens=False).ids]

    rows, questions, answers = [], [], []
    for sample in case.config["samples"]:
        task = sample["task"]
        asked, answer = sample_text(sample)
        question = m3d.placeholders(case.config["proj_out_num"], task) + asked
        joined = encode(f"{question} {answer}")
        length = case.config["max_length"]
        rows.append(m3d_training.training_row(encode(question), joined, length, special["pad"], special["eos"]))
        questions.append(question)
        answers.append(answer)
    mask = case.arrays()["refseg_mask"]
    chosen = next(sample["Mask_ID"] for sample in case.config["samples"] if "Mask_ID" in sample)
    return {
        "input_id": torch.tensor([row.ids for row in rows]),
        "label": torch.tensor([row.labels for row in rows]),
        "attention_mask": torch.tensor([row.attention for row in rows]),
        "question": questions,
        "answer": answers,
        "refseg_seg": (mask == chosen).int(),
    }


def sample_text(sample: dict[str, str]) -> tuple[str, str]:
    """Question and answer of one listed sample."""
    if sample["task"].startswith("vqa"):
        return m3d.question_text(sample, sample["task"])
    return sample.get("prompt") or sample["q"], sample["a"]


RUNNERS = {
    "vit_encoder": vit_encoder,
    "vision_tower": vision_tower,
    "clip_pair": clip_pair,
    "projector_": projector,
    "lamed_llama_seg_train": seg_train,
    "lamed_phi3_seg_train": seg_train,
    "lamed_llama_seg_generate": seg_generate,
    "lamed_phi3_seg_generate": seg_generate,
    "lamed_": lamed_forward,
    "seg_module": seg_module,
    "seg_losses": seg_losses,
    "token_init": token_init,
    "labels_": labels,
}
