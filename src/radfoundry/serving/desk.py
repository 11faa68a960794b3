"""The model's desk: one thread owns the model, takes waiting questions in order and answers those of one study together.

Everything about keys, values and features is `Answerer`'s; here is who waits, who is answered, and who has gone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from radfoundry.errors import RadfoundryError
from radfoundry.model import Answer, Answerer, Question, Study
from radfoundry.model.looking import Look
from radfoundry.serving.refusals import Refusal

__all__ = ["Asked", "Answered", "Desk", "State", "Told"]

State = Literal["loading", "ok", "stopping"]
Load = Callable[[], Answerer]

_logger = logging.getLogger(__name__)
_SEEN = 20  # batches from which the wait is estimated


class Answered(NamedTuple):
    """A finished answer, the study it is about, and how long the model worked on its batch."""

    answer: Answer
    study: Study
    seconds: float


Told = str | Answered | RadfoundryError | Refusal


@dataclass(eq=False)
class Asked:
    """A question in the queue.

    study: the ids of its images, in order. looks: how to look at them, where nobody has. question: made once the looks are there.
    tell: gets pieces of text and at last the answer or a failure, from the model's thread. gone: set by whoever no longer waits.
    """

    study: tuple[str, ...]
    looks: Callable[[], Sequence[Look]]
    question: Callable[[Study], Question]
    tell: Callable[[Told], None]
    gone: threading.Event = field(default_factory=threading.Event)


class Desk:
    """Loads a model in a thread of its own and answers what is put before it."""

    def __init__(self, load: Load, *, queue: int, batch: int, studies: int) -> None:
        self.limit, self.batch = queue, batch
        self.state: State = "loading"
        self.failure: RadfoundryError | None = None
        self.running = 0
        self.answered = 0
        self.tokens = 0
        self._load = load
        self._answerer: Answerer | None = None
        self._waiting: deque[Asked] = deque()
        self._change = threading.Condition()
        self._pace: deque[tuple[int, float]] = deque(maxlen=_SEEN)
        self._batch: list[Asked] = []
        self._recent: deque[tuple[str, ...]] = deque(maxlen=studies)
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Answer nothing more, and wait for the thread."""
        with self._change:
            self.state = "stopping"
            for asked in self._waiting:
                asked.tell(_unavailable("stopping"))
            self._waiting.clear()
            for asked in self._batch:
                asked.gone.set()
            self._change.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)

    @property
    def answerer(self) -> Answerer:
        """The model. Raises Refusal (503) while it is loading."""
        if self._answerer is None or self.state != "ok":
            raise _unavailable(self.state, self.failure)
        return self._answerer

    @property
    def waiting(self) -> int:
        """Questions that nobody works on yet."""
        return len(self._waiting)

    def knows(self, study: tuple[str, ...]) -> bool:
        """Whether a study is among the last that were opened."""
        return study in self._recent

    def admit(self) -> None:
        """Raise Refusal where a question would not be taken: 429 where too many wait, 503 while loading or stopping."""
        if self.state != "ok":
            raise _unavailable(self.state, self.failure)
        if len(self._waiting) >= self.limit:
            raise Refusal(
                429,
                "The queue is full.",
                f"{len(self._waiting)} questions are waiting; this one was not begun.",
                "Ask again after the time that Retry-After names.",
                retry_after=self.wait_seconds(),
            )

    def put(self, asked: Asked) -> None:
        """Queue a question. Raises Refusal as `admit` does."""
        with self._change:
            self.admit()
            self._waiting.append(asked)
            self._change.notify_all()

    def ahead(self, asked: Asked) -> int | None:
        """Return how many questions wait before this one; None once it is worked on."""
        with self._change:
            return next((place for place, other in enumerate(self._waiting) if other is asked), None)

    def wait_seconds(self) -> int:
        """Return how long the queue needs at the pace of the last batches, at least a second."""
        done = sum(count for count, _ in self._pace)
        spent = sum(seconds for _, seconds in self._pace)
        return max(1, round(spent / done * (len(self._waiting) + self.running))) if done else 2

    def _work(self) -> None:
        try:
            self._answerer = self._load()
        except RadfoundryError as error:
            self.failure = error
            _logger.error("the model cannot be loaded: %s", error)
            return
        with self._change:
            if self.state == "loading":
                self.state = "ok"
        while (batch := self._take()) is not None:
            began = time.perf_counter()
            self.running = len(batch)
            try:
                self._answer(batch, self._answerer)
            except Exception:  # one batch must not end the server
                _logger.exception("a batch failed")
                for asked in batch:
                    asked.tell(Refusal(500, "The model failed.", "", "Ask again; the server's log says more."))
            self._pace.append((len(batch), time.perf_counter() - began))
            self.running = 0

    def _take(self) -> list[Asked] | None:
        """Return the first question and those that can be answered with it: of its study, or of studies that are open. None: stop."""
        with self._change:
            while True:
                while self._waiting and self._waiting[0].gone.is_set():
                    self._waiting.popleft()
                if self.state == "stopping":
                    return None
                if self._waiting:
                    break
                self._change.wait()
            first = self._waiting[0]
            batch = [a for a in self._waiting if a.study == first.study or a.study in self._recent][: self.batch]
            if first not in batch:
                batch = [first, *batch[:-1]]
            self._waiting = deque(a for a in self._waiting if a not in batch)
            self._batch = [asked for asked in batch if not asked.gone.is_set()]
            return self._batch

    def _answer(self, batch: list[Asked], answerer: Answerer) -> None:
        began = time.perf_counter()
        ready: list[tuple[Asked, Study, Question]] = []
        for asked in batch:
            try:
                study = answerer.open(asked.looks, asked.study or None)
                ready.append((asked, study, asked.question(study)))
            except (RadfoundryError, Refusal) as error:
                asked.tell(error)
            else:
                self._remember(asked.study)
        told: set[int] = set()
        try:
            self._run(ready, answerer, began, told)
        except (RadfoundryError, Refusal) as error:
            left = [one for number, (one, _, _) in enumerate(ready) if number not in told]
            if len(ready) == 1:
                left[0].tell(error)
                return
            for one in left:  # somebody's question cannot be asked; the others are not to suffer
                self._answer([one], answerer)

    def _remember(self, study: tuple[str, ...]) -> None:
        if study in self._recent:
            self._recent.remove(study)
        self._recent.append(study)

    def _run(
        self, ready: Sequence[tuple[Asked, Study, Question]], answerer: Answerer, began: float, told: set[int]
    ) -> None:
        for number, said in answerer.run([(study, question) for _, study, question in ready]):
            asked, study, _ = ready[number]
            if isinstance(said, str):
                asked.tell(said)
                continue
            told.add(number)
            if said.finish == "cancelled":  # by its own client, who hears nothing any more, or by the end of the server
                asked.tell(_unavailable("stopping"))
                continue
            self.answered += 1
            self.tokens += said.tokens
            asked.tell(Answered(said, study, time.perf_counter() - began))


def _unavailable(state: State, failure: RadfoundryError | None = None) -> Refusal:
    if failure is not None:
        return Refusal(503, "There is no model.", failure.what, failure.mend, retry_after=60)
    why = "The model is still loading." if state == "loading" else "The server is stopping."
    return Refusal(503, "This cannot be answered now.", why, "Ask again in a moment.", retry_after=2)
