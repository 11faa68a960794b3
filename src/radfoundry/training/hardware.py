"""What the device can do and how full its memory was."""

from __future__ import annotations

import resource
import sys
import time
from functools import lru_cache

import torch

__all__ = ["peak_flops", "peak_memory"]

# dense bfloat16 TFLOP/s of data sheets, by a part of the device's name
_SHEETS = {
    "B200": 2250, "H200": 989, "H100 PCIe": 756, "H100": 989, "A100": 312, "A10": 125, "L40S": 362, "L4": 121, "RTX 4090": 165,
}  # fmt: skip


@lru_cache(maxsize=4)
def peak_flops(device: torch.device, precision: str) -> float:
    """Return operations a second that a device can do: its data sheet's for known GPUs in bfloat16, else measured on a matrix product."""
    if device.type == "cuda" and precision == "bfloat16":
        name = torch.cuda.get_device_name(device)
        for part, tera in _SHEETS.items():
            if part in name:
                return tera * 1e12
    return _measured(device, torch.bfloat16 if precision == "bfloat16" else torch.float32)


def _measured(device: torch.device, dtype: torch.dtype) -> float:
    side = 4096 if device.type == "cuda" else 768
    one = torch.ones(side, side, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(4):
        _settle(device)
        began = time.perf_counter()
        one @ one
        _settle(device)
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device) -> int:
    """Return the most bytes that were held so far: by tensors on a GPU, by the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024
