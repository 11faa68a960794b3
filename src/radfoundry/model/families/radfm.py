"""RadFM (Wu et al. 2023; chaoyi-wu/RadFM): 3D ViT with axis positions, perceiver, LLaMA-13B, interleaved images.

Published volumes are `(C, H, W, D)`; ours are `[C, z, y, x]` with D = z, so the patch columns of the checkpoint are
permuted once, at conversion. Views are 512 x 512 for pictures (depth 4) and 256 x 256 for volumes, 0 to 1, three channels.
An image is written `<image>`, 32 tokens, `</image>`; ids from 32000 on are rows of the visual table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from radfoundry.errors import UsageError
from radfoundry.model.config import ConnectorConfig, LanguageConfig, Size3, VisionConfig, VLMConfig
from radfoundry.model.families.keys import KeyMap, Rule, causal_rules, causal_settings
from radfoundry.model.families.pictures import is_colour
from radfoundry.model.processor import Encoded, ImagePart, Part, Processor, Turn
from radfoundry.model.vocabulary import Codec, Vocabulary

LLAMA13 = {"vocab_size": 32000, "hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40,
           "num_attention_heads": 40, "rms_norm_eps": 1e-6}  # fmt: skip


# What to build ---------------------------------------------------------------------------------------------------


def vision_config(published: Mapping[str, Any]) -> VisionConfig:
    """The encoder from the published names of its sizes."""
    side, patch = int(published["image_size"]), int(published["image_patch_size"])
    frames, depth_patch = int(published["frames"]), int(published["frame_patch_size"])
    return VisionConfig(
        channels=int(published.get("channels", 3)),
        size=(frames, side, side),
        patch=(depth_patch, patch, patch),
        width=int(published["dim"]),
        depth=int(published["depth"]),
        heads=int(published["heads"]),
        head_width=int(published.get("dim_head", 64)),
        mlp_width=int(published["mlp_dim"]),
        embedding="normed",
        positions="axes",
        axis_rows=(frames // depth_patch, side // patch, side // patch),
        final_norm=False,
    )


def perceiver_config(published: Mapping[str, Any]) -> ConnectorConfig:
    """The resampler from the published names of its sizes."""
    return ConnectorConfig(
        kind="perceiver",
        layers=int(published.get("depth", 6)),
        latents=int(published.get("num_latents", 32)),
        heads=int(published.get("heads", 8)),
        head_width=int(published.get("dim_head", 64)),
        mlp_ratio=int(published.get("ff_mult", 4)),
    )


def config(published: Mapping[str, Any]) -> VLMConfig:
    """RadFM from `llama`, `embedding` and `hard_coded` sizes; those that are left out have their published values."""
    embedding, fixed = published.get("embedding", {}), published.get("hard_coded", {})
    language = causal_settings(published.get("llama", LLAMA13))
    language.update(pad_token_id=None, tie_word_embeddings=False)
    return VLMConfig(
        vision=vision_config(
            {
                "image_size": fixed.get("vit_image_size", 512),
                "image_patch_size": embedding.get("patch_size", 32),
                "frames": fixed.get("vit_frames", 512),
                "frame_patch_size": embedding.get("frame_patch_size", 4),
                "dim": embedding.get("vis_dim", 768),
                "depth": fixed.get("vit_depth", 12),
                "heads": fixed.get("vit_heads", 8),
                "dim_head": fixed.get("vit_dim_head", 64),
                "mlp_dim": fixed.get("vit_mlp_dim", 2048),
            }
        ),
        connector=perceiver_config(
            {
                "depth": fixed.get("perceiver_depth", 6),
                "num_latents": embedding.get("perceiver_num", 32),
                "heads": fixed.get("perceiver_heads", 8),
                "dim_head": fixed.get("perceiver_dim_head", 64),
                "ff_mult": fixed.get("perceiver_ff_mult", 4),
            }
        ),
        language=LanguageConfig("llama", language),
        extra_tokens=2,
        family="radfm",
    )


# Keys ------------------------------------------------------------------------------------------------------------


def vision_rules(theirs: str, ours: str, vision: VisionConfig) -> tuple[Rule, ...]:
    """The encoder's keys; the columns of a patch go from (y, x, z, channel) to (z, y, x, channel)."""
    (z, y, x), channels = vision.patch, vision.channels

    def reorder(tensor: Tensor) -> Tensor:
        split = tensor.reshape(*tensor.shape[:-1], y, x, z, channels)
        lead = list(range(tensor.dim() - 1))
        n = len(lead)
        return split.permute(*lead, n + 2, n, n + 1, n + 3).reshape(tensor.shape)

    their, block = re.escape(theirs), re.escape(theirs) + r"transformer\.layers\.(\d+)\."
    mine = ours + r"blocks.\1."
    return (
        Rule(their + r"to_patch_embedding\.1\.(.*)", ours + r"embedding.norm_in.\1", reorder),
        Rule(their + r"to_patch_embedding\.2\.weight", ours + "embedding.linear.weight", reorder),
        Rule(their + r"to_patch_embedding\.2\.bias", ours + "embedding.linear.bias"),
        Rule(their + r"to_patch_embedding\.3\.(.*)", ours + r"embedding.norm_out.\1"),
        Rule(their + r"pos_embedding\.row_embed\.weight", ours + "positions.y.weight"),
        Rule(their + r"pos_embedding\.col_embed\.weight", ours + "positions.x.weight"),
        Rule(their + r"pos_embedding\.dep_embed\.weight", ours + "positions.z.weight"),
        Rule(block + r"0\.norm\.(.*)", mine + r"norm1.\2"),
        Rule(block + r"0\.fn\.to_qkv\.weight", mine + "attention.qkv.weight"),
        Rule(block + r"0\.fn\.to_out\.0\.(.*)", mine + r"attention.out.\2"),
        Rule(block + r"1\.norm\.(.*)", mine + r"norm2.\2"),
        Rule(block + r"1\.fn\.net\.0\.(.*)", mine + r"mlp.0.\2"),
        Rule(block + r"1\.fn\.net\.3\.(.*)", mine + r"mlp.2.\2"),
    )


