"""LLaVA-Tri (Xie et al. 2024; UCSC-VLAA/MedTrinity-25M): CLIP ViT-L/14-336 at three scales (S2), MLP, Llama-3-8B.

Pictures are padded to a square and read at 336, 672 and 1008: 576 tokens of 3 x 1024 channels. The prompt is Llama-3's with
two begin tokens, one written in the template and one of the tokenizer; the weights were trained so.
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

from radfoundry.model.config import ConnectorConfig, LanguageConfig, Size3, VisionConfig, VLMConfig
from radfoundry.model.families.keys import KeyMap, Rule, causal_rules, causal_settings
from radfoundry.model.families.pictures import Part, as_picture, square
from radfoundry.model.processor import Encoded, ImagePart, Processor, Turn, plain_text
from radfoundry.model.vocabulary import Codec, Vocabulary

LLAMA3 = {"vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
          "num_attention_heads": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
          "max_position_embeddings": 8192}  # fmt: skip
CLIP = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
        "image_size": 336, "patch_size": 14, "projection_dim": 768, "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5}  # fmt: skip
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGE, IGNORED = -200, -100
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)


# What to build ---------------------------------------------------------------------------------------------------


def vision_config(
    published: Mapping[str, Any] = CLIP, scales: Sequence[int] = (336, 672, 1008), layer: int = -2
) -> VisionConfig:
    """The CLIP tower; without scales it is the plain one, as published where the config has no "s2"."""
    side, patch = int(published["image_size"]), int(published["patch_size"])
    return VisionConfig(
        kind="clip",
        channels=3,
        size=(1, side, side),
        patch=(1, patch, patch),
        width=int(published["hidden_size"]),
        scales=tuple(scales),
        settings={**published, "select_layer": layer},
    )


def config(published: Mapping[str, Any]) -> VLMConfig:
    """LLaVA-Tri from its published config; the tower's sizes are under `vision`, the language model's under `llama`."""
    scales = sorted(int(scale) for scale in str(published.get("s2_scales", "336,672,1008")).split(",") if scale)
    kind = re.fullmatch(r"mlp(\d+)x_gelu", str(published.get("mm_projector_type", "mlp2x_gelu")))
    language = causal_settings(published.get("llama", LLAMA3))
    language.update(tie_word_embeddings=False)
    return VLMConfig(
        vision=vision_config(published.get("vision", CLIP), scales, int(published.get("mm_vision_select_layer", -2))),
        connector=ConnectorConfig(kind="mlp" if kind else "linear", layers=int(kind[1]) if kind else 1),
        language=LanguageConfig("llama", language),
        family="llava-tri",
    )


# Keys ------------------------------------------------------------------------------------------------------------


def clip_rules(ours: str = "vision.clip.") -> tuple[Rule, ...]:
    """The tower's keys; published loaders ignore them and fetch CLIP elsewhere, we load what the checkpoint has."""
    return (Rule(r"model\.vision_tower\.vision_tower\.vision_model\.(.*)", ours + r"\1"),)


DEAD = (r"model\.vision_tower\.vision_tower\.vision_model\.embeddings\.position_ids",)


def keys(config: VLMConfig) -> KeyMap:
    """The key map of a LLaVA-Tri checkpoint."""
    projector = tuple(
        Rule(rf"model\.mm_projector\.{2 * i}\.(.*)", rf"connector.projection.layers.{i}.\1")
        for i in range(config.connector.layers)
    )
    plain = Rule(r"model\.mm_projector\.(weight|bias)", r"connector.projection.layers.0.\1")
    return KeyMap((*causal_rules(), *clip_rules(), *projector, plain), DEAD)


# Tokens ----------------------------------------------------------------------------------------------------------

Piece = str | int


@dataclass(frozen=True)
class Special:
    """Ids of Llama-3's special tokens in one tokenizer."""

    begin: int
    start_header: int
    end_header: int
    turn_end: int
    text_end: int
    pad: int | None = None

    @classmethod
    def of(cls, ids: Mapping[str, int]) -> Special:
        """Find them by their published names."""
        return cls(
            ids["<|begin_of_text|>"],
            ids["<|start_header_id|>"],
            ids["<|end_header_id|>"],
            ids["<|eot_id|>"],
            ids["<|end_of_text|>"],
            ids.get("<pad>"),
        )

    def header(self, role: str) -> list[Piece]:
        """The header of a turn; a text follows it after two line feeds, without a blank."""
        return [self.start_header, role, self.end_header, "\n\n"]


