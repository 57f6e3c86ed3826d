"""What the documents tell people to type can be typed, and what they link to is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from capture.cli import group
from drivers.registry import find_driver
from lab.marker_map import MarkerMap
from lab.playlist import Playlist
from lab.rig import Rig
from lab.subject import SubjectSheet
from storage.toml_file import read_toml

TUTORIAL = "docs/tutorial/first-take.md"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(flex-capture [^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Fence:
    language: str
    text: str


def documents(project: Path) -> list[Path]:
    return [project / "README.md", project / "CONTRIBUTING.md", *sorted((project / "docs").rglob("*.md"))]


def fences(text: str) -> list[Fence]:
    return [Fence(match[1], match[2]) for match in FENCE.finditer(text)]


def commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every ``flex-capture`` in the lines of a shell block."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="&;|")
        lexer.whitespace_split = True
        for word in [*lexer, ";"]:
            if word[0] in "&;|":
                if words and words[0].rpartition("/")[2] == "flex-capture":
                    yield words[1:]
                words = []
            else:
                words.append(word)


def globbed(words: list[str], folder: Path) -> list[str]:
    """Replace names with a ``*`` as a shell does."""
    return [
        found
        for word in words
        for found in (
            sorted(path.relative_to(folder).as_posix() for path in folder.glob(word)) if "*" in word else [word]
        )
    ]


def problem_of(words: list[str]) -> str | None:
    """Return what is wrong with a command line, as the program itself says it; nothing is executed."""
    count = next((index for index, word in enumerate(words) if not word.startswith("-")), len(words))
    context = click.Context(group, info_name="flex-capture")
    known = {name for option in group.get_params(context) for name in (*option.opts, *option.secondary_opts)}
    unknown = [word for word in words[:count] if word not in known]
    if unknown:
        return f"No such option: {unknown[0]}"
    if count == len(words):
        return None if words else "No command"
    try:
        name, command, rest = group.resolve_command(context, words[count:])
        assert command is not None
        with command.make_context(name, rest, parent=context):
            return None
    except click.exceptions.Exit:
        return None  # --help
    except click.ClickException as error:
        return error.format_message()


def unknown_in(inline: str) -> str | None:
    """Return the command or option in a mention, such as `flex-capture resegment`, that does not exist."""
    words = shlex.split(inline)[1:]
    first = next((word for word in words if re.match(r"[a-z]", word)), None)
    command = group if first is None else group.commands.get(first)
    if command is None:
        return first
    known = {name for parameter in (*command.params, *group.params) for name in parameter.opts} | {"--help", "-h"}
    return next((word for word in words if re.match(r"-\D", word) and word not in known), None)


def anchors(text: str) -> set[str]:
    without_code = FENCE.sub("", text)
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in _HEADING.findall(without_code)
    }


def broken_links(document: Path) -> list[str]:
    broken = []
    for target in _LINK.findall(FENCE.sub("", document.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name) if name else document
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            broken.append(target)
    return broken


def test_every_command_in_a_block_can_be_typed(project: Path) -> None:
    found, problems = 0, []
    for document in documents(project):
        for fence in fences(document.read_text(encoding="utf-8")):
            if fence.language not in {"bash", "sh", "console"}:
                continue
            for words in commands(fence.text):
                found += 1
                problem = problem_of(words)
                if problem:
                    problems.append(f"{document.relative_to(project)}: flex-capture {shlex.join(words)}: {problem}")
    assert not problems, "\n".join(problems)
    assert found >= 10


def test_every_command_that_is_mentioned_exists(project: Path) -> None:
    problems = [
        f"{document.relative_to(project)}: {mention}"
        for document in documents(project)
        for mention in INLINE.findall(FENCE.sub("", document.read_text(encoding="utf-8")))
        if unknown_in(mention)
    ]
    assert not problems, "\n".join(problems)


def test_every_relative_link_leads_somewhere(project: Path) -> None:
    problems = [
        f"{document.relative_to(project)}: {target}"
        for document in documents(project)
        for target in broken_links(document)
    ]
    assert not problems, "\n".join(problems)


def test_every_file_that_is_shown_is_valid(project: Path, tmp_path: Path) -> None:
    shown = tmp_path / "shown.toml"
    checked = 0
    for document in documents(project):
        for fence in fences(document.read_text(encoding="utf-8")):
            if fence.language != "toml":
                continue
            shown.write_text(fence.text, encoding="utf-8")
            content = read_toml(shown)
            if "joints" in content:
                MarkerMap.model_validate(content)
            elif "order" in content or "set" in content:
                Playlist.model_validate(content)
            elif "skill" in content:
                SubjectSheet.model_validate(content)
            else:  # a part of a rig is shown, too
                some_device = [{"name": "mocap", "driver": "simulated.mocap"}]
                for entry in Rig.model_validate({"name": "shown", "device": some_device} | content).device:
                    find_driver(entry.driver).Config.model_validate(entry.options)
            checked += 1
    assert checked >= 7


def test_the_checks_find_mistakes(tmp_path: Path) -> None:
    shell = "pip install . && .venv/bin/flex-capture recrod --subject S12\n$ flex-capture record --subjcet S12  # no\n"
    first, second = commands(shell)
    assert first == ["recrod", "--subject", "S12"]
    assert "recrod" in (problem_of(first) or "")
    assert "--subjcet" in (problem_of(second) or "")
    assert "--subject" in (problem_of(["record"]) or "")
    assert "300" in (problem_of(["record", "--subject", "S12", "--reps", "300"]) or "")
    assert problem_of(["--debug", "record", "--subject", "S12", "--reps", "3"]) is None
    assert unknown_in("flex-capture recrod") == "recrod"
    assert unknown_in("flex-capture resegment --all") == "--all"
    assert unknown_in("flex-capture resegment") is None

    page = tmp_path / "page.md"
    page.write_text("# One, two\n[a](page.md#one-two) [b](page.md#three) [c](gone.md) [d](https://example.org)\n")
    assert broken_links(page) == ["page.md#three", "gone.md"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tutorial_does_what_it_says(project: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from capture.cli import main; main()"]
    outputs = {}
    for fence in fences((project / TUTORIAL).read_text(encoding="utf-8")):
        if fence.language == "bash":
            runs = [(" ".join(words), [*program, *globbed(words, tmp_path)]) for words in commands(fence.text)]
        elif fence.language == "python":
            runs = [("python", [sys.executable, "-c", fence.text])]
        else:
            continue
        for name, run in runs:
            done = subprocess.run(
                run,
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                encoding="utf-8",
                check=False,
                timeout=400,
            )
            assert done.returncode == 0, f"{name}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
            outputs[name] = done.stdout
    assert "ready to record" in outputs["doctor"]
    assert "10 of 10 repetitions · 8 streams in sync" in outputs["record --subject S12 --action squat"]
    assert "1/20" in outputs["status"]
    assert "set right from not given to 40" in outputs["amend flex-data/raw/S12/*/A16-01 --load-kg 40 --note practice"]
    assert "flex-data/dataset: valid" in outputs["validate flex-data/dataset"]
    assert "rep10" in outputs["python"]
    assert "10 of 10 repetitions" in outputs["resegment flex-data/raw"]
