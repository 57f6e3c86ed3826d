"""FLEX's actions A01 … A20 and skill levels.

Source: FLEX (arXiv 2506.03198), its project page and public training code: the ids, the implements, and the names of
A01 and A16 (``name_confirmed``). All other names, and family, order of phases, sides and target muscles, are ours until
the protocol of FLEX is public. The packaged protocol ``capture/protocols/flex20.toml`` is held to this table by a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Skill = Literal["novice", "amateur", "expert"]
SKILLS: Final[tuple[Skill, ...]] = get_args(Skill)

Implement = Literal["barbell", "dumbbell"]
Phase = Literal["preparation", "eccentric", "concentric"]
Sides = Literal["together", "right_then_left"]
Family = Literal["squat", "hinge", "lunge", "overhead_press", "horizontal_press", "row", "curl", "extension", "raise"]

#: Families whose repetitions begin by lowering the load; all others begin by lifting it.
_LOWERED_FIRST: Final[frozenset[Family]] = frozenset({"squat", "hinge", "lunge", "extension"})


@dataclass(frozen=True)
class Action:
    """One of the twenty weight-loaded actions.

    ``family`` is the kind of motion, ``targets`` the muscles it is for (of each side that works). ``sides`` says
    whether both sides work at once or the first half of the repetitions is the right side's and the rest the left's.
    ``keysteps`` are the knowledge graph's ids where public, ``phase_keysteps`` those of the two ``phases``.
    """

    id: str
    implement: Implement
    name: str
    family: Family
    targets: tuple[str, ...]
    sides: Sides = "together"
    name_confirmed: bool = False
    keysteps: tuple[str, ...] = ()
    phase_keysteps: tuple[str, str] | None = None

    @property
    def title(self) -> str:
        """Id and name: ``A16 squat``."""
        return f"{self.id} {self.name}"

    @property
    def phases(self) -> tuple[Phase, Phase]:
        """The phases before and after the turn: a squat begins eccentric, a press concentric."""
        return ("eccentric", "concentric") if self.family in _LOWERED_FIRST else ("concentric", "eccentric")


_LEGS: Final = ("vastus_lateralis", "gluteus_maximus")
_PULL: Final = ("latissimus_dorsi", "trapezius")
_PUSH: Final = ("pectoralis_major", "triceps_brachii")
_PRESS: Final = ("anterior_deltoid", "triceps_brachii")
_ONE_BY_ONE: Final = "right_then_left"

ACTIONS: Final[dict[str, Action]] = {
    action.id: action
    for action in (
        Action("A01", "barbell", "overhead press", "overhead_press", _PRESS, name_confirmed=True),
        Action("A02", "barbell", "barbell chest press", "horizontal_press", _PUSH),
        Action("A03", "barbell", "upright row", "raise", ("lateral_deltoid", "trapezius")),
        Action("A04", "dumbbell", "seated shoulder press", "overhead_press", _PRESS),
        Action("A05", "dumbbell", "dumbbell chest press", "horizontal_press", _PUSH),
        Action("A06", "dumbbell", "lateral raise", "raise", ("lateral_deltoid",)),
        Action("A07", "dumbbell", "front raise", "raise", ("anterior_deltoid",)),
        Action("A08", "barbell", "bent-over row", "row", _PULL),
        Action("A09", "barbell", "barbell curl", "curl", ("biceps_brachii",)),
        Action("A10", "barbell", "barbell overhead extension", "extension", ("triceps_brachii",)),
        Action("A11", "dumbbell", "one-arm curl", "curl", ("biceps_brachii",), _ONE_BY_ONE),
        Action("A12", "dumbbell", "hammer curl", "curl", ("biceps_brachii",)),
        Action("A13", "dumbbell", "dumbbell overhead extension", "extension", ("triceps_brachii",)),
        Action("A14", "dumbbell", "one-arm row", "row", _PULL, _ONE_BY_ONE),
        Action("A15", "barbell", "straight-leg deadlift", "hinge", ("biceps_femoris", "erector_spinae")),
        Action(
            "A16",
            "barbell",
            "squat",
            "squat",
            _LEGS,
            name_confirmed=True,
            keysteps=("AK43", "AK44", "AK45", "AK56"),
            phase_keysteps=("AK44", "AK45"),
        ),
        Action("A17", "barbell", "front squat", "squat", ("vastus_lateralis", "rectus_femoris")),
        Action("A18", "barbell", "reverse lunge", "lunge", _LEGS, _ONE_BY_ONE),
        Action("A19", "dumbbell", "dumbbell lunge", "lunge", _LEGS, _ONE_BY_ONE),
        Action("A20", "dumbbell", "dumbbell squat", "squat", _LEGS),
    )
}
