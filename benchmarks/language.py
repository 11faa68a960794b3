"""The language room's price: `python benchmarks/language.py [--sentences N] [--stream N] [--beside N]`, JSON lines to standard output.

linking, findings, parse and findings: sentences a second on one core, on sentences that are all different and on a stream of
templates as reports have them. memory: resident memory while a stream of a million sentences, all different, is read. beside:
the same presence question answered by the general clinical rule engines that install on current libraries, with our terms as their
targets: medSpaCy's ConText and negspaCy's NegEx (`pip install spacy negspacy`, then, since medSpaCy asks for an older spaCy,
`pip install --no-deps medspacy PyRuSH PyFastNER loguru pysbd jsonschema quicksectx quickumls quickumls_simstring leveldb six nltk
unidecode`). Sentences are made here from a grammar; no report is needed.
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
from radfoundry.language import find_findings, parse_report

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
        rate = per_second(read_reports, texts)
        say(f"parse and findings, {kind}", sentences_per_cpu_s=round(rate), n=count)


def read_reports(texts: Sequence[str]) -> None:
    """Join the sentences to reports of fifteen, cut these again, and read what each sentence states."""
    for first in range(0, len(texts), 15):
        for sentence in parse_report("FINDINGS: " + " ".join(texts[first : first + 15])).sentences:
            find_findings(sentence.text)


def memory(count: int) -> None:
    """Resident memory after a tenth, a half and all of a stream that is never held: linked and read, report by report."""
    process, linker, stream = psutil.Process(os.getpid()), RuleLinker("clean"), sentences(count, seed=8)
    started, done = time.process_time(), 0
    for mark in (count // 10, count // 2, count):
        for text, _, _ in itertools.islice(stream, mark - done):
            linker.link([text])
            find_findings(text)
        done = mark
        rate = round(done / (time.process_time() - started))
        resident_mb = round(process.memory_info().rss / 2**20, 1)
        say("memory", after=done, resident_mb=resident_mb, sentences_per_cpu_s=rate)


Answer = Callable[[str, str], bool]


def beside(count: int) -> None:
    asked = list(sentences(count, seed=9))
    for name, make in (("medspacy", medspacy_answer), ("negspacy", negspacy_answer), ("radfoundry", our_answer)):
        try:
            answer = make()
        except ImportError as missing:
            say(f"beside: {name}", skipped=f"not installed: {missing.name}")
            continue
        answer(*asked[0][:2])
        started = time.process_time()
        right = sum(answer(text, finding) == (presence == "present") for text, finding, presence in asked)
        rate = len(asked) / (time.process_time() - started)
        say(f"beside: {name}", sentences_per_cpu_s=round(rate), presence_right=round(right / len(asked), 4), n=count)


def our_answer() -> Answer:
    def present(text: str, finding: str) -> bool:
        return any(
            finding.split()[-1] in text[s.start : s.end].lower() and s.presence != "absent" for s in find_findings(text)
        )

    return present


def medspacy_answer() -> Answer:
    import medspacy
    from medspacy.target_matcher import TargetRule

    logging_off("PyRuSH")
    engine = medspacy.load(medspacy_enable=["medspacy_pyrush", "medspacy_target_matcher", "medspacy_context"])
    engine.get_pipe("medspacy_target_matcher").add([TargetRule(word, "FINDING") for word in FINDINGS])
    return lambda text, finding: any(not e._.is_negated for e in engine(text).ents if e.text.lower() == finding)


def negspacy_answer() -> Answer:
    import negspacy.negation  # noqa: F401  registers the step
    import spacy

    engine = spacy.blank("en")
    engine.add_pipe("sentencizer")
    engine.add_pipe("entity_ruler", config={"phrase_matcher_attr": "LOWER"}).add_patterns(
        [{"label": "FINDING", "pattern": word} for word in FINDINGS]
    )
    engine.add_pipe("negex", config={"ent_types": ["FINDING"]})
    return lambda text, finding: any(not e._.negex for e in engine(text).ents if e.text.lower() == finding)


def logging_off(library: str) -> None:
    """medSpaCy's splitter logs every sentence, which would be counted against it."""
    from loguru import logger

    logger.disable(library)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sentences", type=int, default=20_000, help="for speed")
    arguments.add_argument("--stream", type=int, default=1_000_000, help="for memory")
    arguments.add_argument("--beside", type=int, default=2_000, help="for the comparison")
    sizes = arguments.parse_args()
    speeds(sizes.sentences)
    beside(sizes.beside)
    memory(sizes.stream)


if __name__ == "__main__":
    main()
