"""``dataset.json``: what every file, column and dataset of the layout means."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from lab.joints import JOINTS
from storage.flex.columns import FRAMES, STANDARD_VIEWS, TOP_TABLES, Column
from storage.flex.versions import LAYOUT_VERSION

#: The signals in each group of a signals file: (unit of values, shape, meaning).
SIGNALS: Final[dict[str, tuple[str, str, str]]] = {
    "emg": ("uV", "(samples, channels)", "sEMG as recorded, unfiltered; attribute labels names the channels."),
    "pose": ("m", "(samples, 21, 3)", "Joint positions x, y, z, z up, NaN where absent; order as joints."),
    "heart_rate": ("1/min", "(samples,)", "Heart rate, with the last value before the start."),
    "breath_rate": ("1/min", "(samples,)", "Breath rate, with the last value before the start."),
}


#: What the times beside each signal are.
TIME_DESCRIPTION: Final = "Session time of each sample, as the clock maps and the device's counter give it."


def _described(columns: Sequence[Column]) -> list[dict[str, Any]]:
    return [
        {"name": c.name, "type": c.type, "unit": c.unit, "nullable": c.nullable, "description": c.description}
        for c in columns
    ]


def dataset_description() -> dict[str, Any]:
    """Return the content of ``dataset.json``; it depends on the layout's version alone."""
    return {
        "layout": "FLEX",
        "layout_version": LAYOUT_VERSION,
        "time": "Seconds of session time: LSL local_clock of the recording host; takes.started_utc anchors it to UTC.",
        "index": (
            "repetitions.parquet is the index; it names the revision of every take that is part of the dataset. "
            "A file that no row names is a leftover of an interrupted write."
        ),
        "joints": list(JOINTS),
        "views": {
            "names": list(STANDARD_VIEWS),
            "note": "In a column name {view} stands for each view; a dataset with further views has their columns too.",
        },
        "emg_channels": (
            "Column emg_{channel} of frames is the envelope of one sEMG channel; {channel} is the recorded label in "
            "lower case with every other character than a-z, 0-9 and _ replaced by _ (a second equal name ends in _2). "
            "The label as recorded is in the column's description and in the attribute labels of the signals."
        ),
        "tables": {
            name: {"file": f"{name}.parquet", "columns": _described(columns)} for name, columns in TOP_TABLES.items()
        },
        "frames": {
            "file": "frames/action=<action>/subject=<subject>/<take_id>.<revision>.parquet",
            "rows": "One a frame of the reference view within each repetition, start to end frame inclusive; "
            "a row group a repetition. Repetitions that touch share a frame. "
            "Row i of a repetition is frame i of its clip of the reference view.",
            "columns": _described(FRAMES),
        },
        "signals": {
            "file": "signals/action=<action>/subject=<subject>/<take_id>.<revision>.h5",
            "groups": "rep_01, rep_02 …, each with a group for every modality of the take, with datasets values and "
            "time (float64 seconds of session time). Attributes of each dataset are unit, description, rate_nominal_hz "
            "and rate_measured_hz (NaN where not known), of the values labels too; of each modality's group stream, "
            "device, simulated and the rates.",
            "datasets": {
                name: {"unit": unit, "shape": shape, "description": text}
                for name, (unit, shape, text) in SIGNALS.items()
            },
        },
        "sync": {
            "file": "sync/action=<action>/subject=<subject>/<take_id>.<revision>.svg",
            "content": "A picture of how the times were found, a panel a stream: how late its arrivals came against "
            "the fitted times, its gaps, and how far each probe of its host's clock is from the fitted clock.",
        },
        "video": {
            "file": "video/action=<action>/subject=<subject>/<take_id>.<revision>/rep_<number>_<view>.mov",
            "frames": "The raw frames from the view's start to its end frame, both included: copied where every frame "
            "stands alone (as in Motion JPEG), else decoded and encoded again. Times begin at 0 and keep their "
            "spacing.",
            "comment": "The file's own metadata say which raw frames it holds: "
            "<take_id> <view> frames <first> to <last>.",
        },
    }


def dataset_json() -> bytes:
    """Return ``dataset.json`` as bytes, the same ones every time."""
    return (json.dumps(dataset_description(), indent=2, ensure_ascii=False) + "\n").encode()
