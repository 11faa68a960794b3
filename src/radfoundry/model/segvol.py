"""The promptable decoder of M3D-LaMed (SegVol, reduced): a text state in, one mask of a whole volume out.

It has an image encoder of its own. Published behaviour, kept exactly: the first block's self-attention replaces the
tokens, the last norm of the upscaling has a weight per channel *and* place (so the module is tied to one volume size),
and the prompt is used twice, as a token and as a similarity added to every mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radfoundry.errors import UsageError
from radfoundry.model.config import SegmentationConfig, Size3, VisionConfig
from radfoundry.model.vision import VisionTransformer

__all__ = ["SegVol", "VolumeMaps"]


@dataclass(frozen=True)
class VolumeMaps:
    """One volume encoded for any number of prompts."""

    tokens: Tensor
    """`[N, C]`"""
    shape: Size3


class SegVol(nn.Module):
    """Prompt states `[Q, D]` and an encoded volume to mask logits `[Q, z, y, x]`."""

    def __init__(self, config: SegmentationConfig, vision: VisionConfig, prompt_width: int) -> None:
        super().__init__()
        settings = config.settings
        encoder = replace(vision, class_token=False, **settings.get("encoder", {}))
        self.size, self.grid = encoder.size, encoder.grid(encoder.size)
        self.image_encoder = VisionTransformer(encoder)
        self.prompt = nn.Sequential(
            nn.Linear(prompt_width, prompt_width), nn.ReLU(), nn.Linear(prompt_width, encoder.width), nn.Dropout(0.1)
        )
        self.prompt_width = prompt_width
        self.decoder = MaskDecoder(encoder.width, self.grid, settings)

    def decode(self, volume: Tensor) -> list[VolumeMaps]:
        """Encode a batch of volumes `[B, C, z, y, x]`.

        Raises:
            UsageError: another size than the module was made for.
        """
        shape = cast(Size3, tuple(volume.shape[2:]))
        if shape != self.size:
            raise UsageError(
                f"a view of {shape} voxels, but this segmentation module was made for {self.size}",
                "one of its norms has a weight for every place of the volume",
                "resample the view",
            )
        return [VolumeMaps(tokens, shape) for tokens in self.image_encoder(volume).tokens]

    def masks(self, maps: VolumeMaps, prompts: Tensor) -> Tensor:
        """Mask logits for hidden states `[Q, D]`; a state of zeros stands for "no state" and skips the projector."""
        return self.masks_of(maps.tokens.expand(len(prompts), -1, -1), self.project(prompts), maps.shape)

    def project(self, states: Tensor) -> Tensor:
        """Hidden states to prompts; where there is no state (all zeros) the prompt itself is zero."""
        present = states.abs().sum(dim=-1, keepdim=True) > 0
        return torch.where(present, self.prompt(states), 0)

    def masks_of(self, tokens: Tensor, prompts: Tensor, shape: Size3) -> Tensor:
        """Mask logits `[Q, z, y, x]` from image tokens `[Q, N, C]` and prompts `[Q, C]`."""
        low, _ = self.decoder(tokens, prompts[:, None], prompts)
        return F.interpolate(low[:, :1], size=shape, mode="trilinear", align_corners=False)[:, 0]


class MaskDecoder(nn.Module):
    """Prompt encoder and mask decoder: tokens and prompt to four masks and their estimated quality."""

    def __init__(self, width: int, grid: Size3, settings: dict[str, int]) -> None:
        super().__init__()
        self.grid = grid
        heads, masks = settings["heads"], settings.get("masks", 4)
        self.register_buffer("gaussian", torch.zeros(3, width // 2))
        self.no_mask = nn.Parameter(torch.zeros(1, width))
        self.iou_token = nn.Parameter(torch.zeros(1, width))
        self.mask_tokens = nn.Parameter(torch.zeros(masks, width))
        narrow = settings.get("downsample", 2)
        self.blocks = nn.ModuleList(
            TwoWayBlock(width, heads, settings["mlp_width"], narrow, first=i == 0) for i in range(settings["depth"])
        )
        self.final_attention = CrossAttention(width, heads, narrow)
        self.final_norm = nn.LayerNorm(width)
        upscaled = (width // 4, *(2 * n for n in grid))
        self.upscaling = nn.Sequential(
            nn.ConvTranspose3d(width, width // 4, 2, stride=2),
            nn.LayerNorm(upscaled),
            nn.GELU(),
            nn.ConvTranspose3d(width // 4, width // 8, 2, stride=2),
            nn.GELU(),
        )
        self.kernels = nn.ModuleList(relu_mlp(width, width, width // 8, 3) for _ in range(masks))
        self.similarity = nn.Linear(width, width // 8)
        self.quality = relu_mlp(width, settings["quality_width"], masks, settings.get("quality_depth", 3))

    def position_code(self) -> Tensor:
        """Fourier code of the grid `[1, C, z, y, x]`; the Gaussian's rows multiply y, z, x in this order."""
        z, y, x = ((torch.arange(n, device=self.no_mask.device) + 0.5) / n for n in self.grid)
        places = torch.meshgrid(z, y, x, indexing="ij")
        code = 2 * torch.stack([places[1], places[0], places[2]], dim=-1) - 1
        gaussian = cast(Tensor, self.gaussian)
        angle = 2 * math.pi * (code.to(gaussian.dtype) @ gaussian)
        return torch.cat([angle.sin(), angle.cos()], dim=-1).permute(3, 0, 1, 2)[None]

    def forward(self, tokens: Tensor, sparse: Tensor, text: Tensor | None) -> tuple[Tensor, Tensor]:
        """Masks `[Q, masks, 4z, 4y, 4x]` and qualities `[Q, masks]`; `sparse` is `[Q, P, C]`, `text` `[Q, C]`."""
        own = torch.cat([self.iou_token, self.mask_tokens])
        queries = start = torch.cat([own.expand(len(tokens), -1, -1), sparse], dim=1)
        code = self.position_code().flatten(2).transpose(1, 2)
        image = tokens + self.no_mask
        for block in self.blocks:
            queries, image = block(queries, image, start, code)
        queries = queries + self.final_attention(queries + start, image + code, image)
        queries = self.final_norm(queries)
        maps = self.upscaling(image.transpose(1, 2).reshape(len(tokens), -1, *self.grid))
        kernels = torch.stack([kernel(queries[:, i + 1]) for i, kernel in enumerate(self.kernels)], dim=1)
        masks = (kernels @ maps.flatten(2)).reshape(len(tokens), -1, *maps.shape[2:])
        if text is not None:
            similar = self.similarity(text)[:, None] @ maps.flatten(2)
            masks = masks + similar.reshape(len(tokens), 1, *maps.shape[2:])
        return masks, self.quality(queries[:, 0])


