"""M3D-CLIP and M3D-LaMed (Bai et al. 2024; BAAI-DCAI/M3D): 3D ViT, pooled projector, Llama-2 or Phi-3, SegVol.

Views are `[1, 32, 256, 256]`, 0 to 1 (`view`). A prompt is 256 placeholders, a space and the question, without any chat
template; image tokens take positions 1 to n whatever the ids there are. A mask's prompt is the state that predicts `[SEG]`.
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

from radfoundry.errors import UsageError
from radfoundry.model.clip import ClipConfig
from radfoundry.model.config import ConnectorConfig, LanguageConfig, SegmentationConfig, Size3, VisionConfig, VLMConfig
from radfoundry.model.families.keys import KeyMap, Rule, causal_rules, causal_settings, vit_rules
from radfoundry.model.families.pictures import Part as Shown
from radfoundry.model.families.pictures import need_volume
from radfoundry.model.processor import Encoded, ImagePart, Part, Pointer, Processor, RegionPart, Turn
from radfoundry.model.vocabulary import Codec, Vocabulary

LLAMA2 = {"vocab_size": 32004, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
          "num_attention_heads": 32, "rms_norm_eps": 1e-5}  # fmt: skip
PHI3 = {"vocab_size": 32015, "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32,
        "num_attention_heads": 32, "rms_norm_eps": 1e-5, "sliding_window": 2047}  # fmt: skip
NEW_TOKENS = ("<im_patch>", "<bx_start>", "<bx_end>", "[SEG]")
VOLUME: Size3 = (32, 256, 256)
# What to build ---------------------------------------------------------------------------------------------------


def vision_config(published: Mapping[str, Any], class_token: bool = True) -> VisionConfig:
    """The 3D ViT from the published names of its sizes."""
    size = published.get("img_size") or published.get("image_size") or VOLUME
    return VisionConfig(
        channels=int(published.get("in_channels") or published.get("image_channel") or 1),
        size=tuple(size),
        patch=tuple(published.get("patch_size", (4, 16, 16))),
        width=int(published.get("hidden_size", 768)),
        depth=int(published.get("num_layers", 12)),
        heads=int(published.get("num_heads", 12)),
        mlp_width=int(published.get("mlp_dim", 3072)),
        class_token=class_token,
    )


def connector_config(published: Mapping[str, Any]) -> ConnectorConfig:
    """The projector that `mm_projector_type` names."""
    kind = published.get("mm_projector_type", "spp")
    keep = published.get("vision_select_feature", "patch") == "cls_patch"
    if kind in ("linear", "identity"):
        return ConnectorConfig(kind=kind, layers=1, keep_class=keep)
    if kind in ("minigpt", "vanilla"):
        group = int(published.get("group", 4))
        return ConnectorConfig(
            kind="linear", layers=1, pool="fold" if kind == "minigpt" else "fold-channels", pool_size=(1, 1, group)
        )
    if kind != "spp":
        raise UsageError(f"no projector {kind!r}", "M3D has spp, linear, identity, minigpt and vanilla")
    side = int(published.get("proj_pooling_size", 2))
    return ConnectorConfig(
        kind="mlp",
        layers=int(published.get("proj_layer_num", 2)),
        activation=published.get("proj_layer_type", "mlp") == "mlp",
        pool=published.get("proj_pooling_type", "spatial"),
        pool_size=(side, side, side),
        pool_ceil=False,
    )


def projector_tokens(published: Mapping[str, Any]) -> int:
    """The published `proj_out_num`; for the linear projector it is the constant 2048, whatever the sizes."""
    if published.get("mm_projector_type") == "linear":
        return 2048
    return connector_config(published).token_count(vision_config(published).grid(tuple(published["image_size"])))


def segmentation_config(published: Mapping[str, Any], vision: VisionConfig) -> SegmentationConfig:
    """SegVol from the sizes of a published config (all at their published values unless named)."""
    encoder = {"hidden_size": vision.width, **published.get("image_encoder", {})}
    two_way = published.get("two_way_transformer", {})
    names = {"hidden_size": "width", "mlp_dim": "mlp_width", "num_layers": "depth", "num_heads": "heads"}
    return SegmentationConfig(
        kind="segvol",
        settings={
            "encoder": {ours: int(encoder[theirs]) for theirs, ours in names.items() if theirs in encoder},
            "heads": int(two_way.get("num_heads", 8)),
            "depth": int(two_way.get("depth", 2)),
            "mlp_width": int(two_way.get("mlp_dim", 2048)),
            "downsample": int(two_way.get("attention_downsample_rate", 2)),
            "masks": int(published.get("num_multimask_outputs", 3)) + 1,
            "quality_width": int(published.get("iou_head_hidden_dim", 256)),
            "quality_depth": int(published.get("iou_head_depth", 3)),
        },
    )


def config(published: Mapping[str, Any]) -> VLMConfig:
    """M3D-LaMed from its published `config.json` (Llama-2 or Phi-3)."""
    sizes = dict(published.get("vision_encoder", {}))
    sizes.setdefault("hidden_size", published.get("mm_hidden_size", 768))
    places = {name: published[name] for name in ("image_size", "patch_size", "image_channel") if name in published}
    vision = vision_config({**places, **sizes})
    phi = "phi3" in str(published.get("model_type", "")) or (
        "sliding_window" in published or "resid_pdrop" in published
    )
    language = causal_settings(published)
    language.setdefault("tie_word_embeddings", False)
    if phi:
        language.setdefault("pad_token_id", None)
    segmented = "segvol" in str(published.get("segmentation_module") or "")
    if int(published.get("vision_select_layer", -1)) != -1:
        raise UsageError("vision_select_layer is not -1", "the published code reads its feature list wrongly there")
    return VLMConfig(
        vision=vision,
        connector=connector_config(published),
        language=LanguageConfig("phi3" if phi else "llama", language),
        segmentation=segmentation_config(published.get("seg_module", {}), vision) if segmented else None,
        family="m3d-lamed",
    )


def clip_config(published: Mapping[str, Any]) -> ClipConfig:
    """M3D-CLIP from its published config; the scale is multiplied as it is, never exponentiated."""
    text = dict(published.get("text_encoder", {}))
    text.setdefault("hidden_size", int(published.get("hidden_size", 768)))
    return ClipConfig(vision=vision_config(published), text_type="bert", text=text, family="m3d-clip")


# Keys ------------------------------------------------------------------------------------------------------------


def projector_rules(theirs: str, ours: str, connector: ConnectorConfig) -> tuple[Rule, ...]:
    """`projector.<i>` counts activations too where there are any."""
    step = 2 if connector.activation else 1
    spp = tuple(
        Rule(rf"{re.escape(theirs)}projector\.{i * step}\.(.*)", rf"{ours}layers.{i}.\1")
        for i in range(connector.layers)
    )
    return (*spp, Rule(re.escape(theirs) + r"linear\.(.*)", ours + r"layers.0.\1"))


def segvol_rules(theirs: str, ours: str) -> tuple[Rule, ...]:
    """SegVol's keys behind a prefix."""
    decoder, mine = re.escape(theirs) + r"mask_decoder\.", ours + "decoder."
    block = decoder + r"transformer\.layers\.(\d+)\."
    own = mine + r"blocks.\1."
    attention = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "out"}
    places = {
        "self_attn": "self_attention",
        "cross_attn_token_to_image": "to_image",
        "cross_attn_image_to_token": "to_tokens",
    }
    rules = [*vit_rules(theirs + "image_encoder.", ours + "image_encoder.")]
    for part, name in attention.items():
        rules += [Rule(rf"{block}{their}\.{part}\.(.*)", rf"{own}{our}.{name}.\2") for their, our in places.items()]
        rules.append(
            Rule(rf"{decoder}transformer\.final_attn_token_to_image\.{part}\.(.*)", rf"{mine}final_attention.{name}.\1")
        )
    return (
        *rules,
        Rule(block + r"mlp\.lin1\.(.*)", own + r"mlp.0.\2"),
        Rule(block + r"mlp\.lin2\.(.*)", own + r"mlp.2.\2"),
        Rule(block + r"(norm[1-4]\..*)", own + r"\2"),
        Rule(decoder + r"transformer\.norm_final_attn\.(.*)", mine + r"final_norm.\1"),
        Rule(decoder + r"iou_token\.weight", mine + "iou_token"),
        Rule(decoder + r"mask_tokens\.weight", mine + "mask_tokens"),
        Rule(decoder + r"output_upscaling\.(.*)", mine + r"upscaling.\1"),
        *(
            Rule(rf"{decoder}output_hypernetworks_mlps\.(\d+)\.layers\.{i}\.(.*)", rf"{mine}kernels.\1.{2 * i}.\2")
            for i in range(8)
        ),
        *(Rule(rf"{decoder}iou_prediction_head\.layers\.{i}\.(.*)", rf"{mine}quality.{2 * i}.\1") for i in range(8)),
        Rule(decoder + r"txt_align_upscaled_embedding\.(.*)", mine + r"similarity.\1"),
        Rule(re.escape(theirs) + r"prompt_encoder\.no_mask_embed\.weight", mine + "no_mask"),
        Rule(re.escape(theirs) + r"prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix", mine + "gaussian"),
    )


