"""A study is paid for once: what packing, one decoding for many organs, and asking together are worth; prints JSON lines.

    python benchmarks/training.py [--quick] [--questions 1 5 20 50] [--tokens 30 60] [--width 256] [--layers 6] [--repeats 3]

packing   questions/s of a training step (forward and backward) packed against separate
organs    20 masks of one study with one encoding and one decoding, against one by one
asking    50 questions about one study together, against one by one

What is possible
----------------
One study, Q questions. Encoding costs E, reading what all questions begin with (image tokens, begin token, role) costs P, one question
with its answer costs B, its attention to the beginning included. Separate rows pay Q(E + P + B). Packed pays E + P + QB, since neither the
encoder nor the beginning depends on the question; B is the same in both, because a branch sees the same keys. So at most

    ratio = Q(E + P + B) / (E + P + QB)

can be won: 1 for one question, 1 + (E + P) / B for infinitely many. Backward passes cost twice the forward of the same parts and leave the
ratio as it is. `fraction` is what was reached of it; the optimiser's step, which is the same in both, is left out.

E, P and B are floating-point operations, counted from the configs: for a transformer of width C, feed-forward width M and N tokens, a
layer has 2N(4C^2 + kCM) in its matrices (k = 2, or 3 with a gate) and 4NKC in its attention over K keys on average; the head
has 2CV for each token that is learned. For M3D-LaMed-Phi-3 (a ViT of 2,049 tokens, 768 wide, 12 layers; 256 image tokens; Phi-3-mini, 3,072
wide, 32 layers) E : P is 0.27. The small model here has the same E : P: the feed-forward width of its encoder is solved for it.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from radfoundry.geometry import Grid, View
from radfoundry.model import (
    VLM,
    Answerer,
    Encoded,
    ImagePart,
    Processor,
    Question,
    Turn,
    VLMConfig,
    create,
    nano,
)
from radfoundry.model.config import ConnectorConfig, LanguageConfig, VisionConfig
from radfoundry.model.looking import Look
from radfoundry.training.examples import StudyExample
from radfoundry.training.packing import packed_losses, separate_losses

ANSWER_TOKENS = 6
SIZE = (16, 32, 32)
IMAGE_TOKENS = 256


@dataclass(frozen=True)
class Cost:
    """Floating-point operations of one study's parts."""

    encoder: float
    beginning: float
    branch: float

    def ratio(self, questions: int) -> float:
        """What packing can win."""
        shared = self.encoder + self.beginning
        return questions * (shared + self.branch) / (shared + questions * self.branch)


def transformer(width: int, layers: int, feed_forward: float, gate: bool, tokens: int, keys: float) -> float:
    """Operations of `tokens` tokens that attend to `keys` keys each on average."""
    matrices = 4 * width**2 + (3 if gate else 2) * width * feed_forward
    return layers * tokens * (2 * matrices + 4 * keys * width)


def language_cost(width: int, layers: int, feed_forward: int, vocabulary: int, start: int, branch: int) -> list[float]:
    """Operations of the beginning and of one branch."""
    head = 2 * width * vocabulary * ANSWER_TOKENS
    beginning = transformer(width, layers, feed_forward, True, start, start / 2)
    return [beginning, transformer(width, layers, feed_forward, True, branch, start + branch / 2) + head]


def m3d_phi3(branch: int) -> Cost:
    """M3D-LaMed-Phi-3 at full size."""
    patches = 2 * 2048 * (4 * 16 * 16) * 768
    projector = 2 * IMAGE_TOKENS * (768 * 3072 + 3072 * 3072)
    encoder = transformer(768, 12, 3072, False, 2049, 2049) + patches + projector
    return Cost(encoder, *language_cost(3072, 32, 8192, 32015, IMAGE_TOKENS + 1, branch))


