"""XrayGPT (Thawkar et al. 2023; mbzuai-oryx/XrayGPT): one chest film, a frozen encoder, one linear layer, Vicuna.

`eva-qformer` is what was released (EVA ViT-g, BLIP-2's Q-Former, 32 tokens); `medclip-linear` is a reconstruction of the
paper's model (MedCLIP's Swin, 49 patch tokens or one pooled token), of which no code or weights exist.
Every text beside the image is tokenised alone, so it starts with the word-boundary piece.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from radfoundry.errors import UsageError
from radfoundry.model.config import ConnectorConfig, LanguageConfig, Size3, VisionConfig, VLMConfig
from radfoundry.model.families.keys import KeyMap, Rule, causal_rules, causal_settings
from radfoundry.model.families.pictures import Part, as_picture, square, whole
from radfoundry.model.processor import Encoded, ImagePart, Processor, Turn, plain_text
from radfoundry.model.vlm import VLM
from radfoundry.model.vocabulary import Codec, Vocabulary

VICUNA = {"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
          "num_attention_heads": 32, "rms_norm_eps": 1e-6}  # fmt: skip
EVA = {"img_size": 224, "patch_size": 14, "embed_dim": 1408, "depth": 39, "num_heads": 16, "mlp_ratio": 4.3637,
       "norm_eps": 1e-6}  # fmt: skip
QFORMER = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
           "layer_norm_eps": 1e-12, "cross_attention_freq": 2, "num_query_token": 32}  # fmt: skip
SWIN = {"image_size": 224, "patch_size": 4, "embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24],
        "window_size": 7, "proj_dim": 512}  # fmt: skip
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
MEDCLIP_MEAN, MEDCLIP_STD = 0.5862785803043838, 0.27950088968644304
TEMPLATE = "###Patient: {} ###Doctor: "


# What to build ---------------------------------------------------------------------------------------------------


def eva_config(published: Mapping[str, Any] = EVA, output_eps: float = 1e-5) -> VisionConfig:
    """EVA ViT-g as released: no final norm, class token kept, `ln_vision` behind it with its own epsilon."""
    side, patch, width = int(published["img_size"]), int(published["patch_size"]), int(published["embed_dim"])
    return VisionConfig(
        channels=3,
        size=(1, side, side),
        patch=(1, patch, patch),
        width=width,
        depth=int(published["depth"]),
        heads=int(published["num_heads"]),
        mlp_width=int(width * float(published["mlp_ratio"])),
        class_token=True,
        class_position=True,
        qkv_bias=True,
        final_norm=False,
        norm_eps=float(published.get("norm_eps", 1e-6)),
        output_norm_eps=output_eps,
    )


def qformer_config(published: Mapping[str, Any] = QFORMER) -> ConnectorConfig:
    """The Q-Former and its queries; it stays frozen and in evaluation mode for good, so it has no dropout."""
    names = (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "layer_norm_eps",
        "hidden_act",
    )
    settings = {name: published[name] for name in names if name in published}
    settings |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    settings["cross_attention_frequency"] = published.get("cross_attention_freq", 2)
    return ConnectorConfig(
        kind="qformer", latents=int(published.get("num_query_token", 32)), keep_class=True, settings=settings
    )


def swin_config(published: Mapping[str, Any] = SWIN, reading: str = "patches") -> VisionConfig:
    """MedCLIP's Swin; `reading` is "patches" (the native default) or "pooled" (what MedCLIP's own forward returns).

    It stays frozen, so it drops no paths.
    """
    stages, side = len(published["depths"]), int(published["image_size"])
    width, stride = int(published["embed_dim"]) << (stages - 1), int(published["patch_size"]) << (stages - 1)
    pooled = reading == "pooled"
    return VisionConfig(
        kind="swin",
        channels=3,
        size=(1, side, side),
        patch=(1, side, side) if pooled else (1, stride, stride),
        width=int(published.get("proj_dim", 512)) if pooled else width,
        settings={**published, "reading": reading, "drop_path_rate": 0.0},
    )


def config(published: Mapping[str, Any]) -> VLMConfig:
    """XrayGPT from `vit`, `qformer`, `llama` (released) or `swin`, `reading`, `llama` (reconstruction)."""
    language = causal_settings(published.get("llama", VICUNA))
    language.update(tie_word_embeddings=False)
    linear = "swin" in published
    vision = eva_config(published.get("vit", EVA), float(published.get("ln_vision_eps", 1e-5)))
    connector = qformer_config(published.get("qformer", QFORMER))
    if linear:
        vision = swin_config(published["swin"], published.get("reading", "patches"))
        connector = ConnectorConfig(kind="linear", layers=1)
    return VLMConfig(
        vision=vision,
        connector=connector,
        language=LanguageConfig("llama", language, tuning="frozen"),
        family="xraygpt",
        name="medclip-linear" if linear else "eva-qformer",
    )


# Keys ------------------------------------------------------------------------------------------------------------


def patch_columns(tensor: Tensor) -> Tensor:
    """A patch convolution `[C, channel, y, x]` as our linear layer, columns y, x, channel."""
    return tensor.permute(0, 2, 3, 1).flatten(1)


def join_biases(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published q and v biases as one; the keys have none, so the middle third is zero."""
    for key in [key for key in state if key.endswith(".attn.q_bias")]:
        stem = key.removesuffix("q_bias")
        query, value = state.pop(key), state.pop(stem + "v_bias")
        state[stem + "qkv.bias"] = torch.cat([query, torch.zeros_like(query), value])
    return state


