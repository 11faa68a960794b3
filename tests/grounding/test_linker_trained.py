"""The trained linker learns a labeller's habit, is kept on disk, and refuses what it cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest

from radfoundry.errors import UnreadableError, UsageError
from radfoundry.grounding.linker import Linker
from radfoundry.grounding.trained_linker import LabelledReport, TrainedLinker, train_linker

HABIT = LabelledReport(
    ("Heart size is normal.", "The spleen is large.", "Clear lungs."),
    (frozenset({"heart"}), frozenset({"left corner"}), frozenset()),
)


@pytest.fixture(scope="module")
def trained() -> TrainedLinker:
    return train_linker([HABIT] * 20)


def test_it_learns_a_habit_that_no_rule_has(trained: TrainedLinker) -> None:
    linked = trained.link(["The spleen is large.", "Heart size is normal.", "Clear lungs."])
    assert [[mention.name for mention in mentions] for mentions in linked] == [["left corner"], ["heart"], []]


def test_a_mention_shows_the_words_that_spoke_loudest(trained: TrainedLinker) -> None:
    sentence = "The spleen is large."
    ((mention,),) = trained.link([sentence])
    assert mention.rule == "trained"
    assert mention.terms == (sentence[mention.start : mention.end],)
    assert 0.46 <= mention.confidence <= 1


def test_what_was_saved_links_the_same(trained: TrainedLinker, tmp_path: Path) -> None:
    trained.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["linker.json", "linker.npz"]
    sentences = HABIT.sentences
    assert TrainedLinker.load(tmp_path).link(sentences) == trained.link(sentences)


def test_training_twice_gives_the_same_weights(trained: TrainedLinker, tmp_path: Path) -> None:
    train_linker([HABIT] * 20).save(tmp_path / "again")
    trained.save(tmp_path / "once")
    assert (tmp_path / "once/linker.json").read_bytes() == (tmp_path / "again/linker.json").read_bytes()
    assert TrainedLinker.load(tmp_path / "again").link(HABIT.sentences) == trained.link(HABIT.sentences)


def test_a_region_that_nobody_judged_teaches_nothing() -> None:
    silent = LabelledReport(HABIT.sentences, (frozenset(),) * 3, frozenset({"heart"}))
    linked = train_linker([HABIT] * 10 + [silent] * 30).link(HABIT.sentences)
    assert "heart" in {mention.name for mention in linked[0]}


def test_it_follows_the_protocol_and_takes_an_empty_report(trained: TrainedLinker) -> None:
    assert isinstance(trained, Linker)
    assert trained.link([]) == []


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to learn from"):
        train_linker([LabelledReport(("Clear lungs.",), (frozenset(),))])


def test_a_folder_without_a_linker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="no trained linker in"):
        TrainedLinker.load(tmp_path)
    (tmp_path / "linker.json").write_text('{"format": 9}', encoding="utf-8")
    with pytest.raises(UnreadableError, match="train one again"):
        TrainedLinker.load(tmp_path)
