"""Our own model sizes, as functions that return a config; `create` builds one with a vocabulary of its own.

nano trains in minutes on two CPU cores, small on one consumer GPU, base on a data-centre GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from radfoundry.model.config import (
    ConnectorConfig,
    LanguageConfig,
    SegmentationConfig,
    Size3,
    StemLevel,
    VisionConfig,
    VLMConfig,
)
from radfoundry.model.processor import Processor
from radfoundry.model.vlm import VLM

__all__ = ["PRESETS", "base", "create", "nano", "small"]


def nano(vocabulary: int = 1024, size: Size3 = (32, 64, 64)) -> VLMConfig:
    """About 1.8 million parameters, 1.9 with names; views around 32 x 64 x 64, 8 tokens each and one a thing found."""
    return VLMConfig(
        vision=_vision((24, 48, 96), size, width=96, depth=2, heads=4),
        connector=ConnectorConfig(kind="mlp", layers=2, pool="spatial", pool_size=(4, 4, 4)),
        language=_qwen3(vocabulary, width=128, layers=4, heads=4, key_heads=2, head_width=32, mlp=384, tied=True),
        segmentation=SegmentationConfig(channels=16, hidden=8, width=48),
        name="nano",
    )


def small(vocabulary: int = 32768, size: Size3 = (64, 192, 192)) -> VLMConfig:
    """About 164 million parameters; views around 64 x 192 x 192, 144 tokens each and one a thing found."""
    return VLMConfig(
        vision=_vision((32, 64, 128, 256), size, width=512, depth=8, heads=8),
        connector=ConnectorConfig(kind="mlp", layers=2, pool="spatial", pool_size=(2, 2, 2)),
        language=_qwen3(vocabulary, width=768, layers=16, heads=12, key_heads=4, head_width=64, mlp=2304, tied=True),
        segmentation=SegmentationConfig(channels=24, hidden=16, width=128),
        name="small",
    )


def base(vocabulary: int = 65536, size: Size3 = (96, 256, 256)) -> VLMConfig:
    """About 0.85 billion parameters; views around 96 x 256 x 256, 256 tokens each and one a thing found."""
    return VLMConfig(
        vision=_vision((48, 96, 192, 384), size, width=768, depth=12, heads=12),
        connector=ConnectorConfig(kind="mlp", layers=2, pool="spatial", pool_size=(3, 2, 2)),
        language=_qwen3(vocabulary, width=1536, layers=24, heads=12, key_heads=4, head_width=128, mlp=4608, tied=True),
        segmentation=SegmentationConfig(channels=32, hidden=16, width=192),
        name="base",
    )


_MORE_THINGS = 12  # than names: pieces of a name that comes more than once

PRESETS: dict[str, Callable[..., VLMConfig]] = {"nano": nano, "small": small, "base": base}


def create(
    preset: Callable[..., VLMConfig], texts: Iterable[str], vocabulary: int = 1024, names: Sequence[str] = ()
) -> tuple[VLM, Processor]:
    """Build a fresh model of a preset and its processor, with a vocabulary learned from texts.

    names: what the decoder shall mark without being asked; every thing of them that it finds is a token of its own.
    """
    words = Processor.train_tokenizer(texts, vocabulary)
    config = preset(words.size)
    if names and config.segmentation is not None:
        things = -(-(len(names) + _MORE_THINGS) // 8) * 8
        config = replace(config, segmentation=replace(config.segmentation, names=tuple(names), things=things))
    return VLM(config), Processor.for_model(words, config)


def _vision(channels: tuple[int, ...], size: Size3, width: int, depth: int, heads: int) -> VisionConfig:
    """A stem that halves the plane once more than the depth, so that thin-slice detail survives."""
    strides = ((1, 2, 2), *((2, 2, 2),) * (len(channels) - 1))
    return VisionConfig(
        size=size,
        width=width,
        depth=depth,
        heads=heads,
        mlp_width=3 * width,
        embedding="stem",
        places=True,
        stem=tuple(StemLevel(count, stride) for count, stride in zip(channels, strides, strict=True)),
    )


def _qwen3(
    vocabulary: int, *, width: int, layers: int, heads: int, key_heads: int, head_width: int, mlp: int, tied: bool
) -> LanguageConfig:
    return LanguageConfig(
        model_type="qwen3",
        settings={
            "vocab_size": vocabulary,
            "hidden_size": width,
            "intermediate_size": mlp,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": key_heads,
            "head_dim": head_width,
            "max_position_embeddings": 32768,
            "tie_word_embeddings": tied,
            "rms_norm_eps": 1e-6,
        },
    )