def conversation(turns: Sequence[Sequence[Piece]], special: Special, open_answer: bool = False) -> list[Piece]:
    """Alternating user and assistant messages in the template; both begin tokens stand in front."""
    pieces: list[Piece] = [special.begin, special.begin, *special.header("system"), SYSTEM, special.turn_end]
    for i, message in enumerate(turns):
        pieces += [*special.header("user" if i % 2 == 0 else "assistant"), *message, special.turn_end]
    return [*pieces, *special.header("assistant")] if open_answer else pieces


def encode(pieces: Sequence[Piece], codec: Codec) -> list[int]:
    """Ids of pieces; neighbouring texts are tokenised together."""
    ids: list[int] = []
    text = ""
    for piece in [*pieces, -1]:
        if isinstance(piece, str):
            text += piece
            continue
        ids += codec.encode(text) if text else []
        ids, text = [*ids, piece], ""
    return ids[:-1]


def image_first(message: str) -> list[Piece]:
    """A published user message with its image marker moved to the start, one line feed behind it."""
    if "<image>" not in message:
        return [message]
    rest = message.replace("<image>", "").strip()
    return [IMAGE, "\n" + rest] if rest else [IMAGE]


def training_row(turns: Sequence[Sequence[Piece]], special: Special, codec: Codec) -> tuple[list[int], list[int]]:
    """Ids and labels: answers and their end marks are learned.

    As published, as many tokens as the two line feeds have alone are hidden after a header, so an answer that starts
    with a line feed loses it; and an answer that holds the end mark hides the whole sample.
    """
    ids: list[int] = encode(conversation(turns, special), codec)
    labels = [IGNORED] * len(ids)
    if any(special.turn_end in message for message in turns):
        return ids, labels
    blank, at = len(codec.encode("\n\n")), 0
    for i in range(len(turns)):
        done = len(encode(conversation(turns[: i + 1], special), codec))
        if i % 2:
            role = codec.encode("assistant")
            first = at + 2 + len(role) + blank
            labels[first:done] = ids[first:done]
        at = done
    return ids, labels


def read_special(text: str, ids: Mapping[str, int]) -> list[Piece]:
    """A published text in which spelled special tokens are those tokens; only to reproduce published rows."""
    parts = re.split("(" + "|".join(re.escape(name) for name in ids) + ")", text)
    return [ids.get(part, part) for part in parts if part]


@dataclass(frozen=True)
class Spliced:
    """A batch with its images in place: ids, rows of the visual table (-1: none), labels, mask, positions."""

    input_ids: Tensor
    visual: Tensor
    labels: Tensor
    attention_mask: Tensor
    position_ids: Tensor


def splice(
    ids: Tensor, mask: Tensor, labels: Tensor, tokens: int, *, left: bool = False, limit: int | None = None
) -> Spliced:
    """The published splice: images in order over the batch; a row without one uses one up; cut after the splice."""
    rows: list[tuple[list[int], list[int], list[int]]] = []
    image = 0
    for one, keep, wanted in zip(ids.tolist(), mask.bool().tolist(), labels.tolist(), strict=True):
        row: tuple[list[int], list[int], list[int]] = ([], [], [])
        kept = [pair for pair, k in zip(zip(one, wanted, strict=True), keep, strict=True) if k]
        for number, label in kept:
            if number != IMAGE:
                parts = ([number], [-1], [label])
            else:
                parts = ([0] * tokens, list(range(image * tokens, (image + 1) * tokens)), [IGNORED] * tokens)
                image += 1
            for column, part in zip(row, parts, strict=True):
                column.extend(part)
        image += int(not any(number == IMAGE for number, _ in kept))
        rows.append((row[0][:limit], row[1][:limit], row[2][:limit]))
    longest = max(len(row[0]) for row in rows)
    fills = (0, -1, IGNORED)
    columns = [torch.tensor([_pad(row[i], longest, fills[i], left) for row in rows]) for i in range(3)]
    real = torch.tensor([_pad([1] * len(row[0]), longest, 0, left) for row in rows])
    positions = (real.cumsum(dim=1) - 1) * real
    return Spliced(columns[0], columns[1], columns[2], real, positions)


