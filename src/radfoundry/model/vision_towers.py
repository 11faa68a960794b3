"""Picture encoders of transformers behind our features: CLIP (with S2 multi-scale) and Swin. Pictures are `[B, C, 1, y, x]`."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel, SwinConfig, SwinModel

from radfoundry.errors import UsageError
from radfoundry.model.config import VisionConfig
from radfoundry.model.vision import VisionFeatures

__all__ = ["ClipTower", "SwinTower", "multi_scale"]


class ClipTower(nn.Module):
    """CLIP's image transformer up to the last block but one, as LLaVA reads it; S2 where the config has scales."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        settings = dict(config.settings)
        self.layer = int(settings.pop("select_layer", -2))
        self.clip = CLIPVisionModel(CLIPVisionConfig(**settings))

    def forward(self, volume: Tensor) -> VisionFeatures:
        """Encode pictures; with scales they may have any square size, else the config's."""
        picture = volume[:, :, 0]
        grid = self.config.grid((1, picture.shape[2], picture.shape[3]))
        if not self.config.scales:
            return VisionFeatures(self.tower(picture), grid, class_token=True)
        maps = multi_scale(picture, self.config.scales, lambda tiles: self.tower(tiles)[:, 1:])
        return VisionFeatures(maps.flatten(2).transpose(1, 2), grid)

    def tower(self, picture: Tensor) -> Tensor:
        """Hidden states before the last block (or the layer set) `[B, 1 + N, C]`, class token first, without the final norm."""
        states: Tensor = self.clip(picture, output_hidden_states=True).hidden_states[self.layer]
        return states


def multi_scale(picture: Tensor, scales: tuple[int, ...], encode: Callable[[Tensor], Tensor]) -> Tensor:
    """S2 features `[B, C * scales, y, x]` of square pictures at ascending scales (Shi et al. 2024).

    Each scale is a bicubic resize without antialiasing, cut into tiles of the smallest scale (tile-major batches), encoded,
    joined to one map and averaged down to the smallest map.

    Raises:
        UsageError: the picture is not square.
    """
    if picture.shape[2] != picture.shape[3]:
        raise UsageError(f"a picture of {picture.shape[2]}x{picture.shape[3]}", "S2 takes square pictures", "pad it")
    maps = []
    for scale in scales:
        count = scale // scales[0]
        tiles = cut_tiles(resize_bicubic(picture, scale), count)
        maps.append(join_tiles(encode(tiles), count))
    size = maps[0].shape[2:]
    return torch.cat([maps[0], *(F.interpolate(m, size=size, mode="area") for m in maps[1:])], dim=1)


def resize_bicubic(picture: Tensor, side: int) -> Tensor:
    """Bicubic in float32 with half-pixel centres and no antialiasing, also when the size is already right."""
    resized = F.interpolate(picture.float(), size=(side, side), mode="bicubic", align_corners=False)
    return resized.to(picture.dtype)


def cut_tiles(picture: Tensor, count: int) -> Tensor:
    """`count` x `count` tiles of pictures `[B, C, y, x]`; tile row, tile column, then picture along the batch."""
    batch, channels, side, _ = picture.shape
    tiles = picture.reshape(batch, channels, count, side // count, count, side // count)
    return tiles.permute(2, 4, 0, 1, 3, 5).reshape(-1, channels, side // count, side // count)


def join_tiles(tokens: Tensor, count: int) -> Tensor:
    """Tokens of tiles `[tiles, N, C]` as one map per picture `[B, C, y, x]`."""
    n = round(tokens.shape[1] ** 0.5)
    parts = tokens.transpose(1, 2).reshape(count, count, -1, tokens.shape[2], n, n)
    return parts.permute(2, 3, 0, 4, 1, 5).reshape(parts.shape[2], -1, count * n, count * n)


class SwinTower(nn.Module):
    """MedCLIP's Swin: patch states after the last norm, or their projected mean ("pooled", not L2-normalised)."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        settings = dict(config.settings)
        self.pooled = settings.pop("reading", "patches") == "pooled"
        projection = int(settings.pop("proj_dim", 512))
        self.swin = SwinModel(SwinConfig(**settings), add_pooling_layer=False)
        width = int(self.swin.num_features)
        self.projection = nn.Linear(width, projection, bias=False)

    def forward(self, volume: Tensor) -> VisionFeatures:
        """Encode pictures; one channel is repeated to three."""
        states = self.patches(volume[:, :, 0])
        if self.pooled:
            return VisionFeatures(self.project(states)[:, None], (1, 1, 1))
        return VisionFeatures(states, self.config.grid((1, volume.shape[3], volume.shape[4])))

    def patches(self, picture: Tensor) -> Tensor:
        """Patch states after the final norm `[B, N, C]`."""
        states: Tensor = self.swin(picture.expand(-1, 3, -1, -1)).last_hidden_state
        return states

    def project(self, states: Tensor) -> Tensor:
        """The projected mean `[B, P]`; MedCLIP's contrast divides it by its length."""
        projected: Tensor = self.projection(states.mean(dim=1))
        return projected
