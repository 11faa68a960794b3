"""The one way into a corpus folder: tables as Arrow, rows as dataclasses, pictures from their source, masks from their label maps."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from radfoundry.arrow import from_table, schema_of
from radfoundry.corpus import ledger
from radfoundry.corpus.about import FORMAT_VERSION
from radfoundry.corpus.balance import balanced
from radfoundry.corpus.images import read_pixels
from radfoundry.corpus.labelmaps import decode_labelmap, labelmap_name
from radfoundry.corpus.samples import Samples
from radfoundry.errors import CorpusError, UsageError
from radfoundry.records import SCHEMA_VERSION, TABLES, Image, Region

__all__ = ["Corpus", "ImageReader"]

ImageReader = Callable[[Path, Image], npt.NDArray]

# table -> the column by which its rows hang on another table's
_PARENTS = {
    "regions": ("image_id", "images"),
    "descriptions": ("image_id", "images"),
    "sentences": ("report_id", "reports"),
    "findings": ("sentence_id", "sentences"),
    "links": ("sentence_id", "sentences"),
}


class Corpus:
    """A corpus folder, read only. Rows of waves without a manifest do not exist, nor do studies left out as twins of others.

    root: where the source images lie now, if not where they lay when the corpus was built. image_reader: (path, image row) ->
    canonical pixels; without one the project's own readers are used.
    Raises CorpusError where the folder holds no corpus, or one of another version.
    """

    def __init__(self, path: Path | str, *, root: Path | None = None, image_reader: ImageReader | None = None) -> None:
        self.path = Path(path)
        self._root, self._read = root, image_reader or read_pixels
        self._kept: dict[str, pa.Table] = {}
        if not (self.path / "corpus.json").is_file():
            raise CorpusError(
                f"{self.path} holds no corpus",
                "there is no corpus.json: another folder, or a build that has not come to its end",
                "give the folder that `radfoundry build` wrote, or run the build again: it goes on where it stopped",
            )
        self._check_version()
        self.left_out = frozenset(self.about["twins"])

    @cached_property
    def about(self) -> dict[str, Any]:
        """The content of corpus.json."""
        return dict(json.loads((self.path / "corpus.json").read_bytes()))

    @property
    def root(self) -> Path:
        """Where the source images lie."""
        return self._root or Path(self.about["source_root"])

    def without(self, study_ids: Collection[str]) -> Corpus:
        """Return the same corpus without these studies and everything that hangs on them alone."""
        other = Corpus(self.path, root=self._root, image_reader=self._read)
        other.left_out = self.left_out | frozenset(study_ids)
        return other

    def dataset(self, table: str) -> ds.Dataset:
        """Return a table unread and as it was written, for pyarrow's scans: keys may come twice, nothing is left out or moved."""
        if table not in TABLES:
            raise UsageError(f"there is no table {table!r}", f"the tables are {', '.join(TABLES)}")
        return ds.dataset(self._files.get(table, []), schema=schema_of(table), format="parquet")

    def table(
        self, table: str, *, columns: Sequence[str] | None = None, where: pc.Expression | None = None
    ) -> pa.Table:
        """Return a table sorted by its key, each key once. columns, where: read only these columns, only these rows."""
        data = self.dataset(table)
        moved = "split" in data.schema.names and bool(self.about["moved_to_train"])
        conditions = [self._present(table), None if moved else where]
        wanted = None if moved or columns is None else list(dict.fromkeys([*columns, *TABLES[table][1]]))
        rows = data.to_table(columns=wanted, filter=_all(conditions))
        if moved:
            rows = self._move(rows)
            rows = rows if where is None else rows.filter(where)
        rows = _unique(rows, TABLES[table][1])
        return rows if columns is None else rows.select(list(columns))

    def rows(self, table: str, *, where: pc.Expression | None = None) -> list[Any]:
        """Return a table's rows as their dataclass."""
        return from_table(table, self.table(table, where=where))

    def samples(self, task: str | None = None, split: str | None = None) -> Samples:
        """Return the samples of a task and a split (None: of all) as a sequence with random access.

        Closed questions come answered yes as often as no (`corpus/balance.py`); the table `samples` has them all.
        """
        wanted = [pc.field(name) == value for name, value in (("task", task), ("split", split)) if value is not None]
        return Samples(balanced(self.table("samples", where=_all(wanted))))

    def image(self, image_id: str) -> tuple[npt.NDArray, Image]:
        """Return an image's canonical pixels, read anew from its source, and its row."""
        row: Image = self._one("images", "image_id", image_id)
        return self._read(self.root / row.path, row), row

    def labelmap(self, image_id: str, label_set: str) -> npt.NDArray[np.integer]:
        """Return the labels of an image, `[z, y, x]` or `[y, x]` on its canonical grid."""
        path = self.path / labelmap_name(image_id, label_set)
        if not path.is_file():
            raise CorpusError(
                f"image {image_id} has no label map {label_set!r}", f"there is no {path}", "build it again"
            )
        return decode_labelmap(path.read_bytes())

    def mask(self, region_id: str) -> npt.NDArray[np.bool_]:
        """Return where a region is, on its image's canonical grid."""
        row: Region = self._one("regions", "region_id", region_id)
        return self.labelmap(row.image_id, row.label_set) == row.label_value

    @cached_property
    def _files(self) -> dict[str, list[str]]:
        return ledger.table_files(self.path)

    def _check_version(self) -> None:
        made, schema = self.about["format_version"], self.about["schema_version"]
        if made > FORMAT_VERSION or schema > SCHEMA_VERSION:
            raise CorpusError(
                f"{self.path} was made by a newer radfoundry",
                f"its format is {made}.{schema}, this one reads up to {FORMAT_VERSION}.{SCHEMA_VERSION}",
                "pip install -U radfoundry",
            )
        if schema < SCHEMA_VERSION:
            raise CorpusError(
                f"the tables of {self.path} have an older shape",
                f"their schema is {schema}, this one is {SCHEMA_VERSION}",
                f"python -c 'import radfoundry.corpus as c; c.migrate(\"{self.path}\")'",
            )

    def _present(self, table: str) -> pc.Expression | None:
        """The rows that do not hang on a study left out."""
        if not self.left_out:
            return None
        if "study_id" in schema_of(table).names:
            return ~pc.field("study_id").isin(pa.array(sorted(self.left_out)))
        if table not in _PARENTS:
            return None
        column, parent = _PARENTS[table]
        return pc.field(column).isin(self.table(parent, columns=[column])[column].combine_chunks())

    def _move(self, rows: pa.Table) -> pa.Table:
        """Put into train what must not straddle splits."""
        moved = pc.is_in(rows["study_id"], pa.array(self.about["moved_to_train"]))
        split = pc.if_else(moved, pa.scalar("train"), rows["split"])
        place = rows.schema.get_field_index("split")
        return rows.set_column(place, rows.schema.field(place), split)

    def _one(self, table: str, column: str, value: str) -> Any:
        data = self._sorted(table)
        ids = data[column]
        place = bisect_left(range(data.num_rows), value, key=lambda i: ids[i].as_py())
        if place == data.num_rows or ids[place].as_py() != value:
            raise UsageError(f"there is no {value!r} in the table {table} of {self.path}")
        return from_table(table, data.slice(place, 1))[0]

    def _sorted(self, table: str) -> pa.Table:
        """A whole table in memory, kept, for looking rows up by id."""
        if table not in self._kept:
            self._kept[table] = self.table(table)
        return self._kept[table]


def _unique(data: pa.Table, key: Sequence[str]) -> pa.Table:
    """Sort by key and keep the first of equal keys; pyarrow's sort is stable, so the first wave's row stays."""
    data = data.sort_by([(column, "ascending") for column in key]).combine_chunks()
    if data.num_rows < 2:
        return data
    new = _any([pc.not_equal(data[c][1:], data[c][:-1]) for c in key])
    return data.filter(pa.concat_arrays([pa.array([True]), new]))


def _any(masks: Sequence[pa.ChunkedArray]) -> pa.Array:
    whole = masks[0]
    for mask in masks[1:]:
        whole = pc.or_(whole, mask)
    return whole.combine_chunks()


def _all(conditions: Sequence[pc.Expression | None]) -> pc.Expression | None:
    whole = None
    for condition in conditions:
        if condition is not None:
            whole = condition if whole is None else whole & condition
    return whole