def _pad(row: list[int], length: int, value: int, left: bool) -> list[int]:
    rest = [value] * (length - len(row))
    return rest + row if left else row + rest


# Preprocessing ----------------------------------------------------------------------------------------------------


def view(picture: Image.Image, side: int = 1008, pad: bool = True, colour: Sequence[int] | None = None) -> Tensor:
    """A picture as the model's view `[3, 1, side, side]`.

    `pad` centres it on a square of CLIP's mean colour (stage 2, inference); without, the long side's ends are cropped away
    (what published stage 1 does by omission).
    """
    picture = picture.convert("RGB")
    width, height = picture.size
    if pad and width != height:
        longer = max(width, height)
        canvas = Image.new("RGB", (longer, longer), tuple(colour or (int(mean * 255) for mean in MEAN)))
        canvas.paste(picture, ((longer - width) // 2, (longer - height) // 2))
        picture = canvas
    width, height = picture.size
    short = min(width, height)
    size = (side, int(side * height / short)) if width <= height else (int(side * width / short), side)
    picture = picture.resize(size, Image.Resampling.BICUBIC)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    pixels = np.asarray(picture.crop((left, top, left + side, top + side)), dtype=np.float32).copy()
    channels = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    return ((channels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None])[:, None]


def look(pixels: NDArray[Any], modality: str, config: VLMConfig) -> Tensor:
    """The view of any picture, padded to a square."""
    del modality
    return view(as_picture(pixels), max(config.vision.scales, default=config.vision.size[1]))


def part(pixels: NDArray[Any], modality: str, config: VLMConfig) -> Part:
    """The square that a picture is padded to."""
    del modality, config
    return square(pixels)


# The processor ----------------------------------------------------------------------------------------------------


def vocabulary(codec: Codec) -> Vocabulary:
    """Llama-3's tokenizer; padding is its `<pad>` or, where none was added, the end-of-text token."""
    special = Special.of(codec.names())
    return Vocabulary(
        codec,
        {
            "bos": special.begin,
            "eos": special.turn_end,
            "pad": special.text_end if special.pad is None else special.pad,
            "start_header": special.start_header,
            "end_header": special.end_header,
            "text_end": special.text_end,
        },
    )


class LlavaProcessor(Processor):
    """Llama-3's turns with the image in front of its message; answers stop at the end of turn or of text."""

    def __init__(self, vocabulary: Vocabulary, config: VLMConfig) -> None:
        super().__init__(vocabulary, config)
        ids = self.special
        self.tokens = Special(
            ids["bos"], ids["start_header"], ids["end_header"], ids["eos"], ids["text_end"], ids["pad"]
        )
        self.stops = {ids["eos"], ids["text_end"]}

    def _encode(self, turns: Sequence[Turn], shapes: Sequence[Size3], open_answer: bool) -> Encoded:
        out = Encoded()
        out.add([self.tokens.begin, *self._ids(conversation([], self.tokens)[1:])], learn=False)
        for turn in turns:
            out.add(self._ids(self.tokens.header(turn.role)), learn=False)
            for part in turn.parts:
                if isinstance(part, ImagePart):
                    self._image(part, shapes, out)
            out.prefix_length = out.prefix_length or len(out.ids)
            text = plain_text([part for part in turn.parts if not isinstance(part, ImagePart)])
            lead = "\n" if any(isinstance(part, ImagePart) for part in turn.parts) and text else ""
            out.add(self._ids([lead + text]), learn=turn.role == "assistant")
            if text or turn.role == "assistant":
                out.add([self.tokens.turn_end], learn=turn.role == "assistant")
        if open_answer:
            out.add(self._ids(self.tokens.header("assistant")), learn=False)
        return out

    def _ids(self, pieces: Sequence[Piece]) -> list[int]:
        return encode(pieces, self.vocabulary.codec)

    def _image(self, part: ImagePart, shapes: Sequence[Size3], out: Encoded) -> None:
        count = self.image_tokens(shapes[part.image])
        out.image_at.append((len(out.ids), part.image, count))
        out.add([0] * count, learn=False)
