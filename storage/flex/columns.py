"""Every column of every table, defined once: type, unit and meaning.

The Parquet schemas, ``dataset.json`` and the validation all come from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Literal

from lab.joints import JOINTS
from storage.flex.versions import BOUND_TOLERANCE_S, MAX_FRAME_PERIODS, MAX_GAP_S, MAX_HOLD_S

if TYPE_CHECKING:
    import pyarrow as pa

#: The views every table has columns for, with or without data; further views add theirs.
STANDARD_VIEWS: Final = ("view1", "view2", "view3", "view4", "view5")

ColumnType = Literal["string", "bool", "int64", "float64", "float32", "list<string>"]


@dataclass(frozen=True)
class Column:
    """One column. ``each`` says what a pattern in its name, such as ``{view}``, stands for."""

    name: str
    type: ColumnType
    description: str
    unit: str = ""
    nullable: bool = False
    each: Literal["", "view", "channel", "joint"] = ""


@dataclass(frozen=True)
class EmgColumn:
    """An sEMG channel in the frames table: the ``name`` of its column and its ``label`` as recorded."""

    name: str
    label: str


_TAKE_ID = Column("take_id", "string", "Take: <subject>_<session>_<take> as recorded; unique in takes.")
_SUBJECT = Column("subject", "string", "Subject.")
_SESSION = Column("session", "string", "Session: one subject, one visit.")
_ACTION = Column("action", "string", "Action, A01 to A20.")
_REPETITION = Column("repetition", "int64", "Number of the repetition in its take, from 1, in order of time.")
_SKILL = Column("skill", "string", "Skill level: novice, amateur or expert; null if not given.", nullable=True)
_LOAD = Column(
    "load_kg",
    "float64",
    "Load: a barbell counts itself, a dumbbell counts one side; null if not given.",
    "kg",
    nullable=True,
)
_EXPECTED = Column("expected", "int64", "Repetitions asked for; null if no count was asked for.", nullable=True)
_FOUND = Column("found", "int64", "Repetitions found in the take.")
_IN_SYNC = Column("in_sync", "bool", "Whether every stream of the take is within its tolerance of time.")
_SIMULATED = Column("simulated", "bool", "Whether any device of the take was simulated.")
_FRAMES_FILE = Column("frames_file", "string", "Frames table of the take, relative to the dataset.")
_SIGNALS_FILE = Column("signals_file", "string", "Signals (HDF5) of the take, relative to the dataset.")

SUBJECTS: Final = (
    Column("subject", "string", "Subject; unique."),
    Column(
        "skill",
        "string",
        "Skill level by the subject's sheet, or else by the latest take that gives one.",
        nullable=True,
    ),
    Column("sex", "string", "female, male or other; null if not given.", nullable=True),
    Column("age_years", "int64", "Age in whole years at the first session; null if not given.", "a", nullable=True),
    Column("height_m", "float64", "Height; null if not given.", "m", nullable=True),
    Column("mass_kg", "float64", "Body mass; null if not given.", "kg", nullable=True),
    Column("dominant_side", "string", "right or left; null if not given.", nullable=True),
    Column("simulated", "bool", "Whether all takes of the subject are simulated."),
)

#: The columns of subjects that come from the subjects' sheets.
SHEET_COLUMNS: Final = ("skill", "sex", "age_years", "height_m", "mass_kg", "dominant_side")

ACTIONS_TABLE: Final = (
    Column("action", "string", "Action, A01 to A20; unique."),
    Column("name", "string", "Name of the action; null where no public source names it.", nullable=True),
    Column("name_confirmed", "bool", "Whether the name comes from a public source of FLEX."),
    Column("implement", "string", "barbell or dumbbell."),
)

TAKES: Final = (
    _TAKE_ID,
    _SUBJECT,
    _SESSION,
    Column("take", "string", "Take within the session as recorded: <action>-<number>."),
    _ACTION,
    _SKILL,
    _LOAD,
    _EXPECTED,
    _FOUND,
    Column("doubts", "list<string>", "What is in doubt about the set of repetitions as a whole."),
    Column(
        "current",
        "bool",
        "False if another take of the same subject, session and action replaces this one: a later one.",
    ),
    Column("excluded_reason", "string", "Why the take was marked not to be used; null if it was not.", nullable=True),
    Column("faults", "list<string>", "What failed while it was recorded, and what of its raw files is damaged."),
    Column("notes", "list<string>", "What people said about the take, and what they set right."),
    _SIMULATED,
    Column("simulated_devices", "list<string>", "The devices that were simulated."),
    Column("state", "string", "How the recording ended: complete, recovered or failed."),
    Column(
        "started_utc",
        "string",
        "Start of the recording in UTC, ISO 8601; null for an imported take of which nobody said it.",
        nullable=True,
    ),
    _IN_SYNC,
    Column("modalities", "list<string>", "What was recorded: pose, emg, heart_rate, breath_rate and views."),
    Column(
        "reference_view", "string", "View whose frames are the rows of frames; null: rows at pose times.", nullable=True
    ),
    Column("revision", "string", "Revision of the take's files: a hash of raw, parameters and content."),
    Column("raw_digest", "string", "Hash of the raw take's bytes."),
    Column(
        "made_from",
        "string",
        "Hash of all that the take was made from: raw bytes, marks, programs; null where raw bytes are damaged.",
        nullable=True,
    ),
    Column("segmenter", "string", "What found the repetitions."),
    Column("segmenter_parameters", "string", "All numbers the repetitions depend on, as JSON."),
    Column("software", "string", "Versions of the software that recorded the take, as JSON."),
    _FRAMES_FILE,
    _SIGNALS_FILE,
    Column(
        "sync_file",
        "string",
        "Picture (SVG) of how the take's times were found, relative to the dataset; null without one.",
        nullable=True,
    ),
    Column(
        "{view}_raw_frames",
        "int64",
        "Frames in the view's raw video; null without the view.",
        nullable=True,
        each="view",
    ),
)

REPETITIONS: Final = (
    Column("repetition_id", "string", "Repetition: <take_id>_rep<number>; unique."),
    _SUBJECT,
    _SESSION,
    _ACTION,
    _TAKE_ID,
    _REPETITION,
    _SKILL,
    _LOAD,
    Column("start_s", "float64", "Start of the repetition in session time.", "s"),
    Column("turn_s", "float64", "The turn: end of the first, start of the second phase, in session time.", "s"),
    Column("end_s", "float64", "End of the repetition in session time.", "s"),
    Column(
        "first_phase",
        "string",
        "Phase from start to turn; ours where the action's name is not confirmed.",
        nullable=True,
    ),
    Column(
        "second_phase",
        "string",
        "Phase from turn to end; ours where the action's name is not confirmed.",
        nullable=True,
    ),
    Column("first_keystep", "string", "Keystep of start to turn; null where not public.", nullable=True),
    Column("second_keystep", "string", "Keystep of turn to end; null where not public.", nullable=True),
    _EXPECTED,
    _FOUND,
    Column("confidence", "float64", "Confidence that these bounds are right, 0 to 1.", "1"),
    Column("doubts", "list<string>", "Why the confidence is not 1."),
    _IN_SYNC,
    Column(
        "excluded_reason",
        "string",
        "Why not to use it: it was marked, its take was, or that was retaken; null: use it.",
        nullable=True,
    ),
    Column(
        "excluded_itself",
        "string",
        "Why this very repetition was marked not to be used; null if it was not.",
        nullable=True,
    ),
    Column("provenance", "string", "auto: found by the segmenter; corrected: its bounds were set by a person."),
    Column("segmenter", "string", "What found the repetition."),
    Column("segmenter_parameters", "string", "All numbers the bounds depend on, as JSON."),
    _SIMULATED,
    Column("revision", "string", "Revision of the take's files that this row belongs to."),
    _FRAMES_FILE,
    _SIGNALS_FILE,
    Column("signals_group", "string", "Group of the repetition in the signals file."),
    Column("frame_rows", "int64", "Rows of the repetition in the frames table."),
    Column(
        "{view}_start_frame",
        "int64",
        f"Raw frame of the view nearest to start_s; null if none is within {BOUND_TOLERANCE_S} s of each bound.",
        "frame index in the raw video, from 0",
        nullable=True,
        each="view",
    ),
    Column(
        "{view}_turn_frame",
        "int64",
        "Raw frame nearest to turn_s: the first of the second phase.",
        "frame index in the raw video, from 0",
        nullable=True,
        each="view",
    ),
    Column(
        "{view}_end_frame",
        "int64",
        "Raw frame nearest to end_s: the last of the repetition and of its clip.",
        "frame index in the raw video, from 0",
        nullable=True,
        each="view",
    ),
    Column(
        "{view}_clip",
        "string",
        "Video of the repetition, start to end frame inclusive, relative to the dataset.",
        nullable=True,
        each="view",
    ),
)

STREAMS: Final = (
    _TAKE_ID,
    Column("stream", "string", "Stream; unique within the take."),
    Column("rate_asked_hz", "float64", "Rate asked for; 0: irregular.", "Hz", nullable=True),
    Column("rate_measured_hz", "float64", "Rate measured on the session clock.", "Hz", nullable=True),
    Column("samples", "int64", "Samples recorded."),
    Column("lost", "int64", "Samples missing by the device's counter."),
    Column("lost_ambiguous", "bool", "Whether the counter may have wrapped more often than could be told."),
    Column("gaps", "int64", "Places at which samples are missing."),
    Column("drift_ppm", "float64", "Measured rate against the asked one.", "ppm", nullable=True),
    Column("arrival_spread_ms", "float64", "p99 of the arrival delay beyond the fastest.", "ms", nullable=True),
    Column("uncertainty_p50_ms", "float64", "Standard error of session time, median.", "ms", nullable=True),
    Column("uncertainty_p99_ms", "float64", "Standard error of session time, 99th percentile.", "ms", nullable=True),
    Column("latency_s", "float64", "Constant device delay that was subtracted.", "s", nullable=True),
    Column("method", "string", "What the time stamps rest on."),
    Column("in_sync", "bool", "Whether the uncertainty is within the tolerance of the rig or the device."),
    Column("note", "string", "What else is to be said."),
)

ANNOTATIONS: Final = (
    Column("take_id", "string", "Take the annotation is about."),
    Column("repetition", "int64", "Number of the repetition in the take."),
    Column("annotator", "string", "Who says so."),
    Column("keystep", "string", "Keystep, AK01 to AK56."),
    Column("error_type", "string", "Error type, ET001 to ET063."),
    Column("weight", "float64", "Severity of the error.", "1"),
    Column("note", "string", "Free text.", nullable=True),
)

FRAMES: Final = (
    _TAKE_ID,
    _REPETITION,
    Column(
        "frame", "int64", "Frame in the reference view's raw video; null where rows are at pose times.", nullable=True
    ),
    Column("time_s", "float64", "Session time of the row.", "s"),
    Column(
        "phase",
        "string",
        "first_phase before the turn, second_phase from the turn on; null where not known.",
        nullable=True,
    ),
    Column(
        "keystep",
        "string",
        "Keystep of the phase: first_keystep before the turn, second_keystep from the turn on; null where not public.",
        nullable=True,
    ),
    Column(
        "pose_{joint}_{axis}",
        "float32",
        f"Position of the joint, z up, interpolated; null where absent or over gaps above {MAX_GAP_S} s.",
        "m",
        nullable=True,
        each="joint",
    ),
    Column(
        "emg_{channel}",
        "float32",
        f"sEMG envelope of the channel, interpolated; null over gaps above {MAX_GAP_S} s.",
        "uV",
        nullable=True,
        each="channel",
    ),
    Column("heart_rate", "float32", f"Last heart rate, held up to {MAX_HOLD_S:g} s.", "1/min", nullable=True),
    Column("breath_rate", "float32", f"Last breath rate, held up to {MAX_HOLD_S:g} s.", "1/min", nullable=True),
    Column(
        "{view}_frame",
        "int64",
        f"Raw frame of the view nearest in time; null if farther than {MAX_FRAME_PERIODS} frame periods.",
        "frame index in the raw video, from 0",
        nullable=True,
        each="view",
    ),
)

#: The tables at the top of a dataset in the order in which they are replaced: the last one is the commit.
TOP_TABLES: Final[Mapping[str, tuple[Column, ...]]] = {
    "subjects": SUBJECTS,
    "actions": ACTIONS_TABLE,
    "takes": TAKES,
    "streams": STREAMS,
    "annotations": ANNOTATIONS,
    "repetitions": REPETITIONS,
}


def expand(
    columns: Sequence[Column], views: Sequence[str] = STANDARD_VIEWS, emg: Sequence[EmgColumn] = ()
) -> tuple[Column, ...]:
    """Replace each pattern column by one column a view, channel or joint axis, in fixed order."""
    out: list[Column] = []
    for each, group in groupby(columns, key=lambda column: column.each):
        patterns = tuple(group)
        if each == "view":
            out += [replace(c, name=c.name.format(view=view), each="") for view in views for c in patterns]
        elif each == "channel":
            out += [
                replace(c, name=channel.name, each="", description=f"{c.description} Label: {channel.label}")
                for channel in emg
                for c in patterns
            ]
        elif each == "joint":
            out += [
                replace(c, name=c.name.format(joint=joint, axis=axis), each="")
                for c in patterns
                for joint in JOINTS
                for axis in "xyz"
            ]
        else:
            out += patterns
    return tuple(out)


def arrow_schema(columns: Sequence[Column], metadata: Mapping[str, str] | None = None) -> pa.Schema:
    """Return the Arrow schema of expanded columns; each field carries its description and unit."""
    import pyarrow as pa

    types: dict[ColumnType, Any] = {
        "string": pa.string(),
        "bool": pa.bool_(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "float32": pa.float32(),
        "list<string>": pa.list_(pa.string()),
    }
    fields = [
        pa.field(
            column.name,
            types[column.type],
            nullable=column.nullable,
            metadata={"description": column.description, "unit": column.unit},
        )
        for column in columns
    ]
    return pa.schema(fields, metadata=dict(metadata or {}))
