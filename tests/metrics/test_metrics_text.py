"""Text scores against sacrebleu, rouge-score and nltk on the same texts, and by hand."""

from __future__ import annotations

import math
import random

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from metric_samples import BagEmbedder
from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import single_meteor_score
from rouge_score.rouge_scorer import RougeScorer

from radfoundry.metrics import BertScore, Bleu, Cider, MeanSentenceBleu, Meteor, Rouge, TokenOverlap, token_f1
from radfoundry.metrics.rouge import common_subsequence_length
from radfoundry.metrics.stemming import stem
from radfoundry.metrics.tokens import mt_tokens

VOCABULARY = str.split(
    "the liver is normal in size , shape and density . no focal lesions were detected right upper lobe nodule nodules "
    "measuring 3.5 mm 1,000 HU well-defined & (RUL) enlarged enlargement kidney's opacities effusion dying skies"
)
report_texts = st.lists(st.sampled_from(VOCABULARY), max_size=25).map(" ".join)


def report_pairs(n: int = 60, seed: int = 0) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    pairs = []
    for _ in range(n):
        true = [rng.choice(VOCABULARY) for _ in range(rng.randint(0, 30))]
        said = [rng.choice(VOCABULARY) if rng.random() < 0.3 else word for word in true]
        pairs.append((" ".join(said), " ".join(true)))
    return pairs


def score(metric: object, pairs: list[tuple[str, str]]) -> float | None:
    for said, true in pairs:
        metric.update(said, true)  # type: ignore[attr-defined]
    return metric.result(resamples=0).value  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("lowercase", [True, False])
def test_corpus_bleu_equals_sacrebleu(order: int, lowercase: bool) -> None:
    pairs = report_pairs()
    theirs = sacrebleu.metrics.BLEU(max_ngram_order=order, smooth_method="none", lowercase=lowercase).corpus_score(
        [said for said, _ in pairs], [[true for _, true in pairs]]
    )
    assert score(Bleu(order, lowercase=lowercase), pairs) == pytest.approx(theirs.score / 100)


def test_bleu_by_hand() -> None:
    """Two of three words, one of two pairs; the answer is one word short: exp(1 - 4/3)."""
    pair = [("no pleural nodule", "no pleural effusion seen")]
    assert score(Bleu(1), pair) == pytest.approx(math.exp(1 - 4 / 3) * 2 / 3)
    assert score(Bleu(2), pair) == pytest.approx(math.exp(1 - 4 / 3) * math.sqrt(2 / 3 * 1 / 2))
    assert score(Bleu(4), pair) == 0


@pytest.mark.parametrize(("said", "true"), [("", "effusion"), ("effusion", ""), ("", "")])
def test_empty_texts_score_zero_and_stop_nothing(said: str, true: str) -> None:
    """M3D-T42: the published BLEU raises ZeroDivisionError here."""
    for metric in (Bleu(1), MeanSentenceBleu(1), Rouge("1"), Rouge("L"), Meteor()):
        assert score(metric, [(said, true)]) == 0


def test_corpus_and_sentence_bleu_differ_and_say_so() -> None:
    pairs = [("a b c d", "a b c d"), ("x", "a b c d")]
    assert score(Bleu(1), pairs) != score(MeanSentenceBleu(1), pairs)
    assert Bleu(4).name == "BLEU-4 corpus, 13a, cased, unsmoothed"
    assert MeanSentenceBleu(1).name == "BLEU-1 mean of sentences, 13a, cased, unsmoothed"


@pytest.mark.parametrize("stems", [True, False])
@pytest.mark.parametrize("kind", ["1", "2", "L"])
def test_rouge_equals_rouge_score(kind: str, stems: bool) -> None:
    theirs = RougeScorer([f"rouge{kind}"], use_stemmer=stems)
    for said, true in report_pairs():
        expected = theirs.score(true, said)[f"rouge{kind}"].fmeasure
        assert Rouge(kind, stems=stems).score(said, true) == pytest.approx(expected)  # type: ignore[arg-type]


def test_rouge_names_its_stemming() -> None:
    """The XrayGPT paper gives ROUGE without saying with which tool or stemming."""
    assert Rouge("L", stems=True).name == "ROUGE-L F, stemmed"
    assert score(Rouge("1", stems=True), [("nodules enlarged", "nodule enlarging")]) == 1
    assert score(Rouge("1"), [("nodules enlarged", "nodule enlarging")]) == 0


@given(st.text("abc", max_size=40), st.text("abc", max_size=40))
def test_common_subsequence_equals_the_table(first: str, second: str) -> None:
    row = [0] * (len(second) + 1)
    for a in first:
        before = row[:]
        for at, b in enumerate(second, 1):
            row[at] = before[at - 1] + 1 if a == b else max(before[at], row[at - 1])
    assert common_subsequence_length(first, second) == row[-1]


