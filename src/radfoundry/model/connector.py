"""From encoder tokens to language-model tokens.

Shapes: B images, N tokens of the encoder, M tokens for the language model, C encoder width, D language-model width.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel

from radfoundry.errors import UsageError
from radfoundry.model.config import ConnectorConfig
from radfoundry.model.vision import VisionFeatures

__all__ = ["Connector", "PerceiverResampler", "QueryTransformer", "pool_tokens"]


def pool_tokens(features: VisionFeatures, config: ConnectorConfig) -> Tensor:
    """Shorten the token sequence as `config.pool` says: `[B, N, C]` -> `[B, M, C or C * run]`."""
    tokens = features.tokens if config.keep_class else features.patches
    run = config.pool_size[0] * config.pool_size[1] * config.pool_size[2]
    if config.pool == "none":
        return tokens
    if config.pool == "spatial":
        kernel = [min(pair) for pair in zip(config.pool_size, features.grid, strict=True)]
        grid = features.as_map().to(torch.promote_types(tokens.dtype, torch.float32))  # a CPU pools no bfloat16
        pooled = F.avg_pool3d(grid, kernel, ceil_mode=config.pool_ceil).to(tokens.dtype)
        return pooled.flatten(2).transpose(1, 2)
    tokens = tokens[:, : tokens.shape[1] // run * run]
    groups = tokens.reshape(tokens.shape[0], -1, run, tokens.shape[2])
    if config.pool == "sequence":
        return groups.mean(dim=2)
    return (groups if config.pool == "fold" else groups.transpose(2, 3)).flatten(2)


class Projection(nn.Module):
    """Linear layers, with an exact GELU between them unless the config says otherwise."""

    def __init__(self, config: ConnectorConfig, inward: int, outward: int) -> None:
        super().__init__()
        run = config.pool_size[0] * config.pool_size[1] * config.pool_size[2]
        inward = inward * run if config.pool.startswith("fold") else inward
        count = 1 if config.kind == "linear" else config.layers
        widths = [inward, *[config.hidden or outward] * (count - 1), outward]
        self.layers = nn.ModuleList(nn.Linear(widths[i], widths[i + 1]) for i in range(count))
        self.activation, self.last = config.activation, config.activation_last

    def forward(self, tokens: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            tokens = layer(F.gelu(tokens) if i and self.activation else tokens)
        return F.gelu(tokens) if self.last else tokens


class PerceiverResampler(nn.Module):
    """Learned latents that read an image's tokens in turns of cross-attention and feed-forward (RadFM; no biases)."""

    def __init__(self, config: ConnectorConfig, width: int) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(config.latents, width))
        self.layers = nn.ModuleList(PerceiverLayer(config, width) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """`[B, N, C]` -> `[B, latents, C]`."""
        latents = self.latents.expand(tokens.shape[0], -1, -1)
        for layer in self.layers:
            latents = layer(tokens, latents)
        return cast(Tensor, self.norm(latents))


class PerceiverLayer(nn.Module):
    """Latents attend to the image tokens and to themselves, then go through a feed-forward."""

    def __init__(self, config: ConnectorConfig, width: int) -> None:
        super().__init__()
        inner = config.heads * config.head_width
        self.heads = config.heads
        self.norm_media, self.norm_latents = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query = nn.Linear(width, inner, bias=False)
        self.key_value = nn.Linear(width, 2 * inner, bias=False)
        self.out = nn.Linear(inner, width, bias=False)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width * config.mlp_ratio, bias=False),
            nn.GELU(),
            nn.Linear(width * config.mlp_ratio, width, bias=False),
        )

    def forward(self, media: Tensor, latents: Tensor) -> Tensor:
        normed = self.norm_latents(latents)
        query = self.query(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        both = self.key_value(torch.cat([self.norm_media(media), normed], dim=1))
        key, value = both.unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        latents = latents + self.out(mixed.transpose(1, 2).flatten(2))
        return cast(Tensor, latents + self.feed_forward(latents))


class QueryTransformer(nn.Module):
    """BLIP-2's Q-Former without its text parts: learned queries that attend to the image in every other layer."""

    def __init__(self, config: ConnectorConfig, width: int) -> None:
        super().__init__()
        settings = Blip2QFormerConfig(encoder_hidden_size=width, **config.settings)
        self.queries = nn.Parameter(torch.zeros(1, config.latents, settings.hidden_size))
        self.qformer = Blip2QFormerModel(settings)

    def forward(self, tokens: Tensor) -> Tensor:
        """`[B, N, C]` -> `[B, queries, width]`."""
        queries = self.queries.expand(tokens.shape[0], -1, -1)
        return cast(Tensor, self.qformer(query_embeds=queries, encoder_hidden_states=tokens).last_hidden_state)


class Connector(nn.Module):
    """Pool or resample, then project: `VisionFeatures` -> `[B, M, D]`."""

    def __init__(self, config: ConnectorConfig, inward: int, outward: int) -> None:
        super().__init__()
        self.config = config
        self.resampler: nn.Module = nn.Identity()
        self.projection: nn.Module = nn.Identity()
        if config.kind == "perceiver":
            self.resampler = PerceiverResampler(config, inward)
            self.projection = nn.Linear(inward, outward)
        elif config.kind == "qformer":
            self.resampler = QueryTransformer(config, inward)
            self.projection = nn.Linear(int(config.settings["hidden_size"]), outward)
        elif config.kind in ("linear", "mlp"):
            self.projection = Projection(config, inward, outward)
        elif config.kind != "identity":
            raise UsageError(
                f"no connector of kind {config.kind!r}", "known: linear, mlp, identity, perceiver, qformer"
            )

    def forward(self, features: VisionFeatures) -> Tensor:
        if self.config.order == "yxz":
            features = replace(
                features, tokens=features.as_map().permute(0, 3, 4, 2, 1).flatten(1, 3), class_token=False
            )
        return cast(Tensor, self.projection(self.resampler(pool_tokens(features, self.config))))
