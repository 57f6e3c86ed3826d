"""What a rig says of a device's records, and every mistake in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from drivers.driver import DriverConfig
from drivers.records.checksums import SIZES, ChecksumName
from lab.streams import COUNTER_LABEL

Role = Literal["value", "counter", "device_time", "skip"]
BinaryType = Literal["u8", "i8", "u16", "i16", "u24", "i24", "u32", "i32", "u64", "i64", "f32", "f64"]
Label = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Byte = Annotated[int, Field(ge=0, le=255)]

#: Units of a device's clock, in seconds.
SECONDS: Final = {"seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9}
LONGEST_RECORD_BYTES: Final = 8192
MOST_CHANNELS: Final = 1024
#: No device counts further; what does is no count.
MOST_COUNTS: Final = 2**48

#: Records that are due before silence is one.
_LEAST_RECORDS: Final = 2
#: Keys that go with one format only.
CSV_KEYS: Final = ("column", "separator", "decimal", "comment")
BINARY_KEYS: Final = ("field", "sync", "byte_order", "checksum", "checksum_covers")


class Quantity(BaseModel):
    """What columns of a CSV line and fields of a binary record share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Label | tuple[Label, ...] = Field(
        (), description="Label of its channel; a list of labels stands for as many alike, one after the other."
    )
    role: Role = Field(
        "value", description="What it is: a value, the device's own count of records, its own time, or of no use."
    )
    unit: str = Field(
        "", max_length=64, description="Unit, such as microvolts; of a time: seconds, milliseconds, microseconds, …"
    )
    channel_type: str = Field(
        "", max_length=64, description="XDF type of the channel, such as HeartRate; the content type if not given."
    )
    scale: float = Field(1.0, allow_inf_nan=False, description="Sent is (value + offset) * scale.")
    offset: float = Field(0.0, allow_inf_nan=False, description="Added to the value before scaling.")
    missing: float | None = Field(None, description="The value by which the device says that it has none.")
    modulus: int | None = Field(
        None, ge=2, le=2**64, description="What a count or time is modulo, such as 256 or 4294967296 if it wraps."
    )
    times: int = Field(1, ge=1, le=LONGEST_RECORD_BYTES, description="How many of them are skipped.")

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of its channels."""
        return (self.label,) if isinstance(self.label, str) else self.label

    @property
    def width(self) -> int:
        """How many columns or fields it stands for."""
        return len(self.labels) if self.role == "value" else self.times

    def mistakes(self, name: str) -> Iterator[str]:
        """Say what is wrong with it; ``name`` is what the sentence calls it."""
        if self.role == "value":
            if not self.labels:
                yield f"{name} has no 'label'; name its channel, or give it another 'role'"
            elif not self.unit:
                yield f"{name} has no 'unit'; say what its values are measured in, such as microvolts or counts"
            if self.scale == 0:
                yield f"{name} has a 'scale' of 0; every value would be 0"
        elif self.label != ():
            yield f"{name} has a 'label', but only values become channels; remove it, or the 'role'"
        if self.role == "device_time" and self.unit not in SECONDS:
            yield f"{name} is a time in '{self.unit}'; its 'unit' is one of {', '.join(SECONDS)}"
        if self.modulus is not None and self.role not in ("counter", "device_time"):
            yield f"{name} has a 'modulus', but only a counter or a time wraps; remove it"
        if self.times != 1 and self.role != "skip":
            yield f"{name} has 'times', but only what is skipped may be many; use a list of labels for values"


class CsvColumn(Quantity):
    """A column of CSV lines, or several alike."""


class BinaryField(Quantity):
    """A field of binary records, or several alike."""

    type: BinaryType = Field(description="u, i or f for unsigned, signed or float, and its bits, such as i16.")

    @property
    def size(self) -> int:
        """Bytes of one."""
        return int(self.type[1:]) // 8

    def mistakes(self, name: str) -> Iterator[str]:
        """Say what is wrong with it; ``name`` is what the sentence calls it."""
        yield from super().mistakes(name)
        if self.role == "counter" and self.type.startswith("f"):
            yield f"{name} is a counter of type {self.type}; a counter is a whole number"
        if self.modulus is not None and self.type[0] == "u" and self.modulus > 2 ** (8 * self.size):
            yield f"{name} has a 'modulus' of {self.modulus}, which {self.type} cannot reach"


class RecordsConfig(DriverConfig):
    """What the drivers of records share."""

    format: Literal["csv", "binary"] = Field(description="Lines of text, or binary records of one layout.")
    rate_hz: float = Field(gt=0, le=1e6, description="Records per second.")
    content_type: str = Field(min_length=1, max_length=64, description="XDF content type, such as EMG or Physio.")
    column: tuple[CsvColumn, ...] = Field((), max_length=MOST_CHANNELS, description="CSV: the columns of a line.")
    separator: Annotated[str, StringConstraints(min_length=1, max_length=1)] = Field(
        ",", description="CSV: what stands between two columns; a blank stands for any number of blanks and tabs."
    )
    decimal: Literal[".", ","] = Field(".", description="CSV: decimal point or comma.")
    comment: str = Field("#", max_length=8, description="CSV: lines that begin so are passed over; '' if none do.")
    field: tuple[BinaryField, ...] = Field(
        (), max_length=MOST_CHANNELS, description="Binary: the fields of a record, without sync bytes and checksum."
    )
    sync: tuple[Byte, ...] = Field(
        (), max_length=16, description="Binary: bytes that every record begins with, such as [0xA0, 0x5A]."
    )
    byte_order: Literal["little", "big"] = Field("little", description="Binary: which byte of a number comes first.")
    checksum: ChecksumName = Field("none", description="Binary: checksum at the end of every record.")
    checksum_covers: Literal["fields", "all"] = Field(
        "fields", description="Binary: what is summed up, the fields or the sync bytes as well."
    )
    start_command: str | tuple[Byte, ...] = Field(
        "", max_length=4096, description="Text, or list of bytes, that makes the device send; '' if it does by itself."
    )
    stop_command: str | tuple[Byte, ...] = Field(
        "", max_length=4096, description="Text, or list of bytes, that makes it stop."
    )
    start_delay_s: float = Field(
        0.0, ge=0, le=30, description="Seconds to wait before the start command: a board that opening resets needs 2."
    )
    stall_s: float = Field(
        5.0, ge=0.5, le=600, description="Seconds without a record after which the device is started again."
    )
    manufacturer: str = Field("", max_length=64, description="Maker of the device.")
    model: str = Field("", max_length=64, description="Model of the device.")
    serial: str = Field("", max_length=64, description="Serial number of the device.")

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Its columns or fields."""
        return self.column if self.format == "csv" else self.field

    @property
    def record_bytes(self) -> int:
        """Length of a binary record."""
        return len(self.sync) + sum(field.size * field.width for field in self.field) + SIZES[self.checksum]

    def of_role(self, role: Role) -> Quantity | None:
        """Return the column or field with a role that only one has, None where none has."""
        return next((quantity for quantity in self.quantities if quantity.role == role), None)

    @model_validator(mode="after")
    def _consistent(self) -> RecordsConfig:
        problems = list(itertools.chain(self._mistakes(), self._mistakes_of_format()))
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _mistakes(self) -> Iterator[str]:
        word = "column" if self.format == "csv" else "field"
        for place, quantity in enumerate(self.quantities):
            yield from quantity.mistakes(f"{word}[{place}]")
        if self.stall_s * self.rate_hz < _LEAST_RECORDS:
            yield f"stall_s is {self.stall_s:g}, but two records take longer at {self.rate_hz:g} a second; lengthen it"
        labels = [label for quantity in self.quantities if quantity.role == "value" for label in quantity.labels]
        if not labels and not any(quantity.role == "value" for quantity in self.quantities):
            yield f"no {word} is a value; describe what the device sends with a '[[device.{word}]]' for each {word}"
        if len(labels) > MOST_CHANNELS:
            yield f"{len(labels)} channels are described, but a stream has {MOST_CHANNELS} at most"
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            yield f"the label '{twice[0]}' is given twice; give each channel its own"
        if COUNTER_LABEL in labels:
            yield f"no channel may be called '{COUNTER_LABEL}'; that is what flex-capture calls the count"
        for role in ("counter", "device_time"):
            if sum(quantity.role == role for quantity in self.quantities) > 1:
                yield f"two of the {word}s are the {role.replace('_', ' ')}; only one can be"

    def _mistakes_of_format(self) -> Iterator[str]:
        others = BINARY_KEYS if self.format == "csv" else CSV_KEYS
        for key in others:
            if key in self.model_fields_set and getattr(self, key) != type(self).model_fields[key].default:
                yield f"'{key}' does not go with format '{self.format}'; remove it"
        if self.format == "csv":
            if self.separator == self.decimal or self.separator in '\r\n"+-.0123456789eE':
                yield f"the separator {self.separator!r} may stand in a number or end a line; choose another"
            if self.comment and self.comment[0] in "+-.,0123456789":
                yield f"a comment cannot begin with {self.comment[0]!r}: numbers do"
        elif self.record_bytes > LONGEST_RECORD_BYTES:
            yield f"a record is {self.record_bytes} bytes long, but {LONGEST_RECORD_BYTES} are the most"


def command_bytes(command: str | tuple[int, ...]) -> bytes:
    """Return the bytes of a start or stop command."""
    return command.encode("utf-8") if isinstance(command, str) else bytes(command)


def count_modulus(quantity: Quantity) -> int:
    """Return what a counter or time wraps at, 0 where it never does: as its type does, if nothing else is said."""
    if quantity.modulus is not None:
        return min(quantity.modulus, MOST_COUNTS) if quantity.role == "counter" else quantity.modulus
    if not isinstance(quantity, BinaryField) or quantity.type.startswith("f"):
        return 0
    modulus: int = 2 ** (8 * quantity.size)
    if quantity.role == "counter":
        return min(modulus, MOST_COUNTS)
    return modulus if quantity.size < 8 else 0
