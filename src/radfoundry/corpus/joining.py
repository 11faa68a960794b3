"""Tables side by side: each row with the row of another table that it hangs on, whatever types their columns have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from radfoundry.errors import UsageError
from radfoundry.records import TABLES

if TYPE_CHECKING:
    from radfoundry.corpus.corpus import Corpus

__all__ = ["join"]


def join(corpus: Corpus, table: str, *others: str) -> pa.Table:
    """Return a table with columns `<other>.<column>` of each other table beside its own; empty where a row hangs on nothing.

    A way of several steps names each: `join(corpus, "findings", "sentences", "reports", "studies")`. Arrow's own join refuses lists
    and structures, which these tables have. Raises UsageError where nothing read so far has the other table's key.
    """
    rows = corpus.table(table)
    for other in others:
        beside = corpus.table(other)
        key = TABLES[other][1][0]
        found = [name for name in rows.column_names if name.rpartition(".")[2] == key]
        if not found:
            raise UsageError(
                f"{table} cannot be joined with {other}",
                f"nothing read so far has a {key}",
                "name the tables between them",
            )
        places = pc.index_in(rows[found[-1]], beside[key].combine_chunks())
        matched = beside.take(places)
        for name in beside.column_names:
            rows = rows.append_column(f"{other}.{name}", matched[name])
    return rows
