"""RadGenome-Chest CT's two baselines (Zhang et al. 2024): SAT-Nano's U-Net encoder, MLP, Llama-3-8B with LoRA.

`global` reads the whole scan as 128 tokens. `grounded` reads a region: the mask's 128 cells ask the image's by attention,
and these tokens stand in the image's place (the whole scan is a mask of ones). No trained weights were released, so
there are no numbers to compare with; the computation is tested against a rewrite in the published axis order.
Published arrays are (H, W, D); kernels are permuted once, at conversion. Views are `[1, 64, 256, 256]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from radfoundry.model.config import (
    ConnectorConfig,
    LanguageConfig,
    RegionConfig,
    Size3,
    StemLevel,
    VisionConfig,
    VLMConfig,
)
from radfoundry.model.families.keys import KeyMap, Rule, causal_rules, causal_settings
from radfoundry.model.families.llava import LLAMA3, Special
from radfoundry.model.families.pictures import need_volume
from radfoundry.model.processor import Encoded, ImagePart, Processor, RegionPart, Turn, plain_text
from radfoundry.model.vocabulary import Codec, Vocabulary

VOLUME: Size3 = (64, 256, 256)
STAGES = (64, 64, 128, 256, 512, 768)
PREFIXES = {
    "report": "<Grounded report generation>",
    "abnormality": "<Grounded abnormality detection>",
    "presence": "<Grounded abnormality presence>",
    "location": "<Abnormality location>",
    "size": "<Abnormality size prediction>",
}


# What to build ---------------------------------------------------------------------------------------------------


def config(published: Mapping[str, Any]) -> VLMConfig:
    """A baseline from `stages`, `image_size` `[z, y, x]`, `llama` and `grounded`; left out, they are as published."""
    stages = tuple(published.get("stages", STAGES))
    size = tuple(published.get("image_size", VOLUME))
    vision = VisionConfig(
        kind="unet",
        channels=1,
        size=(size[0], size[1], size[2]),
        width=stages[-1],
        embedding="stem",
        stem=tuple(StemLevel(width, (1, 1, 1) if i == 0 else (2, 2, 2)) for i, width in enumerate(stages)),
    )
    z, y, x = vision.grid(vision.size)
    prompt = tuple(published.get("prompt_widths", (128, 512)))
    regions = RegionConfig("attention", z * y * x, {"first": prompt[0], "inner": prompt[1], "heads": 4})
    language = causal_settings(published.get("llama", LLAMA3))
    language.update(tie_word_embeddings=False)
    return VLMConfig(
        vision=vision,
        connector=ConnectorConfig(
            kind="mlp", layers=2, hidden=int(published.get("hidden", 1024)), activation_last=True, order="yxz"
        ),
        language=LanguageConfig("llama", language, tuning="full", lora_rank=8, lora_alpha=32, lora_dropout=0.1),
        regions=regions if published.get("grounded", True) else None,
        family="radgenome",
        name="grounded" if published.get("grounded", True) else "global",
    )


# Keys ------------------------------------------------------------------------------------------------------------


def depth_first(kernel: Tensor) -> Tensor:
    """A kernel `[out, in, H, W, D]` as `[out, in, z, y, x]`."""
    return kernel.permute(0, 1, 4, 2, 3).contiguous()


DEAD = (r"vision_backbone\.decoder\..*", r"vision_backbone\.encoder\..*\.all_modules\..*")


def keys(config: VLMConfig) -> KeyMap:
    """The key map of a training file of either baseline, its adapters merged."""
    stage = r"vision_backbone\.encoder\.stages\.(\d+)\.0\.convs\.(\d+)\."
    del config  # global files simply have no keys of regions
    return KeyMap(
        (
            Rule(stage + r"conv\.weight", r"vision.stages.\1.\2.conv.weight", depth_first),
            Rule(stage + r"(conv\.bias|norm\.(?:weight|bias))", r"vision.stages.\1.\2.\3"),
            *(Rule(rf"image_proj_mlp\.{2 * i}\.(.*)", rf"connector.projection.layers.{i}.\1") for i in range(2)),
            *(
                Rule(rf"prompt_encoder\.conv{i + 1}\.weight", f"regions.convolutions.{i}.weight", depth_first)
                for i in range(3)
            ),
            *(Rule(rf"prompt_encoder\.conv{i + 1}\.bias", f"regions.convolutions.{i}.bias") for i in range(3)),
            Rule(r"multihead_attn\.(.*)", r"regions.attention.\1"),
            *causal_rules("language_model."),
        ),
        DEAD,
    )


# Preprocessing and prompts -------------------------------------------------------------------------------------------


def view(volume: NDArray[np.float32], shape: Size3 = VOLUME) -> Tensor:
    """A CT volume in HU `[z, y, x]` as the view `[1, *shape]`: clip to -1000..200, z-score, resize by area."""
    clipped = np.clip(volume, -1000, 200).astype(np.float32)
    scored = (clipped - clipped.mean()) / max(float(clipped.std()), 1e-8)
    return F.interpolate(torch.from_numpy(scored)[None, None], size=shape, mode="area")[0]


def look(pixels: NDArray[Any], modality: str, config: VLMConfig) -> Tensor:
    """The view of a chest CT in HU."""
    del modality
    return view(need_volume(pixels), config.vision.size)


def region_answer(answer: str, node: str, head: str) -> str:
    """The answer of a prompt that says "given region": it names the region first."""
    return f"<Region> The given region is {node}. This is belong to {head}. {answer}"


def split_region_answer(text: str) -> tuple[str | None, str]:
    """The region that an answer names, if it does, and the rest."""
    match = re.match(r"\s*<Region> The given region is (.*?)\. This is belong to .*?\.\s*", text)
    return (match[1], text[match.end() :]) if match else (None, text.strip())


# The processor ----------------------------------------------------------------------------------------------------


def vocabulary(codec: Codec) -> Vocabulary:
    """Llama-3's tokenizer; padding is the end token, as published."""
    special = Special.of(codec.names())
    ids = {"bos": special.begin, "eos": special.turn_end, "pad": special.turn_end, "text_end": special.text_end}
    return Vocabulary(codec, {**ids, "image": special.begin, "region": special.begin})