def small(width: int, layers: int, vocabulary: int, start: int, branch: int) -> tuple[VLMConfig, Cost]:
    """A model with M3D-LaMed-Phi-3's E : P, and its costs."""
    feed_forward = width * 8 // 3
    beginning, each = language_cost(width, layers, feed_forward, vocabulary, start, branch)
    published = m3d_phi3(branch)
    wanted = published.encoder / published.beginning * beginning
    side, depth = width * 5 // 8, layers // 2
    fixed = 2 * IMAGE_TOKENS * (64 * side + side * width + width * width)
    bare = transformer(side, depth, 0, False, IMAGE_TOKENS, IMAGE_TOKENS) + fixed
    mlp = max(8, round((wanted - bare) / (depth * IMAGE_TOKENS * 4 * side)))
    encoder = transformer(side, depth, mlp, False, IMAGE_TOKENS, IMAGE_TOKENS) + fixed
    settings = {"vocab_size": vocabulary, "hidden_size": width, "intermediate_size": feed_forward,
                "num_hidden_layers": layers, "num_attention_heads": width // 64, "num_key_value_heads": width // 64,
                "pad_token_id": None, "bos_token_id": None, "eos_token_id": None}  # fmt: skip
    config = VLMConfig(
        VisionConfig(size=SIZE, patch=(4, 4, 4), width=side, depth=depth, heads=side // 32, mlp_width=mlp),
        ConnectorConfig(kind="mlp", layers=2),
        LanguageConfig("phi3", settings),
    )
    return config, Cost(encoder, beginning, each)


def study(processor: Processor, questions: int, tokens: int) -> StudyExample:
    """Noise, and questions of so many tokens about it."""
    rng = np.random.default_rng(0)
    grid = Grid.axial(SIZE, (1.0, 1.0, 1.0))
    look = Look(View(grid, grid), torch.from_numpy(rng.normal(size=(1, *SIZE)).astype(np.float32)))
    start = processor.encode([Turn("user", [ImagePart()])], [SIZE]).prefix()
    talks = []
    for _ in range(questions):
        one = Encoded(list(start.ids), list(start.labels), list(start.image_at), prefix_length=len(start.ids))
        one.add(rng.integers(0, 200, tokens - ANSWER_TOKENS).tolist(), learn=False)
        one.add(rng.integers(0, 200, ANSWER_TOKENS).tolist(), learn=True)
        talks.append(one)
    return StudyExample((look,), tuple(talks))


def say(**values: Any) -> None:
    """Print one result with the machine it was measured on."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    print(
        json.dumps({**values, "device": device, "threads": torch.get_num_threads(), "torch": torch.__version__}),
        flush=True,
    )


def seconds(ways: dict[str, Callable[[], Any]], repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """The best time of each way, taken in turns after one round to warm up."""
    best = dict.fromkeys(ways, float("inf"))
    for turn in range(repeats + 1):
        for name, run in ways.items():
            began = clock()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                best[name] = min(best[name], clock() - began)
    return best


def step(model: VLM, processor: Processor, one: StudyExample, way: Callable[..., dict[str, Tensor]]) -> Tensor:
    """Forward and backward of one study's questions."""
    model.zero_grad()
    loss = way(model, processor, [one], next(model.parameters()).device)["text"]
    loss.backward()
    return loss


def packing(settings: argparse.Namespace, clock: Callable[[], float], device: str) -> None:
    """Training steps, packed against separate."""
    words = Processor.train_tokenizer(["The lungs are clear."] * 4, 300)
    for tokens in settings.tokens:
        config, cost = small(settings.width, settings.layers, 2 * settings.width, IMAGE_TOKENS + 3, tokens)
        torch.manual_seed(0)
        model = VLM(config).to(device).train()
        processor = Processor(words, config)
        for questions in settings.questions:
            one = study(processor, questions, tokens)
            ways = {"packed": packed_losses, "separate": separate_losses}
            losses = {name: step(model, processor, one, way).item() for name, way in ways.items()}
            runs = {name: partial(step, model, processor, one, way) for name, way in ways.items()}
            took = seconds(runs, settings.repeats, clock)
            ratio, possible = took["separate"] / took["packed"], cost.ratio(questions)
            say(
                benchmark="packing", questions=questions, tokens=tokens, ratio=round(ratio, 3),
                theoretical=round(possible, 3), fraction=round(ratio / possible, 3),
                loss_difference=abs(losses["packed"] - losses["separate"]),
                packed_questions_per_s=round(questions / took["packed"], 2),
                separate_questions_per_s=round(questions / took["separate"], 2),
                encoder_to_beginning=round(cost.encoder / cost.beginning, 4),
                theoretical_at_full_size=round(m3d_phi3(tokens).ratio(questions), 3),
            )  # fmt: skip


def organs(settings: argparse.Namespace, clock: Callable[[], float], device: str) -> None:
    """Masks of many organs of one study."""
    size = (16, 32, 32) if settings.quick else (32, 64, 64)
    torch.manual_seed(0)
    model, processor = create(lambda vocabulary: nano(vocabulary, size), ["Segment the liver."] * 4, 300)
    answerer, view = Answerer(model.to(device), processor), torch.randn(1, *size)
    asked = [Question(f"Segment organ {number}.") for number in range(settings.organs)]

    def decode_again() -> None:
        for question in asked:
            opened.seen.maps.clear()
            answerer.locate(opened, [question])

    opened = answerer.open([view])
    took = seconds(
        {
            "together": lambda: answerer.locate(answerer.open([view]), asked),
            "one_by_one": lambda: [answerer.locate(answerer.open([view]), [question]) for question in asked],
            "decode_again": decode_again,
        },
        settings.repeats,
        clock,
    )
    together = answerer.locate(opened, asked)
    alone = [answerer.locate(answerer.open([view]), [question])[0] for question in asked]
    pairs = [(a.mask, b.mask) for a, b in zip(together, alone, strict=True)]
    difference = max(float(np.abs(a - b).max()) for a, b in pairs if a is not None and b is not None)
    say(benchmark="organs", organs=settings.organs, ratio=round(took["one_by_one"] / took["together"], 2),
        ratio_to_encoded_once_decoded_each_time=round(took["decode_again"] / took["together"], 2),
        together_s=round(took["together"], 4), mask_difference=difference)  # fmt: skip


def asking(settings: argparse.Namespace, clock: Callable[[], float], device: str) -> None:
    """Many open questions about one study."""
    words = Processor.train_tokenizer(["The lungs are clear. Is there a nodule in the left lung?"] * 4, 300)
    config, _ = small(settings.width, settings.layers, max(2 * settings.width, words.size), IMAGE_TOKENS + 3, 30)
    torch.manual_seed(0)
    model = VLM(config).to(device)
    answerer, view = Answerer(model, Processor(words, config)), torch.randn(1, *SIZE)
    asked = [Question(f"Is there a nodule in part {n} of the left lung?", max_tokens=8) for n in range(settings.asked)]
    opened = answerer.open([view])
    took = seconds(
        {
            "together": lambda: answerer.ask(answerer.open([view]), asked),
            "one_by_one": lambda: [answerer.ask(answerer.open([view]), [question]) for question in asked],
            "encoded_once": lambda: [answerer.ask(opened, [question]) for question in asked],
        },
        settings.repeats,
        clock,
    )
    alone = [answerer.ask(opened, [question])[0].text for question in asked]
    say(benchmark="asking", questions=len(asked), ratio=round(took["one_by_one"] / took["together"], 2),
        ratio_to_encoded_once_asked_apart=round(took["encoded_once"] / took["together"], 2),
        together_questions_per_s=round(len(asked) / took["together"], 2),
        same=[answer.text for answer in answerer.ask(opened, asked)] == alone)  # fmt: skip


def main() -> None:
    """Run them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, for a look")
    parser.add_argument("--questions", type=int, nargs="+", default=[1, 5, 20, 50])
    parser.add_argument("--tokens", type=int, nargs="+", default=[30, 60])
    parser.add_argument("--width", type=int, default=256, help="of the language model, a multiple of 256")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--organs", type=int, default=20)
    parser.add_argument("--asked", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["packing", "organs", "asking"], help="one of the benchmarks")
    parser.add_argument("--cpu-time", action="store_true", help="processor time, for a machine with other work on it")
    settings = parser.parse_args()
    if settings.quick:
        settings.layers, settings.questions, settings.repeats = 2, [1, 20], 1
    clock = time.process_time if settings.cpu_time else time.perf_counter
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for run in (packing, organs, asking):
        if settings.only in (None, run.__name__):
            run(settings, clock, device)


if __name__ == "__main__":
    main()
