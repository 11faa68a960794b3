"""Any vision-language model of transformers as a predictor: `hf:FOLDER-OR-ID`. Its own code is never run, its weights are safetensors.

Questions are asked one at a time and greedily: an answer depends on nothing but its question. How pictures and volumes are shown, and how
text is read, is written in `showing.py`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from radfoundry.errors import RowError, UsageError
from radfoundry.evaluation.predictors.showing import read_answer, shown, words_of
from radfoundry.evaluation.predictors.weights import weights_hash
from radfoundry.ids import settings_hash
from radfoundry.protocols import Answer, Question
from radfoundry.records import MadeBy

__all__ = ["HuggingFaceModel"]

_SHORT, _LONG = 64, 512  # tokens: of one label, choice or box, and of sentences
_SHORT_KINDS = frozenset({"closed", "choice", "box"})


class HuggingFaceModel:
    """A model and its processor, on the GPU where there is one.

    Raises UsageError where the name leads nowhere, needs code of its own, or is no vision-language model that transformers knows.
    """

    looks = True

    def __init__(self, what: str) -> None:
        if not what:
            raise UsageError("hf: names no model", "it wants a folder or an id", "hf:FOLDER")
        _refuse_own_code(Path(what))
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.processor = AutoProcessor.from_pretrained(what, trust_remote_code=False)  # type: ignore[no-untyped-call]
            model: Any = AutoModelForImageTextToText.from_pretrained(
                what, trust_remote_code=False, use_safetensors=True, dtype="auto"
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise UsageError(
                f"hf:{what} cannot be opened",
                f"{type(error).__name__}: {str(error)[:300]}",
                "it must be a vision-language model that transformers knows without code of its own, with safetensors",
            ) from error
        self.model = model.to(self.device).eval()
        self.name = Path(what).name if Path(what).is_dir() else what
        self.made_by = MadeBy("hf", "1", _settings(what, model), self.name)
        self._special = _special_tokens(self.processor)

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Return one answer a question, in order; what fails is an answer with an error."""
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> Answer:
        if question.answer_kind == "mask":
            return read_answer(question, "", 0.0, "")
        began = time.perf_counter()
        try:
            messages = self._messages(question)
            text = self._generate(messages, _SHORT if question.answer_kind in _SHORT_KINDS else _LONG)
        except RowError as error:
            return Answer("", error=f"unreadable picture: {error.what}")
        except (
            RuntimeError,
            ValueError,
            IndexError,
        ) as error:  # the model's own refusals: too long, out of memory, too many pictures
            return Answer("", error=f"the model failed: {type(error).__name__} {str(error)[:200]}")
        return read_answer(question, text, time.perf_counter() - began, _sent(messages))

    def _messages(self, question: Question) -> list[dict[str, Any]]:
        pictures = {p.image_id: p for p in question.pictures}
        return [
            {
                "role": turn.role,
                "content": [
                    {"type": "image", "image": shown(pictures[part.ref])}
                    if part.kind == "image"
                    else {"type": "text", "text": self._plain(part.text)}
                    for part in parts
                ],
            }
            for turn, parts in zip(question.turns, words_of(question), strict=True)
        ]

    def _plain(self, text: str) -> str:
        """Text that spells a special token is parted, so that it stays text."""
        for token in self._special:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    @torch.inference_mode()
    def _generate(self, messages: list[dict[str, Any]], tokens: int) -> str:
        inputs = self._inputs(messages).to(self.device)
        made = self.model.generate(**inputs, max_new_tokens=tokens, do_sample=False, num_beams=1)
        new = made[0][inputs["input_ids"].shape[1] :] if not self.model.config.is_encoder_decoder else made[0]
        return str(self.processor.decode(new, skip_special_tokens=True)).strip()

    def _inputs(self, messages: list[dict[str, Any]]) -> Any:
        if getattr(self.processor, "chat_template", None):
            return self.processor.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            )
        parts = [part for message in messages for part in message["content"]]
        pictures = [part["image"] for part in parts if part["type"] == "image"]
        mark = getattr(self.processor, "image_token", "")
        words = " ".join(mark if part["type"] == "image" else part["text"] for part in parts).strip()
        return self.processor(images=pictures or None, text=words, return_tensors="pt")


def _refuse_own_code(folder: Path) -> None:
    """A folder whose configuration names code of its own would ask whether to run it; we say no before it can ask."""
    for name in ("config.json", "processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        try:
            said = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(said, dict) and "auto_map" in said:
            raise UsageError(
                f"{folder} needs code of its own",
                f"{name} names it (auto_map), and it is never run",
                "radfoundry convert, or another model",
            )


def _settings(what: str, model: Any) -> str:
    """The weights of a folder by their hash, those of an id by the commit they came with."""
    weights = weights_hash(Path(what)) or str(getattr(model.config, "_commit_hash", "") or "")
    return settings_hash({"weights": weights, "tokens": [_SHORT, _LONG]})


def _special_tokens(processor: Any) -> list[str]:
    tokenizer = getattr(processor, "tokenizer", processor)
    added = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    return sorted((token for token in added if len(token) > 1), key=len, reverse=True)


def _sent(messages: list[dict[str, Any]]) -> str:
    return "\n".join(
        f"{m['role']}: {' '.join('<picture>' if p['type'] == 'image' else p['text'] for p in m['content'])}"
        for m in messages
    )
