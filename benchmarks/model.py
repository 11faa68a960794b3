"""What the model's choices are worth, each beside its alternative in one run; prints JSON lines.

    python benchmarks/model.py [--quick]

attention_vision, attention_language   SDPA against softmax written out
splice                                 gathering rows against the one-hot product of the published code
loading                                peak memory and time of loading on the meta device first, against building first
encoder_throughput                     on a GPU: share of the peak that the 3D encoder reaches in bfloat16
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from radfoundry.model import VLM, Vocabulary, load, nano, save
from radfoundry.model.config import LanguageConfig, VisionConfig
from radfoundry.model.language_model import LanguageModel
from radfoundry.model.vision import Attention, VisionTransformer

PEAK_BF16 = {"H100": 989e12, "H200": 989e12, "A100": 312e12}


def say(**values: Any) -> None:
    """Print one result with the machine it was measured on."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    print(json.dumps({**values, "device": device, "threads": torch.get_num_threads(), "torch": torch.__version__}))


def seconds(run: Callable[[], Any], repeats: int) -> float:
    """The best of several runs, after one to warm up."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)


def compare(name: str, ours: Callable[[], Tensor], other: Callable[[], Tensor], repeats: int, **about: Any) -> None:
    """Time two ways to the same tensor and say how far apart they are."""
    difference = float((ours().float() - other().float()).abs().max())
    mine, theirs = seconds(ours, repeats), seconds(other, repeats)
    say(benchmark=name, ours_s=mine, other_s=theirs, ratio=theirs / mine, max_abs_difference=difference, **about)


@torch.inference_mode()
def attention_vision(repeats: int, tokens: int) -> None:
    """The encoder's attention at M3D's width."""
    config = VisionConfig(width=768, heads=12)
    module = Attention(config).eval()
    x = torch.randn(1, tokens, config.width)

    def explicit() -> Tensor:
        query, key, value = module.qkv(x).unflatten(-1, (3, module.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(dim=-1)
        return module.out((weights @ value).transpose(1, 2).flatten(2))

    compare("attention_vision", lambda: module(x), explicit, repeats, tokens=tokens, width=config.width)


@torch.inference_mode()
def attention_language(repeats: int, tokens: int) -> None:
    """A language model with SDPA and with attention written out (transformers' eager path)."""
    config = LanguageConfig("qwen3", {**nano().language.settings, "hidden_size": 256, "num_attention_heads": 8})
    models = {}
    for kind in ("sdpa", "eager"):
        torch.manual_seed(0)
        models[kind] = LanguageModel(config, kind).eval()
    x = torch.randn(1, tokens, 256)
    ours, other = (lambda m=m: m(x) for m in (models["sdpa"], models["eager"]))
    compare("attention_language", ours, other, repeats, tokens=tokens, width=256, layers=4)


@torch.inference_mode()
def splice(repeats: int, width: int) -> None:
    """RadFM's table look-up: rows gathered, against a one-hot product over 32,002 + 32 rows an image."""
    words, visual = torch.randn(32000, width), torch.randn(2 + 3 * 32, width)
    ids = torch.randint(0, 32000 + len(visual), (1, 1024))

    def gather() -> Tensor:
        place = (ids - 32000).clamp_min(0)
        return torch.where((ids >= 32000)[..., None], visual[place], words[ids.clamp_max(31999)])

    def one_hot() -> Tensor:
        table = torch.cat([words, visual])
        return F.one_hot(ids, len(table)).to(table.dtype) @ table

    compare("splice", gather, one_hot, repeats, tokens=ids.shape[1], rows=32000 + len(visual), width=width)


def loading(width: int) -> None:
    """Peak memory of a process that loads a checkpoint, over the size of its weights."""
    words = Vocabulary.train(["The lungs are clear."] * 4, 300)
    settings = {**nano(words.size).language.settings, "hidden_size": width, "intermediate_size": 4 * width}
    config = replace(nano(words.size), language=LanguageConfig("qwen3", settings))
    with tempfile.TemporaryDirectory() as folder:
        path = save(VLM(config), words, Path(folder) / "checkpoint")
        size = (path / "model.safetensors").stat().st_size
        baseline = child("import radfoundry.model, sys")
        for kind in ("meta", "build"):
            peak, took = child(f"benchmark.load_{kind}(sys.argv[1])", str(path))
            say(
                benchmark="loading",
                way=kind,
                seconds=took,
                weights_mb=size / 1e6,
                peak_mb=peak / 1e6,
                peak_over_weights=(peak - baseline[0]) / size,
            )


def load_meta(folder: str) -> None:
    """Our loader."""
    load(folder)


def load_build(folder: str) -> None:
    """Build with random weights, then copy a state dict over them."""
    from safetensors.torch import load_file

    from radfoundry.model.checkpoint import read_config
    from radfoundry.model.config import VLMConfig, from_dict

    model = VLM(from_dict(VLMConfig, read_config(Path(folder))["model"]))
    model.load_state_dict(load_file(Path(folder) / "model.safetensors"), strict=False)


def child(statement: str, *arguments: str) -> tuple[float, float]:
    """Peak resident bytes of a fresh process that runs a statement, and the seconds of the statement."""
    program = (
        "import sys, time, radfoundry.model\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import model as benchmark\n"
        "start = time.perf_counter()\n"
        f"{statement}\n"
        "took = time.perf_counter() - start\n"
        "lines = open('/proc/self/status').read().splitlines()\n"
        "print(next(int(line.split()[1]) * 1024 for line in lines if line.startswith('VmHWM')), took)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    peak, took = done.stdout.split()
    return float(peak), float(took)


@torch.inference_mode()
def encoder_throughput(repeats: int) -> None:
    """M3D's encoder at full size on a GPU: volumes a second and the share of the card's bfloat16 peak."""
    config = VisionConfig(size=(32, 256, 256), patch=(4, 16, 16), width=768, depth=12, heads=12, mlp_width=3072)
    model = VisionTransformer(config).eval().cuda().bfloat16()
    volumes = torch.randn(16, 1, *config.size, device="cuda", dtype=torch.bfloat16)
    took = seconds(lambda: model(volumes), repeats)
    n, c = 2048, config.width
    flops = len(volumes) * config.depth * (2 * n * (4 * c * c + 2 * c * config.mlp_width) + 4 * n * n * c)
    peak = next((value for name, value in PEAK_BF16.items() if name in torch.cuda.get_device_name()), None)
    share = flops / took / peak if peak else None
    say(
        benchmark="encoder_throughput", volumes_per_s=len(volumes) / took, flops_per_s=flops / took, share_of_peak=share
    )


def main() -> None:
    """Run them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, for a look")
    quick = parser.parse_args().quick
    repeats = 2 if quick else 5
    attention_vision(repeats, 512 if quick else 2048)
    attention_language(repeats, 256 if quick else 1024)
    splice(repeats, 64 if quick else 512)
    loading(512 if quick else 2048)
    if torch.cuda.is_available():
        encoder_throughput(repeats)


if __name__ == "__main__":
    main()
