"""Golden cases of RadFM."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import BertConfig, BertModel

import golden_data
from golden import Case, Outputs
from golden_m3d import fill, greedy
from radfoundry.errors import UsageError
from radfoundry.model.connector import PerceiverResampler
from radfoundry.model.families import radfm, radfm_training
from radfoundry.model.families.keys import KeyMap
from radfoundry.model.vision import VisionTransformer
from radfoundry.model.vlm import VLM, Seen
from radfoundry.model.vocabulary import SentencePieces


def run(case: Case) -> Outputs | str:
    """Run one case by its name."""
    known = RUNNERS | golden_data.RADFM
    return known[case.name](case) if case.name in known else f"no runner for {case.name}"


def to_volume(image: Tensor) -> Tensor:
    """Published (..., H, W, D) to ours (..., z, y, x)."""
    return image.movedim(-1, -3)


def vit3d(case: Case) -> Outputs:
    config = radfm.vision_config(case.config)
    model: VisionTransformer = fill(VisionTransformer(config), KeyMap(radfm.vision_rules("", "", config)), case.state())
    out = {}
    for name, video in case.arrays().items():
        if not name.startswith("video_"):
            continue
        size = name.removeprefix("video_")
        volume = to_volume(video)
        patches, grid, _ = model.embedding(volume)
        positions = model.positions.patch_rows(grid).expand(len(video), -1, -1)
        tokens = {"patch": patches, "out": model(volume).tokens, "pos": positions}
        for key, value in tokens.items():
            shaped = value.unflatten(1, grid).permute(0, 2, 3, 1, 4).flatten(1, 3)
            out[f"{key}_{size}"] = shaped[: len(case.arrays()[f"{key}_{size}"])]
    return out


def perceiver(case: Case) -> Outputs:
    model = PerceiverResampler(radfm.perceiver_config(case.config), case.config["dim"])
    fill(model, KeyMap(radfm.perceiver_rules("", "")), case.state())
    a = case.arrays()
    return {
        "y": torch.stack([model(x.flatten(1, 2)) for x in a["x"]]),
        "y_frames": torch.stack([model(x.flatten(1, 2)) for x in a["x_frames"]]),
    }


def radfm_model(case: Case, embedding_only: bool = False) -> tuple[VLM, dict[str, Tensor]]:
    """The model of a case and the published state that made it."""
    published = case.config
    if embedding_only:
        sizes = {**published, "num_embeddings": published["num_embeddings"]}
        llama = {
            "vocab_size": published["num_embeddings"],
            "hidden_size": published["embedding_dim"],
            "intermediate_size": 8,
            "num_hidden_layers": 0,
            "num_attention_heads": 1,
        }
        published = {"embedding": sizes, "hard_coded": published["hard_coded"], "llama": llama}
    config = radfm.config(published)
    model = VLM(config)
    state = case.state()
    prefixed = {f"embedding_layer.{key}": value for key, value in state.items()} if embedding_only else state
    if "lang_model.model.embed_tokens.weight" in prefixed:
        prefixed["embedding_layer.weight"] = prefixed["lang_model.model.embed_tokens.weight"]
    mapped, _ = radfm.keys(config).apply(prefixed)
    if embedding_only:
        rest = {k: v for k, v in model.state_dict().items() if k.startswith("language_model.")}
        mapped = {**rest, **mapped}
    model.load_state_dict(mapped)
    return model.eval(), state


def embed(model: VLM, ids: Tensor, vision: Tensor) -> tuple[Tensor, Seen]:
    """Published ids and images `(B, S, C, H, W, D)` as embeddings; each sample has its own image tokens."""
    base, rows, seen = model.config.language.vocabulary, [], None
    for one, images in zip(ids, vision, strict=True):
        seen = model.see(list(to_volume(images)))
        visual = torch.where(one >= base, one - base, -1)
        rows.append(model.embed(one.clamp_max(base - 1)[None], visual[None], seen))
    assert seen is not None
    return torch.cat(rows), seen


def embedding_mixed(case: Case) -> Outputs:
    model, _ = radfm_model(case, embedding_only=True)
    a = case.arrays()
    flat = a["im0"][..., None] if a["im0"].dim() == 3 else a["im0"]
    stacked = radfm.stack_images([to_volume(flat), to_volume(a["im1"])])
    published = stacked.movedim(-3, -1)
    embeds, seen = embed(model, a["lang_x"], published[None])
    return {
        "embeds": embeds,
        "vision_tokens": seen.table[None, 2:],
        "stacked_corner0": published[0][:, ::64, ::64],
        "stacked_corner1": published[1][:, ::64, ::64],
        "vit_mean": torch.stack([features.tokens[0].mean(dim=0) for features in seen.features]),
    }


def embedding_batch(case: Case) -> Outputs:
    model, _ = radfm_model(case, embedding_only=True)
    a = case.arrays()
    return {"embeds": embed(model, a["lang_x"], a["vision_x"])[0]}


def full_forward(case: Case) -> Outputs:
    model, state = radfm_model(case)
    a = case.arrays()
    embeds, _ = embed(model, a["lang_x"], a["vision_x"])
    logits = model.language_model.logits(model.language_model(embeds, a["attention_mask"]))
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), a["labels"][:, 1:].flatten())
    weighted = radfm_training.weighted_loss(logits, a["labels"], a["loss_reweight"])
    match = keyword_loss(case, model, state, a["vision_x"])
    return {
        "input_embeds": embeds,
        "logits": logits,
        "loss": loss,
        "accuracy": radfm_training.whole_answers_right(logits, a["labels"]),
        "weighted_loss": weighted,
        "loss_match_kw": match,
        "combined_kw": 0.8 * weighted + 0.2 * match,
        "loss_kw": loss,
    }


def keyword_loss(case: Case, model: VLM, state: dict[str, Tensor], vision: Tensor) -> Tensor:
    """The keyword branch that published training computes and drops; it exists here alone, to compare."""
    part = {k.removeprefix("embedding_layer."): v for k, v in state.items()}
    groups = case.config["keyword_queries"]
    words = sorted({word for group in groups for word in group})
    settings = BertConfig(**case.config["bert_dead_branch"])
    bert = BertModel(settings)
    names = {k.removeprefix("bert_model."): v for k, v in part.items() if k.startswith("bert_model.")}
    bert.load_state_dict({k: v for k, v in names.items() if k != "embeddings.position_ids"})
    ids = torch.tensor([case.config["keyword_token_ids"][word] for word in words])
    states = bert.eval()(input_ids=ids, attention_mask=(ids != 0).long()).last_hidden_state[:, 0]
    queries = F.linear(states, part["bert_projection_fc.weight"], part["bert_projection_fc.bias"])
    memory, position = [], []
    for images in vision:
        features = model.vision(to_volume(images))
        memory.append(features.tokens.mean(dim=0))
        position.append(model.vision.positions.patch_rows(features.grid)[0])
    x = queries.expand(len(vision), -1, -1)
    x = decoder(part, x, torch.stack(memory), torch.stack(position))
    for i in (0, 2, 3):
        name = f"transformer_decoder_mlp.{i}"
        if f"{name}.weight" in part:
            x = F.gelu(F.linear(x, part[f"{name}.weight"], part[f"{name}.bias"]))
    scores = F.linear(x, part["cls_head.weight"], part["cls_head.bias"])[..., 0]
    target = torch.tensor([[float(word in group) for word in words] for group in groups])
    return F.binary_cross_entropy_with_logits(scores, target)


def decoder(part: dict[str, Tensor], x: Tensor, memory: Tensor, position: Tensor) -> Tensor:
    """Four pre-norm decoder layers; keys have the image's positions, values have not."""
    width = x.shape[-1]

    def norm(value: Tensor, name: str) -> Tensor:
        return F.layer_norm(value, (width,), part[f"{name}.weight"], part[f"{name}.bias"])

    def attend(name: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        layer = torch.nn.MultiheadAttention(width, 8, batch_first=True).eval()
        prefix = f"{name}."
        layer.load_state_dict({key.removeprefix(prefix): t for key, t in part.items() if key.startswith(prefix)})
        return layer(q, k, v)[0]

    for i in range(4):
        name = f"transformer_decoder.layers.{i}"
        y = norm(x, f"{name}.norm1")
        x = x + attend(f"{name}.self_attn", y, y, y)
        x = x + attend(f"{name}.multihead_attn", norm(x, f"{name}.norm2"), memory + position, memory)
        y = F.relu(F.linear(norm(x, f"{name}.norm3"), part[f"{name}.linear1.weight"], part[f"{name}.linear1.bias"]))
        x = x + F.linear(y, part[f"{name}.linear2.weight"], part[f"{name}.linear2.bias"])
    return norm(x, "transformer_decoder.norm")


def generate(case: Case) -> Outputs:
    model, _ = radfm_model(case)
    a = case.arrays()
    embeds, _ = embed(model, a["lang_x"], a["vision_x"])
    ids, states = greedy(model, embeds, a["new_ids"].shape[-1])
    first = model.language_model.logits(states[:, 0])
    return {"new_ids": ids.reshape(a["new_ids"].shape), "first_logits": first.reshape(a["first_logits"].shape)}


def words_of(case: Case) -> SentencePieces:
    folder = case.folder / "tokenizer"
    folder = folder if folder.is_dir() else case.folder / str(case.config["tokenizer"]).split(" ")[0]
    file = folder if folder.is_file() else folder / "tokenizer.model"
    return SentencePieces(file.read_bytes())


def token_ids(case: Case) -> Outputs:
    config, words = case.config, words_of(case)
    tags = radfm.Tags(config["voc_size"], config["image_num"], config["max_img_size"])
    out: Outputs = {"wrong": []}
    for row in case.json("prompts.json"):
        sides, i = {}, row["index"]
        try:
            for side in ("question", "answer"):
                text = str(row[side]).replace("NaN", "nan")
                places = [(n, image["position"]) for n, image in enumerate(row["images"]) if image["in"] == side]
                sides[side] = radfm.place_images(text, places, tags)
        except UsageError:
            out["wrong"] += [] if "error" in row else [f"row {i} raised"]
            continue
        sides["answer"] = [p.replace("•", "") if isinstance(p, str) else p for p in sides["answer"]]
        written = {side: tags.write(pieces) for side, pieces in sides.items()}
        if (written["question"], written["answer"]) != (row.get("question_text"), row.get("answer_text")):
            out["wrong"].append(f"row {i}: text")
        read = [tags.read(written[side]) for side in ("question", "answer")]
        made = radfm_training.training_row(*read, words, config["voc_size"], config["max_seq"])
        for name, values in made.items():
            out[f"{name}_{i}"] = values
        entities = [radfm.encode([entity], words)[1:] if entity else [] for entity in row["entities"]]
        out[f"loss_reweight_{i}"] = radfm_training.entity_weights(made["labels"], entities)
    for row in case.json("plain.json"):
        if radfm.encode(tags.read(row["text"]), words) != row["ids"]:
            out["wrong"].append(f"plain {row['text']!r}")
    decoded = case.json("decode.json")
    keep = [i for i in decoded["ids"] if 2 < i < config["voc_size"]]
    if words.decode(keep) != decoded["skip_special_tokens"]:
        out["wrong"].append("decode")
    return out


def demo_text(case: Case) -> Outputs:
    config, wrong = case.config, []
    words = words_of(case)
    tags = radfm.Tags(config["base_vocabulary"], config["image_num"], config["max_img_size"])
    for row in case.json("demo.json"):
        try:
            pieces = radfm_training.place_images_demo(row["question"], row["positions"], tags)
        except UsageError:
            wrong += [] if "error" in row else [f"{row['positions']} raised"]
            continue
        if (tags.write(pieces), radfm.encode(pieces, words)) != (row.get("text"), row.get("ids")):
            wrong.append(f"{row['positions']}")
    return {"wrong": wrong}


def batch_sampler(case: Case) -> Outputs:
    wrong = []
    for row in case.json("sampler.json"):
        flat, deep = range(row["n_2D"]), range(row["n_2D"], row["n_2D"] + row["n_3D"])
        sizes = (row["batch_size_2D"], row["batch_size_3D"])
        if radfm_training.batches(flat, deep, sizes, row["world"], row["drop_last"]) != row["ranks"]:
            wrong.append(str(row)[:80])
    return {"wrong": wrong}


RUNNERS: dict[str, Any] = {
    "vit3d": vit3d,
    "perceiver": perceiver,
    "embedding_mixed": embedding_mixed,
    "embedding_batch": embedding_batch,
    "full_forward": full_forward,
    "generate": generate,
    "token_ids": token_ids,
    "demo_text": demo_text,
    "batch_sampler": batch_sampler,
}
