"""The pictures of all views at start, turn and end of each repetition, with the pose beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from capture.page.markup import Markup, element
from capture.page.pictures import Picture
from capture.page.shown_take import MOMENTS, Moment, ShownTake
from capture.page.stick_figure import stick_figure
from lab.repetitions import Repetition
from storage.flex.versions import MAX_GAP_S

_FIGURE_PX: Final = 240.0
#: Where the views of one moment are no wider than this together, all three moments stand in a row.
_NARROW_PX: Final = 260


def contact_sheet(take: ShownTake, pictures: Sequence[Picture], height_px: int) -> list[Markup]:
    """Return the sheet: a column a view and one for the pose; a row a moment, or, where all fit, a row a repetition."""
    if not pictures and take.pose is None:
        return [element("p", "The take has neither views nor a pose.", class_="quiet")]
    views = sorted({picture.request.view for picture in pictures})
    found = {(one.request.repetition, one.request.moment, one.request.view): one for one in pictures}
    widths = [max(one.width for one in pictures if one.request.view == view) for view in views]
    numbers = sorted({one.request.repetition for one in pictures}) or list(range(1, len(take.repetitions) + 1)) or [0]
    moments: tuple[Moment, ...] = MOMENTS if take.repetitions else ("start", "middle", "end")
    names = [*views, *(["pose: front, side"] if take.pose is not None else [])]

    def cells_of(number: int, moment: Moment) -> list[Markup]:
        cells = [_cell(found.get((number, moment, view))) for view in views]
        if take.pose is not None:
            about = f"pose, repetition {number}, {moment}" if number else f"pose, {_said(number, moment)}"
            cells.append(_figure(take, _when(take, number, moment), float(height_px), about))
        return cells

    cells: list[Markup] = []
    if sum(widths) <= _NARROW_PX:
        columns = 1 + len(moments) * len(names)
        cells.append(element("div"))
        span = f"grid-column: span {len(names)}"
        cells += [element("div", _said(numbers[0], moment), class_="head", style=span) for moment in moments]
        cells.append(element("div"))
        cells += [element("div", name, class_="moment left") for _ in moments for name in names]
        for number in numbers:
            cells.append(element("div", number or "", class_="head"))
            cells += [cell for moment in moments for cell in cells_of(number, moment)]
    else:
        columns = 1 + len(names)
        cells += [element("div", name, class_="head") for name in ("", *names)]
        for number in numbers:
            if number:
                cells.append(element("div", f"repetition {number}", class_="ruled"))
            for moment in moments:
                cells += [element("div", _said(number, moment), class_="moment"), *cells_of(number, moment)]
    style = f"grid-template-columns: repeat({columns}, max-content)"
    return [element("div", *cells, class_="sheet", style=style)]


def _said(number: int, moment: Moment) -> str:
    return moment if number else _WHOLE[moment]


_WHOLE: Final[dict[Moment, str]] = {"start": "beginning", "middle": "middle", "end": "end"}


def large_pictures(take: ShownTake, one: Repetition, pictures: Sequence[Picture]) -> list[Markup]:
    """Return the pictures of one repetition, a view under the other, start, turn and end side by side."""
    parts = []
    if take.pose is not None:
        figures = [
            element(
                "figure",
                _figure(take, when_s, _FIGURE_PX, f"pose at the {moment}, from the front and from the side"),
                element("figcaption", f"{moment}, {when_s - take.zero_s:.2f} s: front, side"),
            )
            for moment, when_s in zip(MOMENTS, (one.start_s, one.turn_s, one.end_s), strict=True)
        ]
        parts += [element("h3", "pose"), element("div", *figures, class_="large")]
    for view in sorted({picture.request.view for picture in pictures}):
        its = {picture.request.moment: picture for picture in pictures if picture.request.view == view}
        figures = [
            element("figure", _cell(its.get(moment)), element("figcaption", _caption(moment, its.get(moment))))
            for moment in MOMENTS
        ]
        parts += [element("h3", view), element("div", *figures, class_="large")]
    return parts or [element("p", "The take has neither views nor a pose.", class_="quiet")]


def _caption(moment: Moment, picture: Picture | None) -> str:
    return moment if picture is None or picture.request.index < 0 else f"{moment}, frame {picture.request.index}"


def _cell(picture: Picture | None) -> Markup:
    if picture is None or not picture.data:
        return element("div", element("span", picture.reason if picture else "no frame", class_="nothing"))
    one = picture.request
    where = f"repetition {one.repetition}, " if one.repetition else ""
    about = f"{one.view}, {where}{one.moment}, frame {one.index}"
    image = element("img", src=Markup(picture.url), width=picture.width, height=picture.height, alt=about, title=about)
    return element("div", image)


def _when(take: ShownTake, number: int, moment: Moment) -> float:
    if not number:
        middle_s = (take.from_s + take.to_s) / 2
        return {"start": take.from_s, "middle": middle_s, "end": take.to_s}.get(moment, middle_s)
    one = take.repetitions[number - 1]
    return {"start": one.start_s, "turn": one.turn_s}.get(moment, one.end_s)


def _figure(take: ShownTake, when_s: float, height: float, about: str) -> Markup:
    pose = take.pose
    if pose is not None and len(pose.time_s):
        first, end = np.searchsorted(pose.time_s, (when_s - MAX_GAP_S, when_s + MAX_GAP_S))
        near = int(first) + np.flatnonzero(np.isfinite(pose.positions_m[first:end]).any(axis=(1, 2)))
        if near.size:
            nearest = int(near[np.argmin(np.abs(pose.time_s[near] - when_s))])
            return element("div", stick_figure(pose.positions_m[nearest], height, about))
    return element("div", element("span", "no pose of this moment", class_="nothing"))
