"""What a model is made of, as plain frozen dataclasses that go to JSON and back.

A config says everything needed to build the modules and nothing about weights, corpora or training.
Sizes and strides are `[z, y, x]`; a picture is a volume of depth 1.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args, get_type_hints

from radfoundry.errors import UsageError

Size3 = tuple[int, int, int]
Config = TypeVar("Config")

__all__ = [
    "ConnectorConfig",
    "LanguageConfig",
    "RegionConfig",
    "SegmentationConfig",
    "Size3",
    "StemLevel",
    "VLMConfig",
    "VisionConfig",
    "from_dict",
    "to_dict",
]


@dataclass(frozen=True)
class StemLevel:
    """One convolution of a stem: its output channels and its stride."""

    channels: int
    stride: Size3


@dataclass(frozen=True)
class VisionConfig:
    """A vision encoder; `kind` is "vit" (ours, and every published 3D one) or "clip" / "swin" (transformers')."""

    kind: str = "vit"
    channels: int = 1
    size: Size3 = (32, 64, 64)
    """The size the position table was made for; other sizes are interpolated."""
    patch: Size3 = (4, 8, 8)
    width: int = 128
    depth: int = 4
    heads: int = 4
    head_width: int | None = None
    mlp_width: int = 512
    embedding: str = "linear"
    """"linear" patches, "normed" (norm, linear, norm: RadFM) or "stem" (convolutions; `stem` gives the levels)."""
    stem: tuple[StemLevel, ...] = ()
    places: bool = False
    """Three more channels say where each voxel lies (z, y, x), in units of 100 mm from the image's centre."""
    positions: str = "table"
    """"table": one learned row per patch; "axes": one table per axis, read at strides (RadFM)."""
    axis_rows: Size3 | None = None
    class_token: bool = False
    class_position: bool = False
    qkv_bias: bool = False
    final_norm: bool = True
    norm_eps: float = 1e-5
    output_norm_eps: float | None = None
    """A separate norm after the encoder (XrayGPT's `ln_vision`), with its own epsilon."""
    scales: tuple[int, ...] = ()
    """S2: picture sides that are tiled and joined along the channels (LLaVA-Tri)."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Arguments of the transformers config, for "clip" and "swin"."""

    @property
    def inputs(self) -> int:
        """Channels that go in: intensities and places."""
        return self.channels + (3 if self.places else 0)

    @property
    def stride(self) -> Size3:
        """Voxels per grid cell."""
        if self.embedding != "stem":
            return self.patch
        z, y, x = (1, 1, 1)
        for level in self.stem:
            z, y, x = z * level.stride[0], y * level.stride[1], x * level.stride[2]
        return (z, y, x)

    def grid(self, shape: Size3) -> Size3:
        """Cells of the encoder's grid for a volume of `shape`; S2 has the grid of its smallest scale, whatever comes."""
        sz, sy, sx = self.stride
        shape = self.size if self.scales else shape
        return (-(-shape[0] // sz), -(-shape[1] // sy), -(-shape[2] // sx))

    @property
    def out_width(self) -> int:
        """Channels of a token as the connector sees it."""
        return self.width * max(1, len(self.scales))


@dataclass(frozen=True)
class ConnectorConfig:
    """From encoder tokens to language-model tokens."""

    kind: str = "mlp"
    """"linear", "mlp", "identity", "perceiver" or "qformer"."""
    layers: int = 2
    activation: bool = True
    activation_last: bool = False
    hidden: int | None = None
    """Width between the layers, if it is not the language model's."""
    order: str = "zyx"
    """The order of grid tokens for the language model; "yxz" is RadGenome's."""
    pool: str = "none"
    """"none"; "spatial": mean over blocks of the grid; "sequence": mean over runs; "fold"/"fold-channels": runs of
    tokens joined along the channels, token by token or channel by channel."""
    pool_size: Size3 = (1, 1, 1)
    pool_ceil: bool = True
    """Blocks that stick out of the grid count (ours), or are left out (published)."""
    latents: int = 32
    heads: int = 8
    head_width: int = 64
    mlp_ratio: int = 4
    keep_class: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    """Arguments of the Q-Former."""

    def token_count(self, grid: Size3) -> int:
        """Language-model tokens for one image whose encoder grid is `grid`."""
        if self.kind in ("perceiver", "qformer"):
            return self.latents
        if self.pool == "spatial":
            up = [size - 1 if self.pool_ceil else 0 for size in self.pool_size]
            z, y, x = ((n + more) // size for n, more, size in zip(grid, up, self.pool_size, strict=True))
            return z * y * x
        cells = grid[0] * grid[1] * grid[2]
        run = self.pool_size[0] * self.pool_size[1] * self.pool_size[2]
        return cells // run + int(self.keep_class)


@dataclass(frozen=True)
class LanguageConfig:
    """Any causal language model of transformers, by its `model_type` and settings."""

    model_type: str = "llama"
    settings: dict[str, Any] = field(default_factory=dict)
    tuning: str = "full"
    """"full", "lora" (rank, alpha, dropout below) or "frozen"."""
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.05

    @property
    def width(self) -> int:
        return int(self.settings["hidden_size"])

    @property
    def vocabulary(self) -> int:
        return int(self.settings["vocab_size"])


@dataclass(frozen=True)
class SegmentationConfig:
    """Masks and boxes from hidden states; `kind` is "light" (ours) or "segvol" (M3D-LaMed)."""

    kind: str = "light"
    channels: int = 16
    """Channels of the voxel map, which is as fine as the view."""
    hidden: int = 8
    """Width of the per-query layer that turns the voxel map into a mask."""
    width: int = 64
    """Half the width of the layers that read a prompt."""
    names: tuple[str, ...] = ()
    """What the decoder marks without being asked: names of regions, as in the label maps that it learned from."""
    things: int = 0
    """Tokens for the things that it marked, one each; what is more than that is left out, the smallest first."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Sizes of the SegVol module."""

    @property
    def predicted(self) -> bool:
        """A mask's prompt is the state that predicts its token, not the token's own (SegVol)."""
        return self.kind == "segvol"


@dataclass(frozen=True)
class RegionConfig:
    """Tokens for a region that is given: "pooled" (ours), "mask" (Reg2RG) or "attention" (RadGenome)."""

    kind: str = "pooled"
    tokens: int = 1
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class VLMConfig:
    """A vision-language model: encoder, connector, language model and, optionally, masks and boxes."""

    vision: VisionConfig
    connector: ConnectorConfig
    language: LanguageConfig
    segmentation: SegmentationConfig | None = None
    regions: RegionConfig | None = None
    extra_tokens: int = 0
    """Token embeddings beside the language model's own; the first rows of the visual table (RadFM's image tags)."""
    family: str = "radfoundry"
    name: str = ""

    @property
    def given(self) -> RegionConfig | None:
        """How given regions are read; models of ours that point also read regions, pooled."""
        pointing = self.segmentation is not None and self.segmentation.kind == "light"
        return self.regions or (RegionConfig() if pointing else None)

    def image_tokens(self, shape: Size3) -> int:
        """Language-model tokens that one image of `shape` takes."""
        things = self.segmentation.things if self.segmentation is not None else 0
        return self.connector.token_count(self.vision.grid(shape)) + things


def to_dict(config: Any) -> dict[str, Any]:
    """Return a config as JSON-ready values."""
    values: dict[str, Any] = dataclasses.asdict(config)
    return values


def from_dict(kind: type[Config], values: dict[str, Any]) -> Config:
    """Rebuild a config; unknown names are refused.

    Raises:
        UsageError: `values` names a setting that `kind` does not have, or lacks one that it needs.
    """
    hints = get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise UsageError(
            f"unknown setting in the model config: {', '.join(unknown)}", f"it is not part of {kind.__name__}"
        )
    try:
        return kind(**{name: _restore(hints[name], value) for name, value in values.items()})
    except TypeError as error:
        raise UsageError("the model config is incomplete", str(error)) from error


def _restore(hint: Any, value: Any) -> Any:
    """Undo what JSON does to nested configs and tuples."""
    for kind in (hint, *get_args(hint)):
        if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, dict):
            return from_dict(kind, value)
    if isinstance(value, list):
        items = [
            StemLevel(item["channels"], tuple(item["stride"])) if isinstance(item, dict) else item for item in value
        ]
        return tuple(items)
    return value
