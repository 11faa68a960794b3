"""The language room's price: `python benchmarks/language.py [--sentences N]`, JSON lines to standard output.

linking, findings: sentences a second on one core, on sentences that are all different and on a stream of templates as reports
have them. memory: resident memory before and after N sentences. beside: the same presence question answered by medSpaCy's ConText
(`pip install medspacy`), the general clinical rule engine that installs on current libraries, with our terms as its targets.
Sentences are made here from a grammar; no report is needed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence

import psutil

from radfoundry.grounding.linker import RuleLinker
from radfoundry.language import find_findings

FINDINGS = (
    "nodule",
    "consolidation",
    "pleural effusion",
    "atelectasis",
    "ground glass opacity",
    "hiatal hernia",
    "mass",
    "pneumothorax",
)
PLACES = (
    "right upper lobe",
    "lower lobe of the left lung",
    "both lungs",
    "left kidney",
    "mediastinum",
    "upper abdominal sections",
)
FRAMES = (
    ("There is a {size} mm {finding} in the {place}.", "present"),
    ("No {finding} was detected in the {place}.", "absent"),
    ("{finding} was not observed in the {place}.", "absent"),
    ("No {finding} was seen in the {place}, and there is a {size} mm {other}.", "absent"),
    ("{finding}, measuring up to {size} mm, is observed in the {place} and a {other} was not seen.", "present"),
    ("The {place} shows {finding} which may be compatible with {other}.", "present"),
    ("{finding} of {size} mm is stable according to the previous examination in the {place}.", "present"),
)


def sentences(count: int, seed: int = 7) -> Iterator[tuple[str, str, str]]:
    """Sentence, the finding asked about, and whether it is there; nearly all different."""
    dice = random.Random(seed)
    for number in range(count):
        frame, presence = dice.choice(FRAMES)
        finding, other = dice.sample(FINDINGS, 2)
        text = frame.format(size=number % 97 + 1, finding=finding, other=other, place=dice.choice(PLACES))
        yield text[0].upper() + text[1:].removesuffix(".") + f" (image {number}).", finding, presence


def per_second(work: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
    """Sentences a second of processor time, so that a busy machine does not change the figure much."""
    work(texts[:50])
    started = time.process_time()
    work(texts)
    return len(texts) / (time.process_time() - started)


def say(name: str, **facts: object) -> None:
    print(json.dumps({"name": name} | facts), flush=True)


def speeds(count: int) -> None:
    distinct = [text for text, _, _ in sentences(count)]
    templates = list(itertools.islice(itertools.cycle(distinct[:500]), count))
    for kind, texts in (("distinct", distinct), ("templates", templates)):
        for mapping in ("clean", "compat"):
            linker = RuleLinker(mapping)  # type: ignore[arg-type]
            say(f"linking {mapping}, {kind}", sentences_per_cpu_s=round(per_second(linker.link, texts)), n=count)
        rate = per_second(lambda some: [find_findings(text) for text in some], texts)
        say(f"findings, {kind}", sentences_per_cpu_s=round(rate), n=count)


def memory(count: int) -> None:
    process, linker = psutil.Process(os.getpid()), RuleLinker("clean")
    stream = sentences(count, seed=8)
    for part in range(5):
        for text, _, _ in itertools.islice(stream, count // 5):
            linker.link([text])
            find_findings(text)
        say("memory", after=(part + 1) * count // 5, resident_mb=round(process.memory_info().rss / 2**20, 1))


def beside(count: int) -> None:
    try:
        import medspacy
        from medspacy.target_matcher import TargetRule
    except ImportError:
        say("beside medspacy", skipped="not installed: pip install medspacy")
        return
    logging_off("PyRuSH")
    asked = list(sentences(count, seed=9))
    engine = medspacy.load(medspacy_enable=["medspacy_pyrush", "medspacy_target_matcher", "medspacy_context"])
    engine.get_pipe("medspacy_target_matcher").add([TargetRule(word, "FINDING") for word in FINDINGS])

    def theirs(text: str, finding: str) -> bool:
        return any(not e._.is_negated for e in engine(text).ents if e.text.lower() == finding)

    def ours(text: str, finding: str) -> bool:
        return any(
            finding.split()[-1] in text[s.start : s.end].lower() and s.presence != "absent" for s in find_findings(text)
        )

    for name, answer in (("medspacy", theirs), ("radfoundry", ours)):
        answer(*asked[0][:2])
        started = time.process_time()
        right = sum(answer(text, finding) == (presence == "present") for text, finding, presence in asked)
        rate = len(asked) / (time.process_time() - started)
        say(f"beside: {name}", sentences_per_cpu_s=round(rate), presence_right=round(right / len(asked), 4), n=count)


def logging_off(library: str) -> None:
    """medSpaCy's splitter logs every sentence, which would be counted against it."""
    from loguru import logger

    logger.disable(library)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sentences", type=int, default=20_000)
    count = arguments.parse_args().sentences
    speeds(count)
    memory(count)
    beside(min(count, 1_000))


if __name__ == "__main__":
    main()
