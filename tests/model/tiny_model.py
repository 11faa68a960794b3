"""A model small enough that every test here runs in well under a second."""

from __future__ import annotations

from dataclasses import replace

from radfoundry.model import VLMConfig, nano

TEXTS = ["There is a nodule in the left lung.", "Is there an effusion? yes no", "The heart is enlarged."] * 4
SHAPE = (8, 16, 16)


def tiny(vocabulary: int) -> VLMConfig:
    config = nano(vocabulary, SHAPE)
    vision = replace(config.vision, width=24, depth=1, heads=2, mlp_width=32)
    settings = {
        **config.language.settings,
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "intermediate_size": 32,
        "head_dim": 8,
    }
    return replace(config, vision=vision, language=replace(config.language, settings=settings))
