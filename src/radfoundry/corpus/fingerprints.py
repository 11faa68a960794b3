"""What makes two things nearly the same: shingles of texts under MinHash, and gradients of pictures and volumes as bits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt

__all__ = ["close_pairs", "jaccard", "perceptual_hash", "shingles", "similar_texts"]

_WORD = re.compile(r"\w+")
_SHINGLE = 3
# 8 bands of 4 rows find a pair of Jaccard 0.9 with probability 0.9999, one of 0.5 with 0.40; each candidate is then compared in full
_BANDS, _ROWS = 8, 4
_PRIME = np.uint64(2**31 - 1)


def shingles(text: str) -> npt.NDArray[np.uint64]:
    """Return the hashes (31 bits, sorted, each once) of all runs of three words of a text; case and punctuation do not count."""
    words = np.array([_word_hash(word) for word in _WORD.findall(text.lower())], dtype=np.uint64)
    if not len(words):
        return words
    padded = np.concatenate([words, np.zeros(max(0, _SHINGLE - len(words)), np.uint64)])
    runs = len(padded) - _SHINGLE + 1
    mixed = padded[:runs] * np.uint64(31) * np.uint64(31) + padded[1 : runs + 1] * np.uint64(31) + padded[2 : runs + 2]
    return np.unique(mixed % _PRIME)


@lru_cache(maxsize=1 << 18)
def _word_hash(word: str) -> int:
    value = 2166136261  # FNV-1a, 31 bits: the same on every machine, unlike Python's own
    for byte in word.encode():
        value = (value ^ byte) * 16777619 & 0x7FFFFFFF
    return value


def jaccard(a: npt.NDArray[np.uint64], b: npt.NDArray[np.uint64]) -> float:
    """Return the share of shingles that two texts have in common."""
    shared = len(np.intersect1d(a, b, assume_unique=True))
    union = len(a) + len(b) - shared
    return shared / union if union else 1.0


def similar_texts(texts: Sequence[str], least: float = 0.9) -> Iterator[tuple[int, int]]:
    """Yield pairs of places of texts whose shingles agree to `least` or more; MinHash finds candidates, Jaccard decides.

    Of many equal texts each is paired with the first only, so a phrase that everybody writes does not cost its square.
    """
    first: dict[str, int] = {}
    for place, text in enumerate(texts):
        if (known := first.setdefault(" ".join(_WORD.findall(text.lower())), place)) != place:
            yield known, place
    places = list(first.values())
    for a, b in _candidates(texts[place] for place in places):
        if jaccard(shingles(texts[places[a]]), shingles(texts[places[b]])) >= least:
            yield places[a], places[b]


def _candidates(texts: Iterable[str]) -> list[tuple[int, int]]:
    rng = np.random.default_rng(20)
    scale, shift = rng.integers(1, int(_PRIME), (2, _BANDS * _ROWS), dtype=np.uint64)
    buckets: dict[tuple[int, bytes], list[int]] = {}
    for place, values in enumerate(map(shingles, texts)):
        if not len(values):
            continue
        signature = ((values[:, None] * scale + shift) % _PRIME).min(axis=0).reshape(_BANDS, _ROWS)
        for band, part in enumerate(signature):
            buckets.setdefault((band, part.tobytes()), []).append(place)
    return sorted({pair for members in buckets.values() for pair in combinations(members, 2)})


def perceptual_hash(pixels: npt.NDArray) -> int:
    """Return 64 bits a picture, 192 a volume: which of two neighbouring patches is brighter, in a coarse picture of the whole.

    A volume is seen from its three sides (mean projections). Survives resampling, rescaled intensities, mild noise and windows; does
    not survive flips or crops. The gradient hash ("dHash") of N. Krawetz.
    """
    if pixels.ndim == 2:
        return _gradient_bits(pixels.astype(np.float64))
    value = 0
    for axis in range(3):
        value = value << 64 | _gradient_bits(pixels.mean(axis=axis, dtype=np.float64))
    return value


def _gradient_bits(picture: npt.NDArray[np.float64]) -> int:
    coarse = _patch_means(_patch_means(picture, 8).T, 9).T
    bits = (coarse[:, 1:] > coarse[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _patch_means(picture: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """Means of `count` equal stretches of the rows, with shares of a row where a stretch ends inside it."""
    summed = np.concatenate([np.zeros((1, picture.shape[1])), picture.cumsum(axis=0)])
    ends = np.linspace(0, len(picture), count + 1)
    low = np.minimum(ends.astype(int), len(picture) - 1)
    at_ends = summed[low] + (ends - low)[:, None] * picture[low]
    return np.diff(at_ends, axis=0) * count / len(picture)


def close_pairs(hashes: Sequence[int], most: int = 6) -> Iterator[tuple[int, int, int]]:
    """Yield (place, place, differing bits) of all pairs that differ in at most `most` bits.

    Cut into `most + 1` stretches, two such hashes agree in one: only those are compared.
    """
    bits = max((value.bit_length() for value in hashes), default=1)
    width = -(-bits // (most + 1))
    buckets: dict[tuple[int, int], list[int]] = {}
    for place, value in enumerate(hashes):
        for part in range(most + 1):
            buckets.setdefault((part, value >> part * width & (1 << width) - 1), []).append(place)
    pairs = {pair for members in buckets.values() for pair in combinations(members, 2)}
    for a, b in sorted(pairs):
        if (distance := (hashes[a] ^ hashes[b]).bit_count()) <= most:
            yield a, b, distance
