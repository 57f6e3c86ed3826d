"""One repetition of a dataset: what the index says of it, and each modality when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from lab.errors import FileFormatError, LayoutError
from storage.flex.description import SIGNALS
from storage.flex.entries import Row
from storage.flex.read_signals import StoredSignal, file_of, read_repetition_signals
from storage.flex.tables import GENERATION_KEY, first_line, table_file, text_metadata
from storage.video_reader import bgr_image, frames_between

if TYPE_CHECKING:
    import pandas as pd

Value = TypeVar("Value")

_END_OF_TIME_US: Final = 2**62


@dataclass(frozen=True)
class StoredRepetition:
    """A repetition as ``open_dataset`` hands it out. Nothing but ``row`` is read before it is asked for.

    ``row`` is its row of ``repetitions.parquet`` by column. Where the dataset was written anew since it was opened and
    this revision of the take is gone, each of the methods raises LayoutError and says that it must be opened again.
    """

    dataset: Path
    generation: str
    row: Row

    @property
    def id(self) -> str:
        """Its ``repetition_id``."""
        return str(self.row["repetition_id"])

    @property
    def subject(self) -> str:
        """Subject."""
        return str(self.row["subject"])

    @property
    def action(self) -> str:
        """Action, A01 to A20."""
        return str(self.row["action"])

    @property
    def take_id(self) -> str:
        """Take."""
        return str(self.row["take_id"])

    @property
    def number(self) -> int:
        """Number of the repetition in its take, from 1."""
        return int(self.row["repetition"])

    @property
    def bounds_s(self) -> tuple[float, float, float]:
        """Start, turn and end in seconds of session time."""
        return float(self.row["start_s"]), float(self.row["turn_s"]), float(self.row["end_s"])

    @property
    def excluded_reason(self) -> str | None:
        """Why not to use it; None: use it."""
        reason = self.row["excluded_reason"]
        return None if reason is None else str(reason)

    @property
    def views(self) -> tuple[str, ...]:
        """The views that have a clip of it, in order."""
        return tuple(sorted(name.removesuffix("_clip") for name, file in self.row.items() if _is_clip(name) and file))

    def signals(self, names: Collection[str] = tuple(SIGNALS)) -> dict[str, StoredSignal]:
        """Read its modalities, those among ``names`` that were recorded: each at its own rate with its own times.

        Raises LayoutError where the file is missing or damaged.
        """
        return self._read(
            lambda: read_repetition_signals(
                self.dataset, self.row["signals_file"], str(self.row["signals_group"]), names
            )
        )

    def signal(self, name: str) -> StoredSignal:
        """Read one modality: emg, pose, heart_rate or breath_rate.

        Raises LayoutError where it was not recorded, or where the file is missing or damaged.
        """
        if name not in SIGNALS:
            raise LayoutError(f"There is no signal '{name}'; ask for one of {', '.join(SIGNALS)}.")
        found = self.signals((name,))
        if name not in found:
            raise LayoutError(f"{self.id} has no {name}: it was not recorded; look at the take's modalities.")
        return found[name]

    def frames(self, columns: Collection[str] | None = None) -> pd.DataFrame:
        """Read its rows of the frames table, or ``columns`` of them: pose, sEMG envelope, rates, frames of all views.

        A row a frame of the reference view. Raises LayoutError where the file is missing or damaged, or has no such
        column.
        """
        return self._read(lambda: self._frames(columns))

    def clip(self, view: str) -> Path:
        """Return the path of a view's clip. Raises LayoutError where the view has none of it."""
        file = self.row.get(f"{view}_clip")
        if file is None:
            there = ", ".join(self.views) or "none"
            raise LayoutError(f"{self.id} has no clip of {view}; those it has: {there}.")
        path = file_of(self.dataset, file)

        def there_is() -> Path:
            if not path.is_file():
                raise LayoutError(f"{path} is missing; write take {self.take_id} again from its raw take.")
            return path

        return self._read(there_is)

    def pictures(self, view: str) -> Iterator[npt.NDArray[np.uint8]]:
        """Decode a view's clip frame by frame: BGR (height, width, 3), upright, start to end frame of the view.

        Raises LayoutError where the view has no clip of it, or where it is missing or damaged.
        """
        path = self.clip(view)
        try:
            for _, frame in frames_between(path, 0, _END_OF_TIME_US):
                yield bgr_image(frame)
        except FileFormatError as error:
            raise self._problem(
                LayoutError(f"{first_line(error)}; write take {self.take_id} again from its raw take.")
            ) from error

    def _frames(self, columns: Collection[str] | None) -> pd.DataFrame:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = file_of(self.dataset, self.row["frames_file"])
        wanted = int(self.row["frame_rows"])
        try:
            with pq.ParquetFile(path) as file:
                names = file.schema_arrow.names
                strange = sorted(set(columns or ()) - set(names))
                if strange:
                    raise LayoutError(f"{path} has no column '{strange[0]}'; `dataset.json` names those it has.")
                order = names if columns is None else list(dict.fromkeys(columns))
                place = _row_group(file.metadata, names.index("repetition"), self.number)
                table = file.schema_arrow.empty_table() if place is None else file.read_row_group(place, columns=order)
            table.validate(full=True)
            if table.num_rows != wanted:
                raise ValueError(f"it has {table.num_rows} rows of repetition {self.number}, not {wanted}")
        except (OSError, ValueError, pa.ArrowException, MemoryError, OverflowError) as error:
            raise LayoutError(
                f"{path} cannot be read ({first_line(error)}); write the take again from its raw take."
            ) from error
        frame: pd.DataFrame = table.select(order).to_pandas()
        return frame

    def _read(self, read: Callable[[], Value]) -> Value:
        try:
            return read()
        except LayoutError as error:
            raise self._problem(error) from error

    def _problem(self, error: LayoutError) -> LayoutError:
        """Tell a damaged file from one that another write of the dataset has replaced."""
        if generation_now(self.dataset) in (self.generation, None):
            return error
        return LayoutError(
            f"{self.dataset} was written anew since it was opened, and the files of {self.id} were replaced; open it"
            " again."
        )


def _is_clip(column: str) -> bool:
    return column.endswith("_clip")


def _row_group(metadata: Any, column: int, number: int) -> int | None:
    """Return the row group that holds a repetition, by its statistics; None where there is none."""
    for place in range(metadata.num_row_groups):
        statistics = metadata.row_group(place).column(column).statistics
        if statistics is not None and statistics.has_min_max and statistics.min == statistics.max == number:
            return place
    return None


def generation_now(dataset: Path) -> str | None:
    """Return the generation of the tables that are there now; None where it cannot be told."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return text_metadata(pq.read_schema(dataset / table_file("repetitions"))).get(GENERATION_KEY)
    except (OSError, ValueError, pa.ArrowException):
        return None
