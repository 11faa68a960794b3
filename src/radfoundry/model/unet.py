"""The encoder of a plain 3D U-Net (nnU-Net's; SAT-Nano's in RadGenome's models): convolutions, instance norms, leaky ReLU."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from radfoundry.model.config import Size3, VisionConfig
from radfoundry.model.vision import VisionFeatures

__all__ = ["UNetEncoder"]


class UNetEncoder(nn.Module):
    """Stages of two 3x3x3 convolutions, the first strided; the last map is the grid, the others are kept as skips."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        stages, inward = [], config.channels
        for level in config.stem:
            stages.append(
                nn.Sequential(
                    ConvNorm(inward, level.channels, level.stride), ConvNorm(level.channels, level.channels, (1, 1, 1))
                )
            )
            inward = level.channels
        self.stages = nn.ModuleList(stages)

    def forward(self, volume: Tensor) -> VisionFeatures:
        """Encode `[B, C, z, y, x]`."""
        skips = []
        for stage in self.stages:
            volume = stage(volume)
            skips.append(volume)
        grid = cast(Size3, tuple(volume.shape[2:]))
        return VisionFeatures(volume.flatten(2).transpose(1, 2), grid, tuple(skips[:-1]))


class ConvNorm(nn.Module):
    """Convolution, instance norm with weights, leaky ReLU."""

    def __init__(self, inward: int, outward: int, stride: Size3) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inward, outward, 3, stride=stride, padding=1)
        self.norm = nn.InstanceNorm3d(outward, eps=1e-5, affine=True)

    def forward(self, volume: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.norm(self.conv(volume)), 0.01)
