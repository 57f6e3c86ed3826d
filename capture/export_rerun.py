"""A raw take -> a Rerun recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from capture.console import Console
from capture.export import ExportRequest, check_names, make_folder
from capture.output_folder import plain_name, refuse_recorded_folder
from capture.recovery import recover_met
from capture.take_or_dataset import is_raw_take
from lab.errors import RequestError
from storage.take_folder import read_record, view_video_path

if TYPE_CHECKING:
    from lab.aligned import AlignedTake
    from storage.rerun_file import TimedPicture

Progress = Callable[[str, int, int], None]

#: Pictures of a view: so many a second, so high, so good; whole videos would make a recording of gigabytes.
PICTURES_HZ: Final = 10.0
PICTURE_PX: Final = 360
_QUALITY: Final = 75
_AT_ONCE: Final = 40


def export_rerun(request: ExportRequest) -> int:
    """Write the Rerun recording of a raw take and say where it is; return the exit code.

    Raises RequestError for a dataset, without the package rerun-sdk, and where the file may not be replaced; TakeError
    or LayoutError where the take cannot be read or the file not be written.
    """
    from storage.rerun_file import load_rerun, write_rerun

    console = Console()
    recover_met([request.place], console)
    if not is_raw_take(request.place, request.take_id):
        raise RequestError(f"{request.place} is a dataset; a Rerun recording is made of a raw take, give its folder")
    load_rerun()
    refuse_recorded_folder(request.output / "file", request.place)
    name = plain_name(read_record(request.place).id, ".rrd")
    check_names(request, [name])
    with console.progress() as progress:
        from capture.process_take import process_in_memory

        processed = process_in_memory(request.place, progress, verify=True)
        make_folder(request.output)
        pictures = _pictures(request, processed.aligned, progress)
        write_rerun(request.output / name, processed.aligned, processed.segmentation, pictures)
    console.line(f"{request.output / name}; open it with `rerun {name}`")
    return 0


def _pictures(request: ExportRequest, take: AlignedTake, progress: Progress) -> Iterator[TimedPicture]:
    """Yield each view's pictures in order of time; frames that cannot be decoded are left out."""
    from capture.page.pictures import load_pictures
    from capture.page.shown_take import PictureRequest
    from storage.flex.view_frames import ViewFrames
    from storage.rerun_file import TimedPicture

    chosen = []
    for view in take.views:
        frames = ViewFrames.of(view)
        if len(frames.time_s):
            _, first = np.unique(np.floor((frames.time_s - frames.time_s[0]) * PICTURES_HZ), return_index=True)
            chosen += [(view.view, float(frames.time_s[place]), int(frames.index[place])) for place in first]
    for done in range(0, len(chosen), _AT_ONCE):
        progress("pictures", done, len(chosen))
        part = chosen[done : done + _AT_ONCE]
        wanted = [
            PictureRequest(number, "middle", name, view_video_path(request.place, take.record, name), index)
            for number, (name, _, index) in enumerate(part)
        ]
        loaded = load_pictures(wanted, PICTURE_PX, _QUALITY, lambda _done, _total: None)
        for (name, when_s, _), picture in zip(part, loaded, strict=True):
            if picture.data:
                yield TimedPicture(name, when_s, picture.data)
    progress("pictures", len(chosen), len(chosen))
