"""Reg2RG (Chen et al. 2025; zhi-xuan-chen/Reg2RG): RadFM's encoder and perceiver for the scan and for each region alone.

A region is 32 tokens of the scan masked and cropped to it, and one token of its mask; Llama-2-7b-chat with LoRA writes a
report for each. No weights or golden arrays were at hand: built from the published code's description.
Image 0 is the whole scan; a region is `RegionPart(image=k, mask)` with image k the masked crop and the mask on a view of the
whole scan. Volumes are published as (C, H, W, D) and permuted at conversion, as in RadFM.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from radfoundry.model.config import LanguageConfig, RegionConfig, Size3, VisionConfig, VLMConfig, from_dict
from radfoundry.model.families import radfm
from radfoundry.model.families.keys import KeyMap, Rule, causal_rules, causal_settings
from radfoundry.model.families.pictures import Part, need_volume
from radfoundry.model.families.radfm import perceiver_rules, vision_rules
from radfoundry.model.processor import Encoded, ImagePart, Pointer, Processor, RegionPart, Turn, plain_text
from radfoundry.model.vocabulary import Codec, Vocabulary

LLAMA2 = {"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
          "num_attention_heads": 32, "rms_norm_eps": 1e-5}  # fmt: skip
REGIONS = ("abdomen", "bone", "breast", "esophagus", "heart", "lung", "mediastinum", "pleura", "thyroid",
           "trachea and bronchie")  # fmt: skip
VOLUME: Size3 = (64, 256, 256)
MASK_ENCODER = {"image_size": 256, "image_patch_size": 32, "frames": 64, "frame_patch_size": 16, "dim": 255,
                "depth": 3, "heads": 8, "mlp_dim": 512, "channels": 1}  # fmt: skip


# What to build ---------------------------------------------------------------------------------------------------


def config(published: Mapping[str, Any]) -> VLMConfig:
    """Reg2RG from RadFM's sizes (`embedding`, `hard_coded`), `llama` and `mask_encoder`; left out, they are as published."""
    base = radfm.config({**published, "llama": published.get("llama", LLAMA2)})
    mask = radfm.vision_config({**MASK_ENCODER, **published.get("mask_encoder", {})})
    language = causal_settings(published.get("llama", LLAMA2))
    language.update(pad_token_id=None, tie_word_embeddings=False)
    return VLMConfig(
        vision=base.vision,
        connector=base.connector,
        language=LanguageConfig("llama", language, lora_rank=8, lora_alpha=32, lora_dropout=0.1),
        regions=RegionConfig("mask", 1, asdict(mask)),
        extra_tokens=4,
        family="reg2rg",
    )


# Keys ------------------------------------------------------------------------------------------------------------


def prepare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop the second copy of the input embedding and join the two pairs of tag embeddings."""
    state = radfm.drop_tied(state)
    pairs = [f"embedding_layer.{name}_token_weight" for name in ("image", "region")]
    if all(pair in state for pair in pairs):
        state["embedding_layer.tags"] = torch.cat([state.pop(pair) for pair in pairs])
    return state


def keys(config: VLMConfig) -> KeyMap:
    """The key map of a Reg2RG file, its adapters merged."""
    mask = from_dict(VisionConfig, config.regions.settings if config.regions is not None else {})
    return KeyMap(
        (
            *causal_rules("lang_model."),
            *vision_rules("embedding_layer.vision_encoder.", "vision.", config.vision),
            *vision_rules("embedding_layer.mask_encoder.", "regions.encoder.", mask),
            *perceiver_rules("embedding_layer.perceiver.", "connector.resampler."),
            Rule(r"embedding_layer\.fc\.(.*)", r"connector.projection.\1"),
            Rule(r"embedding_layer\.mask_fc\.(.*)", r"regions.project.\1"),
            Rule(r"embedding_layer\.tags", "extra"),
        ),
        (r".*rotary_emb\.inv_freq",),
        prepare,
    )


# Preprocessing and answers ----------------------------------------------------------------------------------------


def view(volume: NDArray[np.float32], shape: Size3 = VOLUME) -> Tensor:
    """A CT volume in HU `[z, y, x]` as the view `[3, *shape]`: crop to over -1000, resize, clip, (x + 400) / 600."""
    return _scaled(_resized(volume, foreground(volume), shape))


def look(pixels: NDArray[Any], modality: str, config: VLMConfig) -> Tensor:
    """The view of a whole chest CT in HU: half as wide as the position table, as in RadFM."""
    del modality
    depth, _, side = config.vision.size
    return view(need_volume(pixels), (min(VOLUME[0], depth), side // 2, side // 2))


def part(pixels: NDArray[Any], modality: str, config: VLMConfig) -> Part:
    """The part of a chest CT that `look` shows."""
    del modality, config
    return tuple((edge.start, edge.stop) for edge in foreground(need_volume(pixels)))


def region_view(volume: NDArray[np.float32], mask: NDArray[np.bool_], shape: Size3 = VOLUME) -> Tensor | None:
    """The scan outside a region set to -1024, cropped to what is left; None where the region is empty (absent)."""
    if not mask.any():
        return None
    alone = np.where(mask, volume, np.float32(-1024))
    return _scaled(_resized(alone, foreground(alone), shape))


def mask_view(volume: NDArray[np.float32], mask: NDArray[np.bool_], shape: Size3 = VOLUME) -> NDArray[np.bool_]:
    """A region's mask on the view of the whole scan."""
    resized = _resized(mask.astype(np.float32), foreground(volume), shape)
    inside: NDArray[np.bool_] = resized[0].numpy() >= 0.5
    return inside