DEAD = (
    r".*prompt_encoder\.point_embeddings\.\d+\.weight",
    r".*prompt_encoder\.not_a_point_embed\.weight",
    r".*prompt_encoder\.mask_downscaling\..*",
)


def keys(config: VLMConfig) -> KeyMap:
    """The key map of a LaMed checkpoint."""
    return KeyMap(
        (
            *causal_rules(),
            *vit_rules("model.vision_tower.vision_tower.", "vision."),
            *projector_rules("model.mm_projector.", "connector.projection.", config.connector),
            *segvol_rules("model.seg_module.", "decoder."),
            Rule(r"model\.seg_projector\.([02])\.(.*)", r"decoder.prompt.\1.\2"),
        ),
        DEAD,
    )


def segvol_keys(prefix: str = "") -> KeyMap:
    """The key map of the segmentation module alone; SegVol's own file has the prefix `model.` and a text encoder beside."""
    return KeyMap(segvol_rules(prefix, ""), (*DEAD, r"(?:model\.)?text_encoder\..*"))


def clip_keys() -> KeyMap:
    """The key map of M3D-CLIP."""
    return KeyMap(
        (
            *vit_rules("vision_encoder.", "vision."),
            Rule(r"language_encoder\.(.*)", r"text.\1"),
            Rule(r"mm_vision_proj\.(.*)", r"vision_projection.\1"),
            Rule(r"mm_language_proj\.(.*)", r"text_projection.\1"),
            Rule("logit_scale", "logit_scale"),
        ),
        (r"language_encoder\.embeddings\.position_ids",),
    )


