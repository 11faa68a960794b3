"""Text to ids and back, with special tokens that no text can spell.

A codec turns text into ids: a `tokenizer.json` (byte-level BPE of ours, or a published one) or a SentencePiece model.
Special tokens are no part of what a codec sees: only processors write them. A report that contains `[SEG]` or `<image>` is
tokenised as the characters it is made of.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sentencepiece import SentencePieceProcessor
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from radfoundry.errors import UnreadableError

__all__ = ["SPECIAL_TOKENS", "Codec", "JsonTokenizer", "SentencePieces", "Vocabulary"]

SPECIAL_TOKENS = ("pad", "bos", "eos", "user", "assistant", "image", "image_end", "region", "seg", "box")


class Codec(Protocol):
    """What turns text into ids."""

    size: int
    file_name: str

    def encode(self, text: str) -> list[int]:
        """Ids of a text, none of them special."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""

    def names(self) -> dict[str, int]:
        """Ids of the tokens that the codec's own file adds or calls special."""

    def to_bytes(self) -> bytes:
        """The content of the codec's file."""


class JsonTokenizer:
    """A tokenizer of the `tokenizers` library; none of its added tokens is recognised in text.

    Published files add ordinary tokens too (M3D's `[SEG]`, tool marks); here every added token counts as special.
    """

    file_name = "tokenizer.json"

    def __init__(self, tokenizer: Tokenizer) -> None:
        values = json.loads(tokenizer.to_str())
        for token in values["added_tokens"]:
            token["special"] = True
        self.tokenizer = Tokenizer.from_str(json.dumps(values))
        self.tokenizer.encode_special_tokens = True
        self.size = tokenizer.get_vocab_size(with_added_tokens=True)

    @classmethod
    def train(cls, texts: Iterable[str], size: int) -> JsonTokenizer:
        """Learn a byte-level BPE of at most `size` ids; any text round-trips."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def names(self) -> dict[str, int]:
        return {token.content: i for i, token in self.tokenizer.get_added_tokens_decoder().items()}

    def to_bytes(self) -> bytes:
        content: str = self.tokenizer.to_str()
        return content.encode()


class SentencePieces:
    """A SentencePiece model (LLaMA's `tokenizer.model`); `</s>` and the like in a text are characters."""

    file_name = "tokenizer.model"

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.model = SentencePieceProcessor(model_proto=content)
        self.size = self.model.vocab_size()

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.model.encode(text)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self.model.decode([int(i) for i in ids])
        return text

    def names(self) -> dict[str, int]:
        return {name: int(self.model.piece_to_id(name)) for name in ("<unk>", "<s>", "</s>")}

    def to_bytes(self) -> bytes:
        return self.content


class Vocabulary:
    """A codec and the ids of the special tokens; ours lie behind the codec's last id."""

    def __init__(self, codec: Codec, special: Mapping[str, int] | None = None) -> None:
        self.codec = codec
        self.text_size = codec.size
        self.special = dict(special) if special else {name: codec.size + i for i, name in enumerate(SPECIAL_TOKENS)}
        self._silent = set(self.special.values())

    @property
    def size(self) -> int:
        """Rows that the language model's embedding needs."""
        return max(self.text_size, 1 + max(self.special.values()))

    @classmethod
    def train(cls, texts: Iterable[str], size: int = 1024) -> Vocabulary:
        """Learn a byte-level vocabulary of at most `size` ids, special ones included."""
        return cls(JsonTokenizer.train(texts, size - len(SPECIAL_TOKENS)))

    def encode(self, text: str) -> list[int]:
        """Ids of a text; never a special one."""
        return self.codec.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; special ones are left out."""
        return self.codec.decode([i for i in ids if 0 <= i < self.text_size and i not in self._silent])


def read_codec(file: Path) -> Codec:
    """Read `tokenizer.json` or `tokenizer.model`.

    Raises:
        UnreadableError: the file is neither.
    """
    try:
        content = file.read_bytes()
        if file.suffix == ".json":
            return JsonTokenizer(Tokenizer.from_buffer(content))
        return SentencePieces(content)
    except (OSError, ValueError, RuntimeError) as error:
        raise UnreadableError(f"cannot read the tokenizer {file}", str(error)) from error