def foreground(volume: NDArray[np.float32]) -> tuple[slice, ...]:
    """The box of what is over -1000 HU; everything where nothing is."""
    places = np.argwhere(volume > -1000)
    if not len(places):
        return tuple(slice(0, n) for n in volume.shape)
    return tuple(slice(int(a), int(b) + 1) for a, b in zip(places.min(axis=0), places.max(axis=0), strict=True))


def _resized(volume: NDArray[np.float32], box: tuple[slice, ...], shape: Size3) -> Tensor:
    crop = torch.from_numpy(np.ascontiguousarray(volume[box], dtype=np.float32))
    return F.interpolate(crop[None, None], size=shape, mode="area")[0]


def _scaled(tensor: Tensor) -> Tensor:
    return ((tensor.clamp(-1000, 200) + 400) / 600).expand(3, -1, -1, -1).contiguous()


def region_reports(text: str) -> dict[str, str]:
    """An answer's reports by the region that it names; the first report of a region counts."""
    pieces = re.split(r"The region \d+ is (" + "|".join(map(re.escape, REGIONS)) + r"): ?", text)
    reports: dict[str, str] = {}
    for name, report in zip(pieces[1::2], pieces[2::2], strict=True):
        reports.setdefault(name, report.strip())
    return reports


# The processor ----------------------------------------------------------------------------------------------------


def vocabulary(codec: Codec) -> Vocabulary:
    """LLaMA's tokenizer; the tags are rows of the visual table."""
    return Vocabulary(codec, {"pad": 0, "bos": 1, "eos": 2})


class Reg2RGProcessor(Processor):
    """The scan, then each region by number with its tokens, then the question; the answer, the end token.

    Texts beside a tag lose their blanks there and start a word anew, as in RadFM.
    """

    def _encode(self, turns: Sequence[Turn], shapes: Sequence[Size3], open_answer: bool) -> Encoded:
        out = Encoded()
        out.add([self.special["bos"]], learn=False)
        parts = [part for turn in turns for part in turn.parts]
        if any(isinstance(part, ImagePart) and part.image == 0 for part in parts):
            self._words("The global information is provided as the context:", out)
            self._block(out, shapes, 0, (0, 1), None)
        out.prefix_length = len(out.ids)
        text = ". "
        for number, region in enumerate(part for part in parts if isinstance(part, RegionPart)):
            self._words(f"{text}The region {number} is".strip(), out)
            self._block(out, shapes, region.image, (2, 3), region)
            text = ". "
        self._say(turns, text, out)
        del open_answer  # an answer follows its question
        return out

    def _say(self, turns: Sequence[Turn], text: str, out: Encoded) -> None:
        """The text of the turns behind the tags; labels start where the question alone would end."""
        text = text.lstrip()
        for n, turn in enumerate(turns):
            own = plain_text([part for part in turn.parts if not isinstance(part, ImagePart | RegionPart | Pointer)])
            before = len(self.vocabulary.encode(text)) if text and n else 0
            text += f" {own}" if n else own
            out.add(self.vocabulary.encode(text)[before:] if text else [], learn=turn.role == "assistant")
        if turns and turns[-1].role == "assistant":
            out.add([self.special["eos"]], learn=True)

    def _words(self, text: str, out: Encoded) -> None:
        out.add(self.vocabulary.encode(text), learn=False)

    def _block(
        self, out: Encoded, shapes: Sequence[Size3], image: int, tags: tuple[int, int], region: RegionPart | None
    ) -> None:
        """Opening tag, the image's tokens, the mask's token, closing tag."""
        count = self.image_tokens(shapes[image])
        out.extra.append((len(out.ids), tags[0]))
        out.image_at.append((len(out.ids) + 1, image, count))
        out.add([0] * (1 + count), learn=False)
        if region is not None:
            out.regions.append((len(out.ids), region))
            out.add([0] * self.region_tokens, learn=False)
        out.extra.append((len(out.ids), tags[1]))
        out.add([0], learn=False)