SUFFIXES = str.split(
    "s es ies sses ed ing ied eed y ational tional enci anci izer bli alli entli eli ousli ization ation ator alism "
    "iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness ance ence ement ment "
    "ent ion ism ate ous ive ize e ll"
)


@given(st.text("abcdefghilmnorstuvyz", min_size=1, max_size=9), st.sampled_from(SUFFIXES))
def test_stems_equal_nltk(root: str, suffix: str) -> None:
    assert stem(root + suffix) == PorterStemmer().stem(root + suffix)


@pytest.mark.parametrize(
    "word",
    ["dying", "skies", "news", "innings", "proceed", "dies", "tied", "sky", "by", "lung", "opacities", "biology"],
)
def test_stems_of_the_odd_words(word: str) -> None:
    assert stem(word) == PorterStemmer().stem(word)


class NoSynonyms:
    def synsets(self, *_: object, **__: object) -> list[object]:
        return []


@given(report_texts, report_texts)
def test_meteor_equals_nltk_without_synonyms(said: str, true: str) -> None:
    theirs = single_meteor_score(mt_tokens(true), mt_tokens(said), wordnet=NoSynonyms(), alpha=0.9, beta=3.0, gamma=0.5)
    assert Meteor().score(said, true) == pytest.approx(theirs)


def test_meteor_by_hand() -> None:
    """Three of three words match, two chunks: F = 1, penalty 0.5 * (2/3)**3."""
    assert Meteor().score("lung right nodule", "right nodule lung") == pytest.approx(1 - 0.5 * (2 / 3) ** 3)


def test_cider_equals_the_coco_code() -> None:
    """Figures that pycocoevalcap 1.2 gave for these pairs, without its tokenizer."""
    pairs = [
        ("no pleural effusion was detected", "no pleural effusion was detected"),
        ("a 5 mm nodule in the right lower lobe", "a 5 mm nodule in the right upper lobe"),
        ("heart size is normal", "the heart is of normal size"),
        ("emphysema emphysema emphysema", "mild emphysema in both upper lobes"),
        ("liver is normal", "no enlarged lymph nodes in the mediastinum"),
        (
            "sliding hiatal hernia at the lower end of the esophagus with a lot of words",
            "sliding hiatal hernia at the lower end",
        ),
    ]
    metric = Cider()
    assert score(metric, pairs) == pytest.approx(3.754888952708999)
    expected = [10.0, 7.527143980216746, 2.1044802653991312, 0.3456954324133088, 0.0, 2.5520140382248075]
    assert metric.per_sample() == pytest.approx(expected)


def test_cider_of_one_reference_is_undefined_not_zero() -> None:
    metric = Cider()
    metric.update("no effusion", "no effusion")
    assert metric.result().value is None


def test_bertscore_by_hand() -> None:
    class Axes:
        name = "axes"

        def embed(self, texts: list[str]) -> list[list[list[float]]]:
            vectors = {"a": [1.0, 0.0], "b": [0.0, 2.0], "c": [1.0, 1.0]}
            import numpy as np

            return [np.array([vectors[word] for word in text.split()]) for text in texts]

    half = math.sqrt(0.5)
    assert score(BertScore(Axes(), "precision"), [("a c", "a b")]) == pytest.approx((1 + half) / 2)  # type: ignore[arg-type]
    assert score(BertScore(Axes(), "recall"), [("a c", "a b")]) == pytest.approx((1 + half) / 2)  # type: ignore[arg-type]
    assert score(BertScore(Axes()), [("a", "a b")]) == pytest.approx(2 * 1 * 0.5 / 1.5)  # type: ignore[arg-type]
    assert score(BertScore(Axes()), [("", "a b")]) == 0  # type: ignore[arg-type]


def test_bertscore_embeds_each_text_once() -> None:
    class Counting(BagEmbedder):
        seen = 0

        def embed(self, texts: list[str]) -> list[object]:  # type: ignore[override]
            self.seen += len(texts)
            return super().embed(texts)  # type: ignore[return-value]

    embedder = Counting()
    score(BertScore(embedder), [("same", "same")] * 10)  # type: ignore[arg-type]
    assert embedder.seen == 1


@pytest.mark.parametrize(
    ("said", "true", "precision", "recall"),
    [
        ("left left left", "left lung", 1 / 3, 1 / 2),
        ("left lower lobe of the lung", "left lung", 2 / 5, 1),
        ("a", "the", 0, 0),
        ("a", "a", 1, 1),
        ("", "", 1, 1),
        ("", "lung", 0, 0),
        ("two lesions", "2 lesions", 1, 1),
    ],
)
def test_token_overlap_by_hand(said: str, true: str, precision: float, recall: float) -> None:
    assert TokenOverlap("precision").score(said, true) == pytest.approx(precision)
    assert TokenOverlap("recall").score(said, true) == pytest.approx(recall)
    together = precision + recall
    assert token_f1(said, true) == pytest.approx(2 * precision * recall / together if together else 0)