def perceiver_rules(theirs: str, ours: str) -> tuple[Rule, ...]:
    """The resampler's keys."""
    their, layer = re.escape(theirs), re.escape(theirs) + r"layers\.(\d+)\."
    mine = ours + r"layers.\1."
    return (
        Rule(their + "latents", ours + "latents"),
        Rule(their + r"norm\.(.*)", ours + r"norm.\1"),
        Rule(layer + r"0\.(norm_media|norm_latents)\.(.*)", mine + r"\2.\3"),
        Rule(layer + r"0\.to_q\.weight", mine + "query.weight"),
        Rule(layer + r"0\.to_kv\.weight", mine + "key_value.weight"),
        Rule(layer + r"0\.to_out\.weight", mine + "out.weight"),
        Rule(layer + r"1\.([013])\.(.*)", mine + r"feed_forward.\2.\3"),
    )


DEAD_GROUPS = (
    "bert_model",
    "bert_projection_fc",
    "output_upscaling",
    "transformer_decoder",
    "transformer_decoder_mlp",
    "cls_head",
)


def drop_tied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop the second copy of the input embedding; where the two differ, the one that prompts are looked up in stays."""
    own, copy = "lang_model.model.embed_tokens.weight", "embedding_layer.weight"
    if copy in state:
        state[own] = state.pop(copy)
    return state


def keys(config: VLMConfig) -> KeyMap:
    """The key map of a RadFM checkpoint."""
    dead = "|".join(DEAD_GROUPS)
    return KeyMap(
        (
            *causal_rules("lang_model."),
            *vision_rules("embedding_layer.vision_encoder.", "vision.", config.vision),
            *perceiver_rules("embedding_layer.perceiver.", "connector.resampler."),
            Rule(r"embedding_layer\.fc\.(.*)", r"connector.projection.\1"),
            Rule(r"embedding_layer\.figure_token_weight", "extra"),
        ),
        (rf"embedding_layer\.(?:{dead})\..*", r"lang_model\.model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq"),
        drop_tied,
    )


# Tokens ----------------------------------------------------------------------------------------------------------


class Tags:
    """Ids of the image tags: `base` is the text vocabulary's size, every image has `tokens` tokens."""

    def __init__(self, base: int, tokens: int, images: int) -> None:
        self.base, self.tokens, self.images = base, tokens, images

    def block(self, image: int) -> list[int]:
        """`<image>`, the tokens of this image, `</image>`."""
        if not 0 <= image < self.images:
            raise UsageError(f"no room for image {image}", f"the tokenizer has tags for {self.images} images")
        first = self.base + 2 + image * self.tokens
        return [self.base, *range(first, first + self.tokens), self.base + 1]

    def read(self, text: str) -> list[str | int]:
        """A published string with its tags spelled out, as pieces; only for files that published code wrote."""
        pieces: list[str | int] = []
        for piece in re.split(r"(<image>|</image>|<image\d+>)", text):
            number = re.fullmatch(r"<image(\d+)>", piece)
            if piece in ("<image>", "</image>"):
                pieces.append(self.base + int(piece == "</image>"))
            elif number and int(number[1]) < self.images * self.tokens:
                pieces.append(self.base + 2 + int(number[1]))
            elif piece:
                pieces.append(piece)
        return pieces

    def write(self, pieces: Sequence[str | int]) -> str:
        """The published spelling of pieces."""
        names = {self.base: "<image>", self.base + 1: "</image>"}
        return "".join(p if isinstance(p, str) else names.get(p, f"<image{p - self.base - 2}>") for p in pieces)


