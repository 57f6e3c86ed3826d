"""Read a protocol, a playlist or a lab's sEMG targets: TOML, every mistake in it said at once."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from lab.emg_targets import EmgTargets
from lab.errors import FileFormatError
from lab.playlist import Playlist
from lab.protocol import Protocol
from storage.toml_file import read_toml, validation_sentences

_Model = TypeVar("_Model", bound=BaseModel)


def read_protocol(path: Path) -> Protocol:
    """Return the protocol in ``path``. Raises FileFormatError with a sentence for each mistake."""
    return _read(path, Protocol)


def read_playlist(path: Path) -> Playlist:
    """Return the playlist in ``path``. Raises FileFormatError with a sentence for each mistake."""
    return _read(path, Playlist)


def read_emg_targets(path: Path) -> EmgTargets:
    """Return the sEMG targets in ``path``. Raises FileFormatError with a sentence for each mistake."""
    return _read(path, EmgTargets)


def _read(path: Path, kind: type[_Model]) -> _Model:
    data = read_toml(path)
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise FileFormatError(*validation_sentences(path, error)) from None