# Tokens ----------------------------------------------------------------------------------------------------------


def splice(ids: Tensor, tokens: int) -> Tensor:
    """Rows of the visual table for ids `[B, T]`: image i's tokens at positions 1 to n, by position and never by id."""
    visual = torch.full_like(ids, -1)
    if ids.shape[1] > 1:
        rows = torch.arange(len(ids) * tokens, device=ids.device).reshape(len(ids), tokens)
        visual[:, 1 : 1 + tokens] = rows
    return visual


def grow_rows(table: Tensor, length: int, new: int) -> Tensor:
    """An embedding or head cut or grown to `length` rows, the last `new` of them the mean of those before."""
    out = table.new_empty(length, table.shape[1])
    kept = min(length, len(table))
    out[:kept] = table[:kept]
    out[length - new :] = out[: length - new].mean(dim=0, keepdim=True)
    return out


def question_text(sample: Mapping[str, str], task: str) -> tuple[str, str]:
    """Question and answer of a VQA row: closed questions list their choices and answer letter and text."""
    if task == "vqa_open":
        return sample["q"], str(sample["a"])
    choices = " ".join(f"{letter}. {sample[letter]}" for letter in "ABCD")
    return f"{sample['q']} Choices: {choices}", f"{sample['c']}. {sample['a']}"