def encode(pieces: Sequence[str | int], words: Codec, bos: int = 1) -> list[int]:
    """Ids of pieces: a text loses its blanks beside a tag and is tokenised alone, so it gets the word-start sign again."""
    ids = [bos]
    joined: list[str | int] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    for i, piece in enumerate(joined):
        if isinstance(piece, int):
            ids.append(piece)
            continue
        text = piece.lstrip() if i else piece
        text = text.rstrip() if i + 1 < len(joined) else text
        ids += words.encode(text) if text else []
    return ids


def place_images(text: str, positions: Sequence[tuple[int, int]], tags: Tags) -> list[str | int]:
    """Put image blocks into a text as the training code does: offset p means *before character p - 1*.

    `positions` are (image, offset) in image order; images at one place keep their order; images beyond the room of
    the tokenizer get no tag. Offset len(text) thus lands before the last character.

    Raises:
        UsageError: an offset behind the text's end, or any offset in an empty text.
    """
    characters: list[list[str | int]] = [[c] for c in text]
    for image, offset in positions:
        if image >= tags.images:
            continue
        place = max(offset - 1, 0)
        if place >= len(characters):
            raise UsageError(
                f"an image at offset {offset} of a text of {len(text)} characters", "no character is there"
            )
        characters[place][-1:] = [*tags.block(image), characters[place][-1]]
    return [piece for group in characters for piece in group]


# Preprocessing ----------------------------------------------------------------------------------------------------


def target_depth(depth: int, most: int = 64) -> int:
    """The multiple of 4 in 4..most nearest to a depth; a tie goes to the smaller."""
    return min(range(4, most + 1, 4), key=lambda d: (abs(d - depth), d))