class CrossAttention(nn.Module):
    """Attention with separate projections and a narrower inner width."""

    def __init__(self, width: int, heads: int, narrow: int = 1) -> None:
        super().__init__()
        inner = width // narrow
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, inner) for _ in range(3))
        self.out = nn.Linear(inner, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        pairs = ((self.query, query), (self.key, key), (self.value, value))
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer, x in pairs)
        return cast(Tensor, self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)))


class TwoWayBlock(nn.Module):
    """Tokens attend to themselves and the image, then the image to the tokens; post-norm, ReLU."""

    def __init__(self, width: int, heads: int, mlp_width: int, narrow: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attention = CrossAttention(width, heads)
        self.to_image, self.to_tokens = CrossAttention(width, heads, narrow), CrossAttention(width, heads, narrow)
        self.mlp = nn.Sequential(nn.Linear(width, mlp_width), nn.ReLU(), nn.Linear(mlp_width, width))
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(width) for _ in range(4))

    def forward(self, queries: Tensor, image: Tensor, start: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        if self.first:
            queries = self.self_attention(queries, queries, queries)
        else:
            placed = queries + start
            queries = queries + self.self_attention(placed, placed, queries)
        queries = self.norm1(queries)
        queries = self.norm2(queries + self.to_image(queries + start, image + code, image))
        queries = self.norm3(queries + self.mlp(queries))
        image = self.norm4(image + self.to_tokens(image + code, queries + start, queries))
        return queries, image


def relu_mlp(inward: int, hidden: int, outward: int, layers: int) -> nn.Sequential:
    """Linear layers with a ReLU between them."""
    widths = [inward] + [hidden] * (layers - 1) + [outward]
    parts: list[nn.Module] = []
    for i in range(layers):
        parts += [nn.Linear(widths[i], widths[i + 1]), nn.ReLU()]
    return nn.Sequential(*parts[:-1])