class RadGenomeProcessor(Processor):
    """The 128 tokens, begin token, task mark and question, a blank, the answer, end token; no chat template.

    The grounded model has the tokens of a region where the global one has the image's: those of the first region that is
    given or, without one, of the whole scan.
    """

    def __init__(self, vocabulary: Vocabulary, config: VLMConfig) -> None:
        super().__init__(vocabulary, config)
        self.stops = {self.special["eos"], self.special["text_end"]}

    def _encode(self, turns: Sequence[Turn], shapes: Sequence[Size3], open_answer: bool) -> Encoded:
        out = Encoded()
        parts = [part for turn in turns for part in turn.parts]
        regions = [part for part in parts if isinstance(part, RegionPart)]
        images = [part for part in parts if isinstance(part, ImagePart)]
        if self.config.given is not None and (regions or images):
            z, y, x = shapes[0]
            out.regions.append((0, regions[0] if regions else RegionPart(0, box_zyx=(0, 0, 0, z, y, x))))
            out.add([self.special["region"]] * self.region_tokens, learn=False)
        elif images:
            count = self.image_tokens(shapes[images[0].image])
            out.image_at.append((0, images[0].image, count))
            out.add([self.special["image"]] * count, learn=False)
            out.prefix_length = count
        out.add([self.special["bos"]], learn=False)
        text = ""
        for turn in turns:
            own = plain_text([part for part in turn.parts if not isinstance(part, ImagePart | RegionPart)])
            before = len(self.vocabulary.encode(text)) if text else 0
            text += f" {own}" if text else own
            out.add(self.vocabulary.encode(text)[before:] if text else [], learn=turn.role == "assistant")
        if turns and turns[-1].role == "assistant":
            out.add([self.special["eos"]], learn=True)
        del open_answer  # an answer follows its question
        return out