def resize_nearest(image: Tensor, shape: Size3) -> Tensor:
    """Resize `[C, z, y, x]` by picking source index floor(i * in / out)."""
    for axis, size in enumerate(shape, start=1):
        have = image.shape[axis]
        index = torch.from_numpy(np.arange(size) * have // size)
        image = image.index_select(axis, index.to(image.device))
    return image


def stack_images(images: Sequence[Tensor], side: int = 512) -> Tensor:
    """All images of a sample `[C, z, y, x]` at one size `[S, C, depth, side, side]`; none: one image of zeros."""
    if not images:
        return torch.zeros(1, 3, 4, side, side)
    depth = target_depth(max(4, *(image.shape[1] for image in images)))
    return torch.stack([resize_nearest(image, (depth, side, side)) for image in images])


def view(volume: Tensor, side: int | None = None) -> Tensor:
    """One image `[C, z, y, x]` of any range as the model's view: 0 to 1, three channels, 512 wide if flat, else 256.

    A constant image becomes zeros (the published code makes NaN of it).
    """
    scaled = volume - volume.min()
    scaled = scaled / scaled.max().clamp_min(1e-8)
    scaled = scaled.expand(3, -1, -1, -1)
    depth = target_depth(max(4, volume.shape[1]))
    width = side or (512 if depth == 4 else 256)
    return resize_nearest(scaled, (depth, width, width))


def look(pixels: NDArray[Any], modality: str, config: VLMConfig) -> Tensor:
    """The view of any picture `[y, x]`, colour picture or volume `[z, y, x]`; CT is clipped to -1000..1000 HU first."""
    array = np.clip(pixels, -1000, 1000) if modality == "CT" else pixels
    tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    volume = tensor.permute(2, 0, 1)[:, None] if is_colour(pixels) else tensor.reshape(1, -1, *tensor.shape[-2:])
    full = config.vision.size[1]
    return view(volume, full if volume.shape[1] <= 4 else full // 2)


# The processor ----------------------------------------------------------------------------------------------------


def vocabulary(codec: Codec) -> Vocabulary:
    """LLaMA's tokenizer; the image tags are no ids of the language model but rows of the visual table."""
    return Vocabulary(codec, {"pad": 0, "bos": 1, "eos": 2})


class RadFMProcessor(Processor):
    """Interleaved text and images, question, a blank, answer, end token; no roles. Answers stop at id 1 or 2."""

    def __init__(self, vocabulary: Vocabulary, config: VLMConfig) -> None:
        super().__init__(vocabulary, config)
        self.stops = {1, 2}

    def _encode(self, turns: Sequence[Turn], shapes: Sequence[Size3], open_answer: bool) -> Encoded:
        out = Encoded()
        out.add([self.special["bos"]], learn=False)
        done: list[Part] = []
        for turn in turns:
            parts = [*([" "] if done else []), *turn.parts]
            before = len(self._ids(done, None))
            done += parts
            after = self._ids(done, None)
            out.add(after[before:], learn=turn.role == "assistant")
        if turns and turns[-1].role == "assistant":
            out.add([self.special["eos"]], learn=True)
        self._ids(done, out)
        leading = 0
        while leading < len(done) and isinstance(done[leading], ImagePart):
            leading += 1
        out.prefix_length = 1 + leading * (2 + self.config.connector.latents)
        del shapes, open_answer  # every image takes the same tokens; an answer follows its question
        return out

    def _ids(self, parts: Sequence[Part], out: Encoded | None) -> list[int]:
        """Ids behind the begin token; `out` learns where the images stand. Tags are written as id 0, the table has them."""
        pieces: list[str | int] = []
        for part in parts:
            if isinstance(part, ImagePart):
                pieces += [-1, -2 - part.image, -1]
            elif isinstance(part, str):
                pieces.append(part)
            else:
                raise UsageError("this model reads and writes no regions", "it answers in text alone")
        ids: list[int] = []
        opened = False
        for number in encode(pieces, self.vocabulary.codec)[1:]:
            if number == -1:
                if out is not None:
                    out.extra.append((1 + len(ids), int(opened)))
                ids, opened = [*ids, 0], not opened
            elif number < -1:
                count = self.config.connector.latents
                if out is not None:
                    out.image_at.append((1 + len(ids), -2 - number, count))
                ids += [0] * count
            else:
                ids.append(number)
        return ids
