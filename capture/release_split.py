"""Which samples are for training and which for tests: by a seed, and by nothing but ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal

from lab.errors import RequestError

Split = Literal["subject", "repetition"]


def share_of(ids: Iterable[str], seed: int, share: float) -> frozenset[str]:
    """Choose ``share`` of the ids, rounded: the same ones for the same ids, seed and share, on every machine."""
    ordered = sorted(set(ids), key=lambda one: hashlib.sha256(f"{seed}:{one}".encode()).digest())
    return frozenset(ordered[: int(share * len(ordered) + 0.5)])


def choose_tests(samples: Sequence[tuple[str, str, str]], split: Split, seed: int, share: float) -> frozenset[str]:
    """Return the ids of the samples for tests; ``samples`` are (repetition_id, subject, action).

    By subject all of a subject's samples are on one side; at least one subject is on each. By repetition the share is
    taken of each action. Raises RequestError where one of the sides would be empty.
    """
    if split == "repetition":
        chosen: set[str] = set()
        for action in sorted({action for _, _, action in samples}):
            chosen |= share_of((one for one, _, its in samples if its == action), seed, share)
    else:
        subjects = {subject for _, subject, _ in samples}
        if len(subjects) < 2:
            raise RequestError(
                f"{', '.join(subjects)} is the only subject, who cannot be split; use --split repetition"
                if subjects
                else "there is no sample to split"
            )
        tests = share_of(subjects, seed, share)
        if not tests or tests == subjects:
            count = 1 if not tests else len(subjects) - 1
            tests = share_of(subjects, seed, count / len(subjects))
        chosen = {one for one, subject, _ in samples if subject in tests}
    if not 0 < len(chosen) < len(samples):
        raise RequestError(
            f"a share of {share:g} of {len(samples)} samples leaves one side of the split empty; change --test-share"
        )
    return frozenset(chosen)
