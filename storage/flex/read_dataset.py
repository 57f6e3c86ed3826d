"""Read a dataset: open it, go through its repetitions, take what is wanted of each.

with_emg = [one.signal("emg") for one in open_dataset("flex-data/dataset").repetitions(action="A16")]
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lab.errors import LayoutError
from storage.flex.columns import REPETITIONS, TOP_TABLES
from storage.flex.folder import check_place, must_be_begun
from storage.flex.stored_repetition import StoredRepetition, generation_now
from storage.flex.tables import GENERATION_KEY, committed_takes, read_parquet, table_file, text_metadata
from storage.flex.validate_tables import schema_findings

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ROWS_AT_ONCE: Final = 256


@dataclass(frozen=True)
class Dataset:
    """An open dataset: its index as it was when it was opened. It holds no file open and needs no closing.

    Written anew meanwhile, it goes on answering from the revisions that it saw; a take whose files were replaced says
    that the dataset must be opened again (LayoutError). ``index`` is ``repetitions.parquet`` (Arrow), ``generation``
    the hash of the takes and revisions that it names.
    """

    path: Path
    generation: str
    index: pa.Table

    def __len__(self) -> int:
        """Return how many repetitions there are, excluded ones too."""
        return int(self.index.num_rows)

    def repetitions(
        self,
        *,
        subject: str | Collection[str] | None = None,
        action: str | Collection[str] | None = None,
        session: str | Collection[str] | None = None,
        take_id: str | Collection[str] | None = None,
        skill: str | Collection[str] | None = None,
        excluded: bool = False,
    ) -> Iterator[StoredRepetition]:
        """Yield the repetitions that have one of the values given, in the order of the index.

        Those that are not to be used (retaken, excluded) are left out unless ``excluded``.
        """
        import pyarrow.compute as pc

        chosen = self.index if excluded else self.index.filter(pc.is_null(self.index["excluded_reason"]))
        for name, asked in (
            ("subject", subject),
            ("action", action),
            ("session", session),
            ("take_id", take_id),
            ("skill", skill),
        ):
            if asked is not None:
                values = [asked] if isinstance(asked, str) else list(asked)
                chosen = chosen.filter(_is_one_of(chosen[name], values))
        for batch in chosen.to_batches(max_chunksize=_ROWS_AT_ONCE):
            for row in batch.to_pylist():
                yield StoredRepetition(self.path, self.generation, row)

    def repetition(self, repetition_id: str) -> StoredRepetition:
        """Return the repetition of an id, excluded or not. Raises LayoutError where there is none."""
        place = self._place_of.get(repetition_id)
        if place is None:
            raise LayoutError(f"{self.path} has no repetition '{repetition_id}'; repetitions.parquet lists them.")
        return StoredRepetition(self.path, self.generation, self.index.slice(place, 1).to_pylist()[0])

    @cached_property
    def _place_of(self) -> dict[str, int]:
        return {one: place for place, one in enumerate(self.index["repetition_id"].to_pylist())}

    def table(self, name: str) -> pd.DataFrame:
        """Read a table at the top: repetitions, takes, streams, subjects, actions or annotations.

        Raises LayoutError where it is missing, damaged, or of another write than the index that was opened.
        """
        if name not in TOP_TABLES:
            raise LayoutError(f"There is no table '{name}'; ask for one of {', '.join(TOP_TABLES)}.")
        if name == "repetitions":
            return _frame(self.index)
        table = read_parquet(self.path / table_file(name))
        if name != "annotations" and text_metadata(table.schema).get(GENERATION_KEY) != self.generation:
            again = generation_now(self.path) != self.generation
            raise LayoutError(
                f"{self.path / table_file(name)} is of another write than the index; "
                + ("open the dataset again." if again else "run `flex-capture rebuild` if nobody is writing it.")
            )
        return _frame(table)


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _is_one_of(column: pa.ChunkedArray, values: Collection[str]) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_in(column, value_set=pa.array(values, pa.string()))


def open_dataset(path: Path | str) -> Dataset:
    """Open a dataset to read it; only its index is read.

    Raises LayoutError where the folder is no dataset, is of another version of the layout, or where its index is
    missing or damaged.
    """
    dataset = Path(path)
    must_be_begun(dataset)
    check_place(dataset)
    file = table_file("repetitions")
    index = read_parquet(dataset / file)
    problems = schema_findings(file, index, REPETITIONS)
    if problems:
        raise LayoutError(f"{dataset}: {problems[0].rstrip('.')}; run `flex-capture rebuild`.")
    metadata = text_metadata(index.schema)
    committed_takes(metadata)
    return Dataset(dataset, metadata.get(GENERATION_KEY, ""), index)
