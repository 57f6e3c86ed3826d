"""What is there to be recorded: all searches at once, and each find as a rig would say it."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from capture.lsl_settings import configure_lsl, lsl_configuration
from capture.rig_file import load_rig
from capture.rig_text import entry_lines
from drivers.discovery import SEARCHES, Found
from lab.device_names import device_name
from lab.errors import FlexCaptureError
from lab.rig import LslSettings
from lab.streams import CLOCK_SUFFIX
from storage.toml_text import toml_comment

#: Left to a search that was told to end in time but is late.
_GRACE_S: Final = 1.0
_MOST_VIEWS: Final = 9
_LSL: Final = "LSL streams"


@dataclass(frozen=True)
class Finding:
    """One thing that was found: ``table`` is ``device`` or ``stream``, ``options`` what stands below it in a rig."""

    what: str
    table: str
    options: dict[str, Any]
    remark: str = ""


@dataclass
class Search:
    """One kind of thing looked for; ``problem`` says why it could not be looked for, or not to the end."""

    kind: str
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    found: Sequence[Found] = field(default=(), repr=False)


def search_everything(limit_s: float) -> list[Search]:
    """Look for about ``limit_s`` seconds for all kinds at once, of which one that hangs holds up none."""
    searches = [Search(kind) for kind in (*SEARCHES, _LSL)]
    threads = [threading.Thread(target=_search, args=(search, limit_s), daemon=True) for search in searches]
    for thread in threads:
        thread.start()
    deadline_s = time.monotonic() + limit_s + _GRACE_S
    done = []
    for search, thread in zip(searches, threads, strict=True):
        thread.join(max(0.0, deadline_s - time.monotonic()))
        late = thread.is_alive()  # it may still write into its own, which nobody reads any more
        done.append(Search(search.kind, problem=f"did not end within {limit_s:g} s") if late else search)
    return _named(done)


def _search(search: Search, limit_s: float) -> None:
    try:
        if search.kind == _LSL:
            search.findings = _streams(limit_s)
        else:
            module, _, function = SEARCHES[search.kind].partition(":")
            search.found = tuple(getattr(import_module(module), function)(limit_s))
    except FlexCaptureError as error:
        search.problem = "; ".join(error.problems)
    except Exception as error:  # noqa: BLE001 - what a vendor's package raises must not hide what others found
        search.problem = f"{type(error).__name__}: {error}"


def _streams(limit_s: float) -> tuple[Finding, ...]:
    from capture.visible_streams import shown, visible_streams

    findings: list[Finding] = []
    taken: set[str] = set()
    for stream in visible_streams(limit_s):
        if stream.name.endswith(CLOCK_SUFFIX):
            continue  # goes with the stream that it is the clock of
        name = device_name(shown(stream.name), taken)
        taken.add(name)
        options: dict[str, Any] = {"name": name}
        if stream.source_id:
            options["source_id"] = stream.source_id
        else:
            options["query"] = f"name='{stream.name}' and hostname='{stream.host}'"
        findings.append(Finding(str(stream), "stream", options))
    return tuple(findings)


def _named(searches: list[Search]) -> list[Search]:
    """Give each device its name in a rig: cameras are views, others are called after their driver."""
    taken: set[str] = set()
    for search in searches:
        taken |= {finding.options["name"] for finding in search.findings}
    specific = {
        found.port or str(found.options["port"])
        for search in searches
        for found in search.found
        if found.driver != "records.serial" and "port" in found.options
    }
    views = 0
    for search in searches:
        findings = list(search.findings)
        for found in search.found:
            if found.driver == "records.serial" and str(found.options.get("port")) in specific:
                continue  # a driver of its own knows it
            family, _, kind = found.driver.partition(".")
            if family == "camera" and views < _MOST_VIEWS:
                views += 1
                name = f"view{views}"
            else:
                name = device_name(kind or family, taken)
            taken.add(name)
            findings.append(
                Finding(found.what, "device", {"name": name, "driver": found.driver, **found.options}, found.remark)
            )
        search.findings = tuple(findings)
    return searches


def rig_entry(finding: Finding) -> list[str]:
    """Return the lines of a rig file for something that was found."""
    lines = [toml_comment(finding.what), *entry_lines(finding.table, finding.options)]
    if finding.remark:
        lines.append(toml_comment(finding.remark))
    return lines


def list_devices(limit_s: float, rig: Path | None, *, as_json: bool) -> int:
    """Print what is there as lines that a rig file may hold; return 0, or 1 where a kind could not be looked for.

    LSL streams are looked for as far as ``rig`` says, on the local network where there is none. Raises RigError.
    """
    configure_lsl(lsl_configuration(LslSettings(scope="link") if rig is None else load_rig(rig).rig.lsl))
    searches = search_everything(limit_s)
    if as_json:
        plain = [
            {
                "kind": search.kind,
                "problem": search.problem or None,
                "found": [
                    {"what": one.what, one.table: one.options, "remark": one.remark or None} for one in search.findings
                ],
            }
            for search in searches
        ]
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False, default=_no_number))
    else:
        for search in searches:
            click.echo(toml_comment(f"{search.kind}: {_count(search)}"))
            for finding in search.findings:
                click.echo()
                for line in rig_entry(finding):
                    click.echo(line)
            click.echo()
    return 1 if any(search.problem for search in searches) else 0


def _count(search: Search) -> str:
    if search.problem:
        return f"could not be looked for ({search.problem})"
    return f"{len(search.findings)} found" if search.findings else "none found"


def _no_number(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else str(value)
