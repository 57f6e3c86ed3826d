"""Read a protocol file: TOML, every mistake in it said at once."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from lab.errors import FileFormatError
from lab.protocol import Protocol
from storage.toml_file import read_toml, validation_sentences


def read_protocol(path: Path) -> Protocol:
    """Return the protocol in ``path``. Raises FileFormatError with a sentence for each mistake."""
    data = read_toml(path)
    try:
        return Protocol.model_validate(data)
    except ValidationError as error:
        raise FileFormatError(*validation_sentences(path, error)) from None
