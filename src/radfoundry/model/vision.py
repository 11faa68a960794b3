"""Volumes and pictures to a grid of tokens: one pre-norm transformer, configured to be each published encoder.

Axes: volumes `[batch, channel, z, y, x]`, a picture has z = 1; tokens `[batch, token, width]`, z slowest, x fastest.
Names in shapes: B batch, N tokens, C width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radfoundry.errors import UsageError
from radfoundry.model.config import Size3, VisionConfig

__all__ = [
    "Block", "ConvolutionalStem", "VisionFeatures", "VisionTransformer", "build_vision", "convolution", "resize_positions",
]  # fmt: skip


@dataclass(frozen=True)
class VisionFeatures:
    """What an encoder knows of a batch of images of one shape."""

    tokens: Tensor
    """`[B, N, C]`; the class token, if there is one, comes first."""
    grid: Size3
    skips: tuple[Tensor, ...] = ()
    """The volume and the maps of the convolutional stem, finest first: `[B, channels, z, y, x]`."""
    class_token: bool = False

    @property
    def patches(self) -> Tensor:
        """The tokens of the grid, without the class token."""
        return self.tokens[:, 1:] if self.class_token else self.tokens

    def as_map(self) -> Tensor:
        """The grid tokens as `[B, C, z, y, x]`."""
        tokens = self.patches
        return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, *self.grid)

    @classmethod
    def join(cls, parts: list[VisionFeatures]) -> VisionFeatures:
        """The features of images of one shape as one batch."""
        skips = tuple(torch.cat(level) for level in zip(*(part.skips for part in parts), strict=True))
        return cls(torch.cat([part.tokens for part in parts]), parts[0].grid, skips, parts[0].class_token)

    def image(self, index: int) -> VisionFeatures:
        """The features of one image of the batch, batch axis kept."""
        pick = slice(index, index + 1)
        return VisionFeatures(self.tokens[pick], self.grid, tuple(skip[pick] for skip in self.skips), self.class_token)


class Attention(nn.Module):
    """Self-attention over all tokens; the inner width may differ from the token width (RadFM)."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        inner = config.heads * (config.head_width or config.width // config.heads)
        self.qkv = nn.Linear(config.width, 3 * inner, bias=config.qkv_bias)
        self.out = nn.Linear(inner, config.width)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return cast(Tensor, self.out(mixed.transpose(1, 2).flatten(2)))


