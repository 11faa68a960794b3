"""Golden cases of XrayGPT."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import golden_data
from golden import Case, Outputs
from golden_m3d import fill, greedy
from radfoundry.model.connector import QueryTransformer
from radfoundry.model.families import xraygpt, xraygpt_demo
from radfoundry.model.families.keys import KeyMap
from radfoundry.model.vision import VisionTransformer, resize_positions
from radfoundry.model.vision_towers import SwinTower
from radfoundry.model.vlm import VLM
from radfoundry.model.vocabulary import SentencePieces


def run(case: Case) -> Outputs | str:
    """Run one case by its name."""
    for start, function in (RUNNERS | golden_data.XRAYGPT).items():
        if case.name.startswith(start):
            return function(case)
    return f"no runner for {case.name}"


def eva_vit(case: Case) -> Outputs:
    config = xraygpt.eva_config(case.config["vit"], case.config["ln_vision_eps"])
    a, keys = case.arrays(), KeyMap(xraygpt.eva_rules(ours=""), prepare=xraygpt.join_biases)
    model: VisionTransformer = fill(VisionTransformer(config), keys, case.state())
    blocks: list[Tensor] = []
    for block in model.blocks:
        block.register_forward_hook(lambda *args: blocks.append(args[2]))
    volume = a["image"][:, :, None]
    last = model(volume).tokens
    out = {f"block_{i}": tokens for i, tokens in enumerate(blocks)}
    rough: VisionTransformer = fill(VisionTransformer(config), keys, xraygpt.half_rounded(case.state()))
    table, made_for = model.positions.table, model.positions.grid
    sizes = [name.removeprefix("pos_embed_").split("x") for name in a if name.startswith("pos_embed_")]
    resized = {
        f"pos_embed_{y}x{x}": torch.cat(
            [table[:, :1], resize_positions(table[:, 1:], made_for, (1, int(y), int(x)))], dim=1
        )
        for y, x in sizes
    }
    return {
        **out,
        **resized,
        "patch_embed": model.embedding(volume)[0],
        "features": blocks[-1],
        "ln_features": last,
        "ln_features_low_resource": rough(volume).tokens,
        "ln_small": model.output_norm(a["small"]),
        "block0_small": model.blocks[0](a["small"]),
    }


def qformer(case: Case) -> Outputs:
    config, a = xraygpt.qformer_config(case.config["qformer"]), case.arrays()
    model: QueryTransformer = QueryTransformer(config, case.config["qformer"]["encoder_width"])
    fill(model, KeyMap(xraygpt.qformer_rules(""), xraygpt.DEAD), case.state())
    image = a["encoder_hidden_states"]
    queries = model.queries.expand(len(image), -1, -1)
    full = model.qformer(
        query_embeds=queries,
        encoder_hidden_states=image,
        encoder_attention_mask=a["encoder_attention_mask"],
        output_hidden_states=True,
    )
    masked = model.qformer(
        query_embeds=queries,
        encoder_hidden_states=image,
        encoder_attention_mask=a["encoder_attention_mask_masked"],
    )
    norm = model.qformer.layernorm(1e-4 * model.queries)
    small = a["embed_small"]
    return {
        **{f"hidden_{i}": state for i, state in enumerate(full.hidden_states or ())},
        "last_hidden_state": model(image),
        "last_hidden_state_masked": masked.last_hidden_state,
        "embed_small": norm.expand_as(small) if norm.shape != small.shape else norm,
    }


def xray_model(case: Case) -> VLM:
    config = xraygpt.config(case.config)
    model, state = VLM(config), case.state()
    if not any(".layers.0." in key for key in state if key.startswith("llama_model.")):
        own = {f"llama_model.{k}": v for k, v in model.language_model.causal.state_dict().items()}
        state = {**own, **state}
    return fill(model, xraygpt.keys(config), state)


def words_of(case: Case) -> SentencePieces:
    return SentencePieces((case.folder / case.config["tokenizer"] / "tokenizer.model").read_bytes())


def images(case: Case) -> list[Tensor]:
    return list(case.arrays()["image"][:, :, None])


def encode_wrap(case: Case) -> Outputs:
    model, words, a = xray_model(case), words_of(case), case.arrays()
    seen = model.see(images(case))
    count = model.config.connector.latents
    out: Outputs = {"img_embeds": seen.table.reshape(len(a["image"]), count, -1)}
    for i, prompt in enumerate(case.config["prompts"]):
        wrapped = xraygpt.wrap(prompt, words, case.config["prompt_template"])
        rows = xraygpt.training_rows(wrapped, [[]] * len(a["image"]), count)
        embeddings = model.embed(rows["input_ids"], rows["visual"], seen)[:, 1:]
        out[f"wrapped_{i}"] = embeddings
        if i == 0:
            out["ids_before"], out["ids_after"] = (
                np.asarray(ids).reshape(a[name].shape)
                for ids, name in ((wrapped.before, "ids_before"), (wrapped.after, "ids_after"))
            )
            out["wrapped_mask_0"] = rows["attention_mask"][:, 1:]
    return out


def forward(case: Case) -> Outputs:
    model, words, config, a = xray_model(case), words_of(case), case.config, case.arrays()
    xraygpt.freeze(model)
    model.train()
    captions = xraygpt.caption_ids(
        [str(text) for text in a["caption"]], words, config["end_sym"], config["max_txt_len"]
    )
    prompts = config["prompts"]
    wrapped = xraygpt.wrap(prompts[0], words, config["prompt_template"]) if prompts else None
    seen = model.see(images(case))
    count = len(seen.table) // len(a["image"])
    rows = xraygpt.training_rows(wrapped, captions, count)
    embeddings = model.embed(rows["input_ids"], rows["visual"], seen)
    hidden = model.language_model(embeddings, rows["attention_mask"])
    out = model.answer(hidden, seen, rows["labels"], None, None)
    if torch.is_grad_enabled():
        out.losses["text"].backward()
    trained = {name: p for name, p in model.named_parameters() if p.grad is not None}
    names = {name.rsplit(".", 1)[1]: p.grad for name, p in trained.items()}
    longest = max(len(ids) for ids in captions)
    return {
        "caption_ids": np.array([ids + [2] * (longest - len(ids)) for ids in captions]),
        "img_embeds": seen.table.reshape(len(a["image"]), count, -1),
        "inputs_embeds": embeddings,
        "attention_mask": rows["attention_mask"],
        "labels": rows["labels"],
        "logits": out.logits,
        "loss": out.losses["text"],
        "grad_llama_proj_weight": names.get("weight"),
        "grad_llama_proj_bias": names.get("bias"),
        "trainable": [f"llama_proj.{name}" for name in names],
    }


def chat_context(case: Case) -> Outputs:
    model, words, config = xray_model(case), words_of(case), case.config
    count = model.config.connector.latents
    first = xraygpt_demo.Conversation().upload().ask(config["user_1"])
    answered = first.say("Doctor", config["answer_1"]).ask(config["user_2"])
    ended = first.say("Doctor", config["answer_1"] + "</s>").ask(config["user_2"])
    double = xraygpt_demo.Conversation().upload().upload().ask(config["user_1"])
    out: Outputs = {}
    pictures = images(case)
    for name, talk in {"turn1": first, "turn2": answered, "turn2_eos": ended, "two_images": double}.items():
        talk = talk.say("Doctor", None)
        out[f"{name}_text"] = talk.prompt()
        segments = talk.segments(words)
        out.update({f"{name}_ids_{i}": np.array(ids) for i, ids in enumerate(segments)})
        ids, visual = xraygpt_demo.spread(segments, count)
        embeddings = model.embed(ids, visual, model.see(pictures[: len(segments) - 1]))
        out[f"context_{name}"] = embeddings
        out[f"next_logits_{name}"] = model.language_model.logits(model.language_model(embeddings)[:, -1])
    wrapped = xraygpt.wrap(config["prompts"][0], words, config["prompt_template"])
    test = [[1, *wrapped.before], wrapped.after]
    ids, visual = xraygpt_demo.spread(test, count)
    out["context_test"] = model.embed(ids, visual, model.see(pictures[:1]))
    out["test_ids_0"], out["test_ids_1"] = np.array(test[0]), np.array(test[1])
    messages = (("Patient", "a"), ("Doctor", "b"), ("Patient", "c"), ("Doctor", None))
    out["style_two_text"] = xraygpt_demo.Conversation("S.", messages, (" ", "</s>")).prompt()
    messages = (("Patient", "a"), ("Doctor", ""), ("Patient", "c"), ("Doctor", None))
    single = xraygpt_demo.Conversation("S.", messages)
    out["style_single_text"] = single.prompt()
    out["gradio_rows"] = [[str(cell) for cell in row] for row in single.rows()]
    a = case.arrays()
    new, states = greedy(model, out["context_turn1"], len(a["greedy_ids"]) - 1)
    out["greedy_ids"] = [1, *new[0].tolist()]
    best = model.language_model.logits(states[0]).topk(2).values
    out["greedy_margins"] = best[:, 0] - best[:, 1]
    beams = model.language_model.causal.generate(
        inputs_embeds=out["context_turn1"],
        attention_mask=torch.ones(out["context_turn1"].shape[:2], dtype=torch.long),
        max_new_tokens=len(a["beam3_ids"]) - 1,
        num_beams=3,
        do_sample=False,
    )
    out["beam3_ids"] = [1, *beams[0].tolist()]
    return out


def answer_rules(case: Case) -> Outputs:
    words, a = words_of(case), case.arrays()
    generated = [[i for i in row if i >= 0] for row in a["generated"].tolist()]
    answers = [xraygpt_demo.read_answer(ids, words) for ids in generated]
    length = case.config["context_length"]
    rows = [(most, new, xraygpt_demo.window(length, new, most)) for most, new, _ in a["window"].tolist()]
    stops = [xraygpt_demo.stops([i for i in row if i >= 0]) for row in a["stop_sequences"].tolist()]
    lines = []
    for i, text in enumerate(a["csv_in"]):
        line = io.StringIO()
        csv.writer(line).writerow([3 + i, xraygpt_demo.clean_report(str(text)), f"ref {i}"])
        lines.append(line.getvalue())
    return {
        "answer_text": [shown for shown, _ in answers],
        "history_text": [stored for _, stored in answers],
        "window": rows,
        "stop": stops,
        "stop_batch": [xraygpt_demo.stops([5, 7]), xraygpt_demo.stops([5, 835])],
        "csv_out": lines,
    }


def sampling_filter(case: Case) -> Outputs:
    logits, out = case.arrays()["logits"], {}
    for temperature in case.config["temperatures"]:
        chances = xraygpt_demo.sampling_chances(logits, temperature, case.config["top_k"], case.config["top_p"])
        out[f"probs_t{temperature}"] = chances
        out[f"kept_t{temperature}"] = (chances > 0).sum(dim=-1)
    return out


def lr_schedule(case: Case) -> Outputs:
    a, out = case.arrays(), {}
    for name, stage in case.config.items():
        points = a[f"{name}_points"]
        rates = [
            xraygpt_demo.learning_rate(
                int(epoch),
                int(step),
                epochs=stage["max_epoch"],
                steps=stage["iters_per_epoch"],
                start=stage["warmup_lr"],
                peak=stage["init_lr"],
                floor=stage["min_lr"],
                warmup=stage["warmup_steps"],
            )
            for epoch, step in points.tolist()
        ]
        out |= {f"{name}_points": points, f"{name}_lr": rates}
    return out


def saved_keys(case: Case) -> Outputs:
    """Published files hold what is trained and every buffer: here the reverse, all of them must be read."""
    config = xraygpt.config(case.config)
    wanted = [str(key) for key in case.arrays()["saved"]]
    state = {key: tensor for key, tensor in case.state().items() if key in wanted}
    mapped, dropped = xraygpt.keys(config).apply(state)
    ours = {"weight": "llama_proj.weight", "bias": "llama_proj.bias"}
    read = dropped + [ours[key.rsplit(".", 1)[1]] for key in mapped]
    return {
        "saved": [key for key in wanted if key in read],
        "top": ["model", "optimizer", "config", "scaler", "epoch"],
        "name": xraygpt_demo.checkpoint_name(2),
    }


def image_processor(case: Case) -> Outputs:
    a, config = case.arrays(), case.config
    box = config["train_box"]
    rgb = Image.fromarray(a["rgb"].numpy())
    top, left = box["top"], box["left"]
    crop = rgb.crop((left, top, left + box["width"], top + box["height"]))
    pictures = {"eval_rgb": rgb, "train_rgb_box": crop}
    pictures |= {f"eval_{name}": Image.fromarray(a[name].numpy()) for name in ("gray", "rgba")}
    side, mean, std = config["image_size"], config["mean"], config["std"]
    out: Outputs = {name: xraygpt.view(p, side, mean, std)[:, 0] for name, p in pictures.items()}
    deep = Image.fromarray((a["gray"].numpy().astype(np.uint16) * 257).astype(np.uint16))
    out["gray16_as_rgb8"] = np.asarray(deep.convert("RGB"))
    return {name: np.asarray(value).reshape(a[name].shape) for name, value in out.items()}


def medclip_processor(case: Case) -> Outputs:
    a, c = case.arrays(), case.config
    names = [name.removeprefix("out_") for name in case.about["outputs"]]
    return {
        f"out_{name}": xraygpt.medclip_view(
            Image.fromarray(a[name].numpy()), c["size"], c["crop_size"], c["mean"], c["std"]
        )
        for name in names
    }


def medclip_swin(case: Case) -> Outputs:
    config, a = xraygpt.swin_config(case.config["swin"]), case.arrays()
    model: SwinTower = fill(
        SwinTower(config), KeyMap(xraygpt.swin_rules("vision_model.", ""), xraygpt.DEAD), case.state()
    )
    states = model.patches(a["image"])
    hidden = model.swin(a["image"], output_hidden_states=True).hidden_states
    projected = model.project(states)
    return {
        **{f"stage_{i}": state for i, state in enumerate(hidden)},
        "patch_features": states,
        "pooled": states.mean(dim=1),
        "projected": projected,
        "normalised": projected / projected.norm(dim=-1, keepdim=True),
        "projected_gray": model.project(model.patches(a["gray"])),
    }


RUNNERS: dict[str, Any] = {
    "eva_vit": eva_vit,
    "qformer": qformer,
    "encode_wrap": encode_wrap,
    "forward_": forward,
    "medclip_linear": forward,
    "chat_context": chat_context,
    "answer_rules": answer_rules,
    "sampling_filter": sampling_filter,
    "lr_schedule": lr_schedule,
    "saved_keys": saved_keys,
    "image_processor": image_processor,
    "medclip_processor": medclip_processor,
    "medclip_swin": medclip_swin,
}
