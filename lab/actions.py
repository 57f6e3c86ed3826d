"""FLEX's actions A01 … A20 and skill levels, as far as they are publicly known.

Source: FLEX (arXiv 2506.03198), its project page and public training code. Only A01 and A16 have
public names; the others carry their id until a protocol names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Skill = Literal["novice", "amateur", "expert"]
SKILLS: Final[tuple[Skill, ...]] = get_args(Skill)

Implement = Literal["barbell", "dumbbell"]
Phase = Literal["preparation", "eccentric", "concentric"]


@dataclass(frozen=True)
class Action:
    """One of the twenty weight-loaded actions.

    ``name`` is empty where no public source names the action. ``keysteps`` are the knowledge
    graph's ids where public. ``phases`` are those before and after the turn, None where no public source
    gives their order (a squat begins eccentric, a press concentric), and ``phase_keysteps`` their keysteps.
    """

    id: str
    implement: Implement
    name: str = ""
    name_confirmed: bool = False
    keysteps: tuple[str, ...] = ()
    phases: tuple[Phase, Phase] | None = None
    phase_keysteps: tuple[str, str] | None = None

    @property
    def title(self) -> str:
        """Id and, where there is one, name: ``A16 squat``."""
        return f"{self.id} {self.name}".strip()


_BARBELL = frozenset({"A01", "A02", "A03", "A08", "A09", "A10", "A15", "A16", "A17", "A18"})

_KNOWN: dict[str, Action] = {
    "A01": Action("A01", "barbell", "overhead press", name_confirmed=True),
    "A16": Action(
        "A16",
        "barbell",
        "squat",
        name_confirmed=True,
        keysteps=("AK43", "AK44", "AK45", "AK56"),
        phases=("eccentric", "concentric"),
        phase_keysteps=("AK44", "AK45"),
    ),
}

ACTIONS: Final[dict[str, Action]] = {
    action_id: _KNOWN.get(action_id, Action(action_id, "barbell" if action_id in _BARBELL else "dumbbell"))
    for action_id in (f"A{number:02d}" for number in range(1, 21))
}