class Block(nn.Module):
    """Pre-norm transformer block with an exact GELU."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.attention = Attention(config)
        self.norm2 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.mlp = nn.Sequential(
            nn.Linear(config.width, config.mlp_width), nn.GELU(), nn.Linear(config.mlp_width, config.width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.norm1(tokens))
        return cast(Tensor, tokens + self.mlp(self.norm2(tokens)))


class PatchEmbedding(nn.Module):
    """Non-overlapping patches through a linear layer, optionally between two norms.

    Values inside a patch are ordered z, y, x, channel. A picture (z = 1) is repeated to the depth of a patch.
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.patch = config.patch
        size = config.channels * config.patch[0] * config.patch[1] * config.patch[2]
        normed = config.embedding == "normed"
        self.norm_in = nn.LayerNorm(size, eps=config.norm_eps) if normed else nn.Identity()
        self.linear = nn.Linear(size, config.width)
        self.norm_out = nn.LayerNorm(config.width, eps=config.norm_eps) if normed else nn.Identity()

    def forward(self, volume: Tensor) -> tuple[Tensor, Size3, tuple[Tensor, ...]]:
        pz, py, px = self.patch
        if volume.shape[2] == 1 and pz > 1:
            volume = volume.expand(-1, -1, pz, -1, -1)
        batch, channels, depth, height, width = volume.shape
        if depth % pz or height % py or width % px:
            raise UsageError(
                f"a volume of {depth}x{height}x{width} voxels does not divide into patches of {pz}x{py}x{px}",
                "the encoder cuts the volume into whole patches",
                "resample or pad the view to a multiple of the patch",
            )
        grid = (depth // pz, height // py, width // px)
        patches = volume.reshape(batch, channels, grid[0], pz, grid[1], py, grid[2], px)
        patches = patches.permute(0, 2, 4, 6, 3, 5, 7, 1).reshape(batch, grid[0] * grid[1] * grid[2], -1)
        return self.norm_out(self.linear(self.norm_in(patches))), grid, ()


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each voxel: a crop of a volume gives what the volume gives there."""

    def forward(self, maps: Tensor) -> Tensor:
        """`[B, C, z, y, x]`."""
        return super().forward(maps.permute(0, 2, 3, 4, 1)).permute(0, 4, 1, 2, 3)


def convolution(inward: int, outward: int, stride: Size3 = (1, 1, 1)) -> nn.Sequential:
    """A 3x3x3 convolution, a norm, an exact GELU."""
    return nn.Sequential(nn.Conv3d(inward, outward, 3, stride=stride, padding=1), ChannelNorm(outward), nn.GELU())


class ConvolutionalStem(nn.Module):
    """Levels of two 3x3x3 convolutions, the first strided; the volume and all maps are kept for the mask decoder. Any size goes in."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.inputs = config.inputs
        levels, inward = [], config.inputs
        for level in config.stem:
            levels.append(
                nn.Sequential(
                    convolution(inward, level.channels, level.stride), convolution(level.channels, level.channels)
                )
            )
            inward = level.channels
        self.levels = nn.ModuleList(levels)
        self.out = nn.Linear(inward, config.width)

    def forward(self, volume: Tensor) -> tuple[Tensor, Size3, tuple[Tensor, ...]]:
        maps = self.maps(volume)
        grid = cast(Size3, tuple(maps[-1].shape[2:]))
        return self.tokens(maps), grid, maps

    def maps(self, volume: Tensor) -> tuple[Tensor, ...]:
        """The volume and every level's map, finest first."""
        if volume.shape[1] == self.inputs - 3:
            volume = torch.cat([volume, unsaid_places(volume)], dim=1)
        # channels last is twice as fast on a CPU and is what tensor cores want
        maps = [volume.contiguous(memory_format=torch.channels_last_3d)]
        for level in self.levels:
            maps.append(level(maps[-1]))
        return tuple(maps)

    def tokens(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The coarsest map as tokens `[B, N, C]`."""
        return cast(Tensor, self.out(maps[-1].flatten(2).transpose(1, 2)))


def places(shape: Size3, steps: tuple[float, float, float]) -> Tensor:
    """Where each voxel of `shape` lies from the middle, `steps` apart along z, y, x: float32 `[3, z, y, x]`."""
    axes = [(torch.arange(n, dtype=torch.float64) - (n - 1) / 2) * step for n, step in zip(shape, steps, strict=True)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).float()


def unsaid_places(volume: Tensor) -> Tensor:
    """Where each voxel of `[B, C, z, y, x]` lies, where nothing says it: the longest side is taken to be 350 mm (3.5 units)."""
    shape = cast(Size3, tuple(volume.shape[2:]))
    step = 3.5 / max(shape)
    return places(shape, (step, step, step)).to(volume).expand(volume.shape[0], -1, -1, -1, -1)


class TablePositions(nn.Module):
    """One learned row per grid cell, interpolated when the grid is another one."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.grid = config.grid(config.size)
        self.class_row = config.class_token and config.class_position
        rows = self.grid[0] * self.grid[1] * self.grid[2] + int(self.class_row)
        self.table = nn.Parameter(torch.zeros(1, rows, config.width))
        nn.init.trunc_normal_(self.table, std=0.02)

    def patch_rows(self, grid: Size3) -> Tensor:
        """Rows for the cells of `grid`: `[1, N, C]`."""
        return resize_positions(self.table[:, int(self.class_row) :], self.grid, grid)


class AxisPositions(nn.Module):
    """RadFM's positions: a table per axis, cell i of n reads row (i + 1) * (rows // n) - 1; y, x, z parts joined."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        rows = config.axis_rows or config.grid(config.size)
        self.z, self.y, self.x = (nn.Embedding(count, config.width // 3) for count in rows)

    def patch_rows(self, grid: Size3) -> Tensor:
        """Rows for the cells of `grid`: `[1, N, C]`."""
        z, y, x = (self._axis(table, count) for table, count in zip((self.z, self.y, self.x), grid, strict=True))
        parts = [
            y[None, :, None].expand(*grid, -1),
            x[None, None, :].expand(*grid, -1),
            z[:, None, None].expand(*grid, -1),
        ]
        return torch.cat(parts, dim=-1).reshape(1, grid[0] * grid[1] * grid[2], -1)

    @staticmethod
    def _axis(table: nn.Embedding, count: int) -> Tensor:
        stride = table.num_embeddings // count
        if stride == 0:
            raise UsageError(
                f"{count} patches along one axis, but the position table has {table.num_embeddings} rows",
                "positions are read at whole strides of the table",
                "make the view smaller",
            )
        return table.weight[stride - 1 : stride * count : stride]


def resize_positions(table: Tensor, made_for: Size3, wanted: Size3) -> Tensor:
    """Interpolate a position table `[1, N, C]` from one grid to another: bicubic in a plane, trilinear in space."""
    if made_for == wanted:
        return table
    space = table.transpose(1, 2).reshape(1, -1, *made_for)
    if made_for[0] == wanted[0] == 1:
        resized = F.interpolate(space[:, :, 0], size=wanted[1:], mode="bicubic", align_corners=False)
    else:
        resized = F.interpolate(space, size=wanted, mode="trilinear", align_corners=False)
    return resized.flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """Patches or a convolutional stem, positions, blocks; 3D, and 2D as depth 1."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = ConvolutionalStem(config) if config.embedding == "stem" else PatchEmbedding(config)
        self.positions = AxisPositions(config) if config.positions == "axes" else TablePositions(config)
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.width)) if config.class_token else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=config.norm_eps) if config.final_norm else nn.Identity()
        eps = config.output_norm_eps
        self.output_norm = nn.LayerNorm(config.width, eps=eps) if eps is not None else nn.Identity()

    def forward(self, volume: Tensor) -> VisionFeatures:
        """Encode `[B, C, z, y, x]`."""
        return self.think(*self.embedding(volume))

    def think(self, tokens: Tensor, grid: Size3, skips: tuple[Tensor, ...]) -> VisionFeatures:
        """Go on from embedded patches: positions, blocks, norms."""
        tokens = self.add_class(tokens + self.positions.patch_rows(grid))
        for block in self.blocks:
            tokens = block(tokens)
        return VisionFeatures(self.output_norm(self.norm(tokens)), grid, skips, self.class_token is not None)

    def add_class(self, tokens: Tensor) -> Tensor:
        """Put the class token in front, after the patches have their positions."""
        if self.class_token is None:
            return tokens
        first: Tensor = self.class_token
        if isinstance(self.positions, TablePositions) and self.positions.class_row:
            first = first + self.positions.table[:, :1]
        return torch.cat([first.expand(tokens.shape[0], -1, -1), tokens], dim=1)


def build_vision(config: VisionConfig) -> nn.Module:
    """Build the encoder that `config.kind` names."""
    from radfoundry.model.unet import UNetEncoder
    from radfoundry.model.vision_towers import ClipTower, SwinTower

    kinds: dict[str, type[nn.Module]] = {
        "vit": VisionTransformer,
        "unet": UNetEncoder,
        "clip": ClipTower,
        "swin": SwinTower,
    }
    if config.kind not in kinds:
        raise UsageError(f"no vision encoder of kind {config.kind!r}", f"known: {', '.join(kinds)}")
    return kinds[config.kind](config)