def placeholders(count: int, task: str) -> str:
    """What stands before the question: the placeholders, and a space unless the task is captioning."""
    return "<im_patch>" * count + ("" if task == "caption" else " ")


# Preprocessing and answers ----------------------------------------------------------------------------------------


def view(volume: NDArray[np.float32], shape: Size3 = VOLUME) -> Tensor:
    """A volume `[z, y, x]` as the model's `[1, *shape]`: min-max to 0..1, crop to what is above 0, resize trilinearly."""
    scaled = volume - volume.min()
    scaled = (scaled / max(float(scaled.max()), 1e-8))[crop(volume)]
    tensor = torch.from_numpy(np.ascontiguousarray(scaled, dtype=np.float32))[None, None]
    return F.interpolate(tensor, size=shape, mode="trilinear", align_corners=False)[0]


def crop(volume: NDArray[np.float32]) -> tuple[slice, ...]:
    """The part of a volume that the view shows: the box of what is above the least value."""
    places = np.argwhere(volume > volume.min())
    if not len(places):
        return tuple(slice(0, n) for n in volume.shape)
    return tuple(slice(int(a), int(b) + 1) for a, b in zip(places.min(axis=0), places.max(axis=0), strict=True))


def look(pixels: NDArray[Any], modality: str, config: VLMConfig) -> Tensor:
    """The view of any volume; CT is clipped to -1000..1000 HU first (training saw windowed pictures)."""
    return view(windowed(pixels, modality), config.vision.size)


def part(pixels: NDArray[Any], modality: str, config: VLMConfig) -> Shown:
    """The part of a volume that `look` shows."""
    del config
    return tuple((edge.start, edge.stop) for edge in crop(windowed(pixels, modality)))


def windowed(pixels: NDArray[Any], modality: str) -> NDArray[np.float32]:
    """The volume, CT clipped."""
    volume = need_volume(pixels)
    return np.clip(volume, -1000, 1000) if modality == "CT" else volume


BOX = re.compile(r"\[(\d+(?:\.\d+)?(?:, *\d+(?:\.\d+)?){5})\]")


def boxes_in_text(text: str, shape: Size3 = VOLUME) -> list[NDArray[np.float32]]:
    """Boxes that an answer spells (first and last index along z, y, x as fractions), as half-open voxel boxes."""
    boxes = []
    for found in BOX.findall(text):
        values = np.array([float(value) for value in found.split(",")], dtype=np.float32)
        voxels = np.round(values * np.array([*shape, *shape], dtype=np.float32))
        voxels[3:] += 1
        boxes.append(voxels)
    return boxes


# The processor ----------------------------------------------------------------------------------------------------


def vocabulary(codec: Codec) -> Vocabulary:
    """The base tokenizer and the four tokens that M3D adds behind it, if its file does not hold them already.

    Llama-2's pad is its unknown token, Phi-3's its end token (`<|endoftext|>`).
    """
    names = codec.names()
    base = names.get(NEW_TOKENS[0], codec.size)
    end = names.get("<|endoftext|>", names.get("</s>", 2))
    special = {
        "bos": names.get("<s>", 1),
        "eos": end,
        "pad": end if "<|endoftext|>" in names else names.get("<unk>", 0),
    }
    added = {"image": base, "bx_start": base + 1, "bx_end": base + 2, "seg": base + 3}
    return Vocabulary(codec, {**special, **added})


def clip_vocabulary(codec: Codec) -> Vocabulary:
    """BERT's tokenizer for M3D-CLIP."""
    names = codec.names()
    return Vocabulary(
        codec, {"bos": names.get("[CLS]", 101), "eos": names.get("[SEP]", 102), "pad": names.get("[PAD]", 0)}
    )