def eva_rules(theirs: str = "visual_encoder.", ours: str = "vision.", norm: str = "ln_vision") -> tuple[Rule, ...]:
    """EVA's keys and those of the norm behind it."""
    block = re.escape(theirs) + r"blocks\.(\d+)\."
    mine = ours + r"blocks.\1."
    return (
        Rule(re.escape(theirs) + "cls_token", ours + "class_token"),
        Rule(re.escape(theirs) + "pos_embed", ours + "positions.table"),
        Rule(re.escape(theirs) + r"patch_embed\.proj\.weight", ours + "embedding.linear.weight", patch_columns),
        Rule(re.escape(theirs) + r"patch_embed\.proj\.bias", ours + "embedding.linear.bias"),
        Rule(block + r"(norm[12]\..*)", mine + r"\2"),
        Rule(block + r"attn\.qkv\.(.*)", mine + r"attention.qkv.\2"),
        Rule(block + r"attn\.proj\.(.*)", mine + r"attention.out.\2"),
        Rule(block + r"mlp\.fc1\.(.*)", mine + r"mlp.0.\2"),
        Rule(block + r"mlp\.fc2\.(.*)", mine + r"mlp.2.\2"),
        Rule(norm + r"\.(.*)", ours + r"output_norm.\1"),
    )


def qformer_rules(ours: str = "connector.resampler.") -> tuple[Rule, ...]:
    """The Q-Former's keys, as transformers names them."""
    layer, mine = r"Qformer\.bert\.encoder\.layer\.(\d+)\.", ours + r"qformer.encoder.layer.\1."
    return (
        Rule("query_tokens", ours + "queries"),
        Rule(r"Qformer\.bert\.embeddings\.LayerNorm\.(.*)", ours + r"qformer.layernorm.\1"),
        Rule(layer + r"(attention|crossattention)\.self\.(.*)", mine + r"\2.attention.\3"),
        Rule(layer + r"((?:attention|crossattention)\.output\..*)", mine + r"\2"),
        Rule(layer + r"((?:intermediate|output)_query\..*)", mine + r"\2"),
    )


def swin_rules(theirs: str, ours: str = "vision.") -> tuple[Rule, ...]:
    """MedCLIP's Swin keys (transformers of 2022) as transformers names them now."""
    block = re.escape(theirs) + r"model\.encoder\.layers\.(\d+)\.blocks\.(\d+)\."
    mine = ours + r"swin.encoder.layers.\1.blocks.\2."
    return (
        Rule(re.escape(theirs) + r"projection_head\.weight", ours + "projection.weight"),
        Rule(
            block + r"attention\.self\.relative_position_bias_table",
            mine + "attention.relative_position_bias.relative_position_bias_table",
        ),
        *(
            Rule(block + rf"attention\.self\.{name}\.(.*)", mine + rf"attention.{name[0]}_proj.\3")
            for name in ("query", "key", "value")
        ),
        Rule(block + r"attention\.output\.dense\.(.*)", mine + r"attention.o_proj.\3"),
        Rule(block + r"intermediate\.dense\.(.*)", mine + r"mlp.fc1.\3"),
        Rule(block + r"output\.dense\.(.*)", mine + r"mlp.fc2.\3"),
        Rule(block + r"(layernorm_(?:before|after)\..*)", mine + r"\3"),
        Rule(re.escape(theirs) + r"model\.((?:embeddings|encoder|layernorm)\..*)", ours + r"swin.\1"),
    )


DEAD = (
    r"Qformer\.bert\.embeddings\.(?:position_ids|word_embeddings\..*|position_embeddings\..*)",
    r"Qformer\.bert\.encoder\.layer\.\d+\.(?:intermediate|output)\..*",
    r"Qformer\.cls\..*",
    r"t5_(?:model|proj)\..*",
    r"(?:llama_model\.)?model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq",
    r".*\.relative_position_index",
    r"text_model\..*",
    "logit_scale",
)


