"""How what was found in sets agrees with what was performed, summed up over many."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

#: Overlap over union from which a found repetition is the performed one.
OVERLAP = 0.5


@dataclass
class Scores:
    """Sums over sets. ``errors_s`` (matched, 3) are found less true start, turn and end; NaN where none is known."""

    sets: int = 0
    exact: int = 0
    perfect: int = 0
    matched: int = 0
    counted: int = 0
    seconds: float = 0.0
    errors_s: list[np.ndarray] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, found: np.ndarray, truth: np.ndarray, seconds: float = 0.0, name: str = "") -> None:
        """Count one set: ``found`` (k, 3) and ``truth`` (n, 3) start, turn and end in seconds."""
        errors = matches(found, truth)
        self.sets += 1
        self.exact += len(found) == len(truth)
        whole = len(found) == len(truth) == len(errors)
        self.perfect += whole
        self.matched += len(errors)
        self.counted += len(found) + len(truth)
        self.seconds += seconds
        self.errors_s.append(errors)
        if not whole:
            self.wrong.append(f"{name}: {len(found)} of {len(truth)}")

    @property
    def f1(self) -> float:
        """F1 at the overlap."""
        return 2 * self.matched / self.counted if self.counted else 0.0

    @property
    def errors_ms(self) -> np.ndarray:
        """All errors (matched, 3) without their signs, in milliseconds."""
        every = np.concatenate(self.errors_s) if self.errors_s else np.empty((0, 3))
        return np.abs(every) * 1e3

    def boundary_ms(self) -> float:
        """Return the median error of starts and ends."""
        errors = self.errors_ms
        return float(np.nanmedian(errors[:, [0, 2]])) if len(errors) else float("nan")

    def line(self) -> str:
        """Return counts, F1 and errors as columns; ``HEADER`` names them."""
        said = f"{self.exact:>6}{self.perfect:>6} of{self.sets:>5}{self.f1:>7.3f}"
        errors = self.errors_ms
        for column in errors.T if len(errors) else ():
            known = column[np.isfinite(column)]
            said += f"{np.median(known):>6.0f}/{np.percentile(known, 95):<5.0f}" if known.size else f"{'':>12}"
        return said + f"{self.seconds / max(1, self.sets) * 1e3:>6.0f}"


HEADER = f"{'exact':>6}{'perfect':>8}{'':>6}{'F1':>7}{'start':>9}{'turn':>12}{'end':>11}{'ms/set':>10}"


def matches(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return found less true times (matched, 3) of each true repetition that a found one overlaps by half."""
    errors, taken = [], set()
    for one in truth:
        for index, other in enumerate(found):
            both = min(one[2], other[2]) - max(one[0], other[0])
            if index not in taken and both > OVERLAP * (max(one[2], other[2]) - min(one[0], other[0])):
                taken.add(index)
                errors.append(other - one)
                break
    return np.array(errors).reshape(-1, 3)
