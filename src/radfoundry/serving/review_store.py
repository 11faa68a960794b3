"""Verdicts of readers in a database beside the corpus, stored before the reply, and exported as the table `reviews`."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from radfoundry.arrow import to_table
from radfoundry.corpus import disk, ledger
from radfoundry.corpus.wave import parquet_bytes
from radfoundry.ids import make_id
from radfoundry.records import Review

__all__ = ["REVIEWS", "ReviewStore"]

REVIEWS = "reviews.sqlite3"
_WAVE, _TABLE = "reviews", "tables/reviews/reviews.parquet"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS reviews (
  row_id TEXT NOT NULL, reader TEXT NOT NULL, verdict TEXT NOT NULL, note TEXT NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY (row_id, reader)
) WITHOUT ROWID
"""


class ReviewStore:
    """The verdicts on one corpus. Safe between threads and between processes: SQLite's journal is written ahead and synced."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._lock = threading.Lock()
        self._exports = threading.Lock()
        self._db = sqlite3.connect(out / REVIEWS, check_same_thread=False, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(_SCHEMA)
        if self.rows():
            self.export()  # what a killed server had stored and not exported

    def add(self, row_id: str, verdict: str, note: str, reader: str) -> Review:
        """Store a verdict; an earlier one of the same reader on the row is replaced. On disk when this returns."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        with self._cursor() as cursor:
            cursor.execute(
                "INSERT OR REPLACE INTO reviews VALUES (?, ?, ?, ?, ?)", (row_id, reader, verdict, note, when)
            )
        return _row((row_id, reader, verdict, note, when))

    def rows(self, reader: str = "", row_id: str = "") -> list[Review]:
        """Return verdicts in order of rows and readers; of one reader, on one row, where given."""
        with self._cursor() as cursor:
            cursor.execute(
                "SELECT * FROM reviews WHERE (?1 = '' OR reader = ?1) AND (?2 = '' OR row_id = ?2) ORDER BY row_id, reader",
                (reader, row_id),
            )
            return [_row(values) for values in cursor.fetchall()]

    def judged(self, reader: str) -> frozenset[str]:
        """Return the rows that a reader has judged."""
        return frozenset(review.row_id for review in self.rows(reader)) if reader else frozenset()

    def export(self) -> None:
        """Write the table `reviews` of the corpus: a file and its manifest, as a wave of their own."""
        with self._exports:
            data = parquet_bytes(to_table("reviews", self.rows()))
            about = json.loads((self.out / "corpus.json").read_bytes())
            manifest = {
                "wave": _WAVE,
                "pipeline": about["pipeline"],
                "inputs": [],
                "outputs": {_TABLE: {"hash": disk.content_hash(data), "bytes": len(data)}},
                "rows": {"reviews": len(self.rows())},
            }
            ledger.commit(self.out, _WAVE, {_TABLE: data}, lambda: manifest)

    def close(self) -> None:
        """Write the table once more and let the database go."""
        if self.rows():
            self.export()
        with self._lock:
            self._db.close()

    @contextmanager
    def _cursor(self) -> Iterator[sqlite3.Cursor]:
        with self._lock:
            cursor = self._db.cursor()
            try:
                yield cursor
            finally:
                cursor.close()


def _row(values: tuple[str, str, str, str, str]) -> Review:
    row_id, reader, verdict, note, when = values
    return Review(make_id("review", row_id, reader), row_id, verdict, note, reader, when)


def as_json(review: Review) -> dict[str, str]:
    """Return a row of `reviews` as JSON."""
    return asdict(review)