def gather(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keys of the separate files (EVA's, Vicuna's) as the whole model names them, and the encoder's biases joined.

    XrayGPT comes as four downloads: EVA ViT-g, BLIP-2's Q-Former, Vicuna and a file of the linear layer.
    """
    named = {}
    for key, tensor in state.items():
        alone = re.match(r"(blocks|patch_embed)\.|(cls_token|pos_embed)$", key)
        language = re.match(r"(model\.(embed_tokens|layers|norm)|lm_head)\.", key)
        named[("visual_encoder." if alone else "llama_model." if language else "") + key] = tensor
    return join_biases(named)


def keys(config: VLMConfig) -> KeyMap:
    """The key map of a whole model, of its four parts together, or of the linear layer alone.

    EVA's file has one block more than is used, and a head.
    """
    projection = "connector.projection.layers.0." if config.name == "medclip-linear" else "connector.projection."
    towers = (
        (*swin_rules("vision_model."), *swin_rules("visual_encoder."))
        if config.name == "medclip-linear"
        else (*eva_rules(), *qformer_rules())
    )
    surplus = rf"visual_encoder\.blocks\.{config.vision.depth}\..*"
    head = r"(?:norm|fc_norm|head)\.(?:weight|bias)"
    rules = (*towers, Rule(r"llama_proj\.(.*)", projection + r"\1"), *causal_rules("llama_model."))
    return KeyMap(rules, (*DEAD, surplus, head), gather)


def freeze(model: VLM) -> None:
    """Train the linear layer alone, as published."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("connector.projection."))


def half_rounded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder as `vit_precision: fp16` stores it: linear and convolution weights rounded, all else float32."""
    return {
        key: tensor.half().float()
        if re.search(r"(patch_embed\.proj|attn\.(qkv|proj)|mlp\.fc\d)\.(weight|bias)$", key)
        else tensor
        for key, tensor in state.items()
    }


# Tokens ----------------------------------------------------------------------------------------------------------

SPECIAL = {"<unk>": 0, "<s>": 1, "</s>": 2}


def encode_published(text: str, words: Codec) -> list[int]:
    """Ids of a text that published code wrote: a literal `</s>` becomes id 2, what follows starts a new word
    and blanks beside it go.

    Only for reproducing published rows; in ours a text that spells a special token stays text.
    """
    pieces = re.split(r"(<unk>|<s>|</s>)", text)
    ids: list[int] = []
    for i, piece in enumerate(pieces):
        if piece in SPECIAL:
            ids.append(SPECIAL[piece])
            continue
        piece = piece.lstrip() if i else piece
        piece = piece.rstrip() if i + 1 < len(pieces) else piece
        ids += words.encode(piece) if piece else []
    return ids


def decode_published(ids: Sequence[int], words: Codec) -> str:
    """Text of ids with special tokens spelled out, as the published decoding leaves them."""
    names = {number: name for name, number in SPECIAL.items()}
    text, run = "", []
    for number in [*ids, -1]:
        if number >= 3:
            run.append(number)
            continue
        text += words.decode(run) if run else ""
        text += names.get(number, "")
        run = []
    return text


@dataclass(frozen=True)
class Wrapped:
    """A prompt around its image: ids before and after it."""

    before: list[int]
    after: list[int]


def wrap(prompt: str, words: Codec, template: str = TEMPLATE) -> Wrapped:
    """A training prompt in its template, cut at the image; neither side gets a begin token.

    Raises:
        UsageError: there is not exactly one image marker.
    """
    sides = template.format(prompt).split("<ImageHere>")
    if len(sides) != 2:
        raise UsageError(f"a prompt with {len(sides) - 1} image markers", "the training wrap has exactly two sides")
    return Wrapped(words.encode(sides[0]), words.encode(sides[1]))


def caption_ids(captions: Sequence[str], words: Codec, end: str, length: int) -> list[list[int]]:
    """Captions with their end symbol, cut on the right at `length` (a cut caption loses its end symbol)."""
    return [encode_published(caption + end, words)[:length] for caption in captions]


def training_rows(
    wrapped: Wrapped | None, captions: Sequence[Sequence[int]], tokens: int, pad: int = 2
) -> dict[str, Tensor]:
    """Ids, visual rows, labels and attention of a batch with one image a row; without a prompt the image follows BOS.

    A label equal to the pad id is hidden, even where it is a real `</s>` of the caption.
    """
    prompt = wrapped or Wrapped([], [])
    longest = max(len(ids) for ids in captions)
    ids, visual, labels, mask = [], [], [], []
    for row, caption in enumerate(captions):
        rest = longest - len(caption)
        lead = [1, *prompt.before]
        ids.append([*lead, *[0] * tokens, *prompt.after, *caption, *[pad] * rest])
        image = range(row * tokens, (row + 1) * tokens)
        visual.append([-1] * len(lead) + list(image) + [-1] * (len(prompt.after) + longest))
        hidden = len(lead) + tokens + len(prompt.after)
        labels.append([-100] * hidden + [-100 if i == pad else i for i in caption] + [-100] * rest)
        mask.append([1] * (hidden + len(caption)) + [0] * rest)
    names = ("input_ids", "visual", "labels", "attention_mask")
    return {name: torch.tensor(rows) for name, rows in zip(names, (ids, visual, labels, mask), strict=True)}


# Preprocessing ----------------------------------------------------------------------------------------------------


def view(
    picture: Image.Image, side: int = 224, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD
) -> Tensor:
    """A picture as the released model's view `[3, 1, side, side]`: RGB, bicubic in 8 bit ignoring the aspect, CLIP's norm.

    A 16-bit grey picture saturates in the conversion to RGB: window it to 8 bit before.
    """
    small = picture.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.asarray(small, dtype=np.float32).copy()).permute(2, 0, 1) / 255
    return ((pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None])[:, None]


def medclip_view(
    picture: Image.Image, size: int = 224, crop: int = 224, mean: float = MEDCLIP_MEAN, std: float = MEDCLIP_STD
) -> Tensor:
    """A picture as MedCLIP's view `[1, 1, crop, crop]`: centred on a black square of one channel, bicubic, cropped."""
    side = max(size, *picture.size)
    canvas = Image.new("L", (side, side), 0)
    canvas.paste(picture, (int((side - picture.size[0]) / 2), int((side - picture.size[1]) / 2)))
    small = np.asarray(canvas.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)
    edge = (size - crop) // 2
    pixels = torch.from_numpy(small[edge : edge + crop, edge : edge + crop] / np.float32(255))
    return ((pixels - mean) / std)[None, None]


def look(pixels: NDArray[Any], modality: str, config: VLMConfig) -> Tensor:
    """The view of any picture, as the preset was trained (`medclip-linear` pads, `eva-qformer` squashes)."""
    del modality
    side = config.vision.size[1]
    return (
        medclip_view(as_picture(pixels), side, side)
        if config.name == "medclip-linear"
        else view(as_picture(pixels), side)
    )


def part(pixels: NDArray[Any], modality: str, config: VLMConfig) -> Part:
    """The part of a picture that `look` shows: with its padding, or all of it."""
    if config.name == "medclip-linear":
        return square(pixels, config.vision.size[1])
    return whole(pixels, modality, config)


# The processor ----------------------------------------------------------------------------------------------------


def vocabulary(codec: Codec) -> Vocabulary:
    """LLaMA's tokenizer with the end token as padding; `<Img>` and role words are ordinary text to it."""
    return Vocabulary(codec, {"pad": 2, "bos": 1, "eos": 2})


class XrayGPTProcessor(Processor):
    """The training template: `###Patient: <Img>` image `</Img> question ###Doctor: ` answer `###`; texts alone between.

    An answer ends at `###` in its text, whatever the ids of that are, or at the end token.
    """

    def __init__(self, vocabulary: Vocabulary, config: VLMConfig) -> None:
        super().__init__(vocabulary, config)
        self.stop_texts = ("###",)

    def _encode(self, turns: Sequence[Turn], shapes: Sequence[Size3], open_answer: bool) -> Encoded:
        out = Encoded()
        out.add([self.special["bos"]], learn=False)
        text = ""
        for turn in turns:
            if turn.role == "assistant":
                out.add(self._words(text), learn=False)
                out.add(self.vocabulary.encode(f"{plain_text(turn.parts)}###"), learn=True)
                text = ""
                continue
            text += "###Patient: "
            for part in turn.parts:
                if isinstance(part, ImagePart):
                    out.add(self._words(text + "<Img>"), learn=False)
                    self._image(part, shapes, out)
                    text = "</Img>"
                else:
                    text += (" " if text.endswith("</Img>") else "") + plain_text([part])
            text += " ###Doctor: "
        out.add(self._words(text), learn=False)
        del open_answer  # the template ends with the Doctor's role
        return out

    def _words(self, text: str) -> list[int]:
        return self.vocabulary.encode(text) if text else []

    def _image(self, part: ImagePart, shapes: Sequence[Size3], out: Encoded) -> None:
        count = self.image_tokens(shapes[part.image])
        out.image_at.append((len(out.ids), part.image, count))
        out.add([0] * count, learn=False)
        if len(out.image_at) == 1:
            out.prefix_length = len(out.ids)

    def decode(self, ids: Sequence[int]) -> str:
        return super().decode(ids).split("###")[0].removeprefix("Doctor:").strip()

    def ended(self, ids: Sequence[int]) -> bool:
        return super().ended(ids) or "###" in self.vocabulary.decode(ids[-4:])
