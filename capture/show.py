"""From what was asked to a page on the disk: which content, which file, and may it be written there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from capture.console import Console
from capture.output_folder import plain_name, refuse_recorded_folder
from capture.recovery import recover_met
from capture.take_or_dataset import is_raw_take
from lab.errors import RequestError, TakeError
from storage.atomic import write_bytes_atomically
from storage.os_errors import reason

if TYPE_CHECKING:
    from capture.page.shown_take import ShownTake

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ShowRequest:
    """What the operator asked for. ``take_id`` is a take of the dataset at ``place``."""

    place: Path
    take_id: str | None
    repetition: int | None
    output: Path | None
    force: bool


def write_page(request: ShowRequest) -> int:
    """Write the page that was asked for and say where it is; return the exit code.

    Raises RequestError where there is nothing to show or the file may not be written, TakeError or LayoutError where
    the take or the dataset cannot be read. Nothing but the page is written, and that whole or not at all.
    """
    console = Console()
    recover_met([request.place], console)
    source = _source_of(request)
    output = request.output or Path(source.default_name)
    _check_output(output, request)
    with console.progress() as progress:
        page = source.page(progress)
    try:
        write_bytes_atomically(output, page)
    except OSError as error:
        raise TakeError(f"{output} cannot be written ({reason(error)}); name another file with --output") from None
    console.line(f"{output} · {len(page) / 1e6:.1f} MB; open it in a browser")
    return 0


@dataclass(frozen=True)
class _Source:
    """Something that a page can be made of."""

    default_name: str
    page: Callable[[Progress], bytes]


def _source_of(request: ShowRequest) -> _Source:
    return _raw_source(request) if is_raw_take(request.place, request.take_id) else _dataset_source(request)


def _raw_source(request: ShowRequest) -> _Source:
    from storage.take_folder import read_record

    def page(progress: Progress) -> bytes:
        from capture.page.raw_content import raw_take

        return _page_of(raw_take(request.place, progress), request.repetition, progress)

    return _Source(_name(read_record(request.place).id, request.repetition), page)


def _dataset_source(request: ShowRequest) -> _Source:
    from capture.dataset_rows import read_rows
    from capture.page.dataset_content import dataset_take

    rows = read_rows(request.place)
    take_id = request.take_id or (rows.only_take() if request.repetition is not None else None)
    if take_id is None:

        def overview(_progress: Progress) -> bytes:
            from capture.page.dataset_sections import dataset_page

            return dataset_page(request.place, rows)

        return _Source(plain_name(request.place.resolve().name, ".html"), overview)
    rows.entry(take_id)

    def page(progress: Progress) -> bytes:
        return _page_of(dataset_take(request.place, rows, take_id, progress), request.repetition, progress)

    return _Source(_name(take_id, request.repetition), page)


def _page_of(take: ShownTake, repetition: int | None, progress: Progress) -> bytes:
    from capture.page.take_sections import repetition_page, take_page

    def step(done: int, total: int) -> None:
        progress("pictures", done, total)

    return take_page(take, step) if repetition is None else repetition_page(take, repetition, step)


def _name(take_id: str, repetition: int | None) -> str:
    return plain_name(take_id, ".html" if repetition is None else f"_rep{repetition:02d}.html")


def _check_output(output: Path, request: ShowRequest) -> None:
    """Raise RequestError where the page would overwrite something else, or add a file to what it shows."""
    from capture.page.document import is_page_of_ours

    if output.is_dir():
        raise RequestError(f"{output} is a folder; name a file with --output")
    folder = output.absolute().parent
    if not folder.is_dir():
        raise RequestError(f"{folder} does not exist; make it, or name another file with --output")
    refuse_recorded_folder(output, request.place)
    try:
        if output.exists() and not request.force and not is_page_of_ours(output):
            raise RequestError(f"{output} exists and is not a page of flex-capture; name another file, or use --force")
    except OSError as error:
        raise RequestError(f"{output} cannot be read ({reason(error)}); name another file with --output") from None