class M3DProcessor(Processor):
    """Begin token, 256 placeholders, a space, the question; a space, the answer, the end token. One image, in front.

    A region that is given is spelled as a box, as in the published referring tasks; a mask is asked with `[SEG]`.
    """

    def _encode(self, turns: Sequence[Turn], shapes: Sequence[Size3], open_answer: bool) -> Encoded:
        pieces: list[Part] = []
        answers: list[tuple[int, int]] = []
        for turn in turns:
            begin = len(pieces)
            pieces += [part if n or not isinstance(part, str) else f" {part}" for n, part in enumerate(texts_of(turn))]
            answers += [(begin, len(pieces))] if turn.role == "assistant" else []
        out = Encoded()
        out.add([self.special["bos"]], learn=False)
        images = [part for turn in turns for part in turn.parts if isinstance(part, ImagePart)]
        if len(images) > 1:
            raise UsageError(
                f"{len(images)} images in one conversation", "this model reads one", "ask about each alone"
            )
        for part in images:
            count = self.image_tokens(shapes[part.image])
            out.image_at.append((1, part.image, count))
            out.add([self.special["image"]] * count, learn=False)
        out.prefix_length = len(out.ids)
        self._write_pieces(pieces, answers, shapes, out)
        del open_answer  # an answer follows its question without any sign
        return out

    def _write_pieces(
        self, pieces: list[Part], answers: list[tuple[int, int]], shapes: Sequence[Size3], out: Encoded
    ) -> None:
        """Texts that stand together are tokenised together; labels start where the question alone would end."""
        begin, cuts = len(out.ids), {}
        for stop in sorted({place for span in answers for place in span}):
            cuts[stop] = len(self._ids(pieces[:stop], shapes, None))
        out.add(self._ids(pieces, shapes, out), learn=False)
        for first, last in answers:
            span = slice(begin + cuts[first], begin + cuts[last])
            out.labels[span] = out.ids[span]
        if answers and answers[-1][1] == len(pieces):
            out.add([self.special["eos"]], learn=True)

    def _ids(self, pieces: Sequence[Part], shapes: Sequence[Size3], out: Encoded | None) -> list[int]:
        ids: list[int] = []
        text = ""
        offset = len(out.ids) if out is not None else 0
        for piece in pieces:
            if isinstance(piece, str):
                text += piece
                continue
            ids, text = ids + (self.vocabulary.encode(text) if text else []), ""
            if isinstance(piece, Pointer) and piece.kind == "mask":
                if out is not None:
                    out.pointers.append((offset + len(ids), piece))
                ids.append(self.special["seg"])
            elif isinstance(piece, RegionPart | Pointer):
                spelled = self.vocabulary.encode(box_text(piece, shapes[piece.image]))
                ids += [self.special["bx_start"], *spelled, self.special["bx_end"]]
        return ids + (self.vocabulary.encode(text) if text else [])

    def boxes_in(self, text: str, shape: Size3) -> list[NDArray[np.float32]]:
        return boxes_in_text(text, shape)


def texts_of(turn: Turn) -> list[Part]:
    """A turn's parts without its images."""
    return [part for part in turn.parts if not isinstance(part, ImagePart)]


def box_text(part: RegionPart | Pointer, shape: Size3) -> str:
    """A region's box as the published text: first and last index over the axis length, three decimals.

    Raises:
        UsageError: the region has neither box nor mask.
    """
    if part.box_zyx is not None:
        first, last = np.asarray(part.box_zyx[:3]), np.asarray(part.box_zyx[3:]) - 1
    elif part.mask is not None and np.any(part.mask):
        places = np.argwhere(part.mask)
        first, last = places.min(axis=0), places.max(axis=0)
    else:
        raise UsageError("a region has neither mask nor box", "the model must know where it is")
    values = [round(float(v) / n, 3) for corner in (first, last) for v, n in zip(corner, shape, strict=True)]
    return str(values)
