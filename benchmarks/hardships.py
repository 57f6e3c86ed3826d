"""What makes sets hard, each as a scenario of its own on the virtual athlete.

A scenario bends the athlete's time (tempo, pauses), adds what happens around the set (walking in, racking), or takes
something away (markers). ``HARDSHIPS`` names them; each gives poses and the truth from an action, a level and a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from drivers.simulated.athlete import Athlete
from drivers.simulated.tempo import Mishaps
from lab.actions import ACTIONS, Skill

RATE_HZ: Final = 100.0
NOISE_M: Final = 3e-4
#: FLEX's joints: legs and arms of both sides, as far as they swing in a step.
_RIGHT_LEG, _LEFT_LEG = (12, 13, 14, 15), (17, 18, 19, 20)
_RIGHT_ARM, _LEFT_ARM = (4, 5, 6), (8, 9, 10)
#: Athlete time that passes while the athlete waits.
_INSTANT_S: Final = 1e-9
_TRUNK: Final = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)


@dataclass(frozen=True)
class Scene:
    """A performed set: ``joints_m`` (n, 21, 3) at ``time_s`` (n,), and ``truth`` (repetitions, 3) start, turn, end."""

    time_s: np.ndarray
    joints_m: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class _Bend:
    """Athlete time as a function of time: straight between the knots."""

    own_s: np.ndarray
    athlete_s: np.ndarray

    def scene(self, athlete: Athlete, seed: int) -> Scene:
        time_s = np.arange(0.0, float(self.own_s[-1]), 1 / RATE_HZ)
        joints_m = athlete.joints_m(np.interp(time_s, self.own_s, self.athlete_s))
        # A repetition starts behind the rest before it, and its turn is where a pause there ends.
        behind = 2 * _INSTANT_S
        truth = np.array([(one.start_s + behind, one.turn_s + behind, one.end_s) for one in athlete.repetitions])
        return _noisy(Scene(time_s, joints_m, np.interp(truth, self.athlete_s, self.own_s)), seed)


def _noisy(scene: Scene, seed: int) -> Scene:
    noise = np.random.default_rng([seed, 10]).normal(0.0, NOISE_M, scene.joints_m.shape)
    return replace(scene, joints_m=scene.joints_m + noise)


def _bent(athlete: Athlete, slower: np.ndarray, rests: np.ndarray, turns: np.ndarray) -> _Bend:
    """Return the time in which repetition i lasts ``slower[i]`` times as long, as does what is around it.

    Before it (and behind the last) ``rests`` seconds (repetitions + 1,) of rest are added, at its turn ``turns`` s.
    """
    own, athlete_s = [0.0], [0.0]

    def go(until_s: float, factor: float) -> None:
        own.append(own[-1] + (until_s - athlete_s[-1]) * factor)
        athlete_s.append(until_s)

    def wait(seconds: float) -> None:
        if seconds > 0:
            own.append(own[-1] + seconds)
            athlete_s.append(athlete_s[-1] + _INSTANT_S)

    for index, one in enumerate(athlete.repetitions):
        go(one.start_s, 1.0 if index == 0 else float(slower[index]))
        if index:
            wait(float(rests[index]))
        go(one.turn_s, float(slower[index]))
        wait(float(turns[index]))
        go(one.end_s, float(slower[index]))
    go(athlete.duration_s, 1.0)
    return _Bend(np.array(own), np.array(athlete_s))


def _athlete(action: str, skill: Skill, seed: int, count: int, mishaps: Mishaps | None = None) -> Athlete:
    return Athlete(seed, action, count, skill, mishaps or Mishaps())


def plain(action: str, skill: Skill, seed: int, count: int = 10) -> Scene:
    """Nothing but the fidgets before and after the set."""
    return _bent(_athlete(action, skill, seed, count), *_nothing(count)).scene(
        _athlete(action, skill, seed, count), seed
    )


def _nothing(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.ones(count), np.zeros(count + 1), np.zeros(count)


def _timed(slower: Callable[[int, np.random.Generator], np.ndarray]) -> Callable[..., Scene]:
    def scene(action: str, skill: Skill, seed: int, count: int = 10) -> Scene:
        athlete = _athlete(action, skill, seed, count)
        _, rests, turns = _nothing(count)
        return _bent(athlete, slower(count, np.random.default_rng([seed, 11])), rests, turns).scene(athlete, seed)

    return scene


def _paused(where: str) -> Callable[..., Scene]:
    def scene(action: str, skill: Skill, seed: int, count: int = 10) -> Scene:
        athlete = _athlete(action, skill, seed, count)
        rng = np.random.default_rng([seed, 12])
        slower, rests, turns = _nothing(count)
        if where == "base":
            rests = rng.uniform(0.5, 6.0, count + 1)
        else:
            turns = rng.uniform(0.5, 4.0, count)
        return _bent(athlete, slower, rests, turns).scene(athlete, seed)

    return scene


def _wrong(**kinds: int) -> Callable[..., Scene]:
    def scene(action: str, skill: Skill, seed: int, count: int = 10) -> Scene:
        athlete = _athlete(action, skill, seed, count, Mishaps(**kinds))
        return _bent(athlete, *_nothing(count)).scene(athlete, seed)

    return scene


def without_rest(action: str, skill: Skill, seed: int, count: int = 10) -> Scene:
    """Every second repetition follows the one before it at once."""
    athlete = _athlete(action, skill, seed, count)
    own, athlete_s = [0.0], [0.0]
    for index, one in enumerate(athlete.repetitions):
        factor = 0.1 if index % 2 else 1.0
        own += [own[-1] + (one.start_s - athlete_s[-1]) * factor]
        athlete_s += [one.start_s]
        own += [own[-1] + one.end_s - one.start_s]
        athlete_s += [one.end_s]
    own += [own[-1] + athlete.duration_s - athlete_s[-1]]
    athlete_s += [athlete.duration_s]
    return _Bend(np.array(own), np.array(athlete_s)).scene(athlete, seed)


def walking_in(action: str, skill: Skill, seed: int, count: int = 10) -> Scene:
    """Eight steps to the place and a bow to the load before the set, the same back behind it."""
    scene = plain(action, skill, seed, count)
    rng = np.random.default_rng([seed, 13])
    before = _way_in(scene.joints_m[0], rng)
    after = _way_in(scene.joints_m[-1], rng)[::-1]
    joints_m = np.concatenate((before, scene.joints_m, after))
    joints_m[: len(before)] += rng.normal(0, NOISE_M, before.shape)
    joints_m[-len(after) :] += rng.normal(0, NOISE_M, after.shape)
    return Scene(np.arange(len(joints_m)) / RATE_HZ, joints_m, scene.truth + len(before) / RATE_HZ)


def _way_in(standing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return poses (n, 21, 3): from four metres away to where the body stands, then a bow and up again."""
    walk_s, bow_s = float(rng.uniform(5.0, 7.0)), float(rng.uniform(2.5, 4.0))
    since = np.arange(0.0, walk_s + bow_s, 1 / RATE_HZ)
    poses = np.repeat(standing[None], len(since), axis=0)
    walked = np.clip(since / walk_s, 0, 1)
    smooth = walked**3 * (10 - 15 * walked + 6 * walked**2)
    poses[:, :, 1] -= 4.0 * (1 - smooth)[:, None]
    stride = 0.28 * np.sin(2 * np.pi * 4 * walked) * np.sin(np.pi * np.clip(walked, 0, 1)) ** 0.5
    for joints, sign, part in ((_RIGHT_LEG, 1, 1.0), (_LEFT_LEG, -1, 1.0), (_RIGHT_ARM, -1, 0.6), (_LEFT_ARM, 1, 0.6)):
        poses[:, joints, 1] += (sign * part * stride)[:, None]
    poses[:, :, 2] += (0.02 * np.cos(2 * np.pi * 8 * walked) * (walked < 1))[:, None]
    bow = np.deg2rad(50) * np.sin(np.pi * np.clip((since - walk_s) / bow_s, 0, 1)) ** 2
    hips = standing[[11, 16]].mean(axis=0)
    relative = poses[:, _TRUNK] - hips
    ahead = relative[:, :, 1] * np.cos(bow)[:, None] + relative[:, :, 2] * np.sin(bow)[:, None]
    up = relative[:, :, 2] * np.cos(bow)[:, None] - relative[:, :, 1] * np.sin(bow)[:, None]
    bowing = bow > 0
    poses[np.ix_(bowing, _TRUNK, [1])] = (hips[1] + ahead)[bowing][:, :, None]
    poses[np.ix_(bowing, _TRUNK, [2])] = (hips[2] + up)[bowing][:, :, None]
    return poses


def drifting(action: str, skill: Skill, seed: int, count: int = 10) -> Scene:
    """Let the body turn by half a right angle, move off by half a metre and sink by 4 cm over the set."""
    scene = plain(action, skill, seed, count)
    part = scene.time_s / scene.time_s[-1]
    angle = np.deg2rad(45.0) * part
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y, z = np.moveaxis(scene.joints_m, 2, 0)
    low = (0.04 * part)[:, None] * (z / np.max(z))
    joints_m = np.stack((cos * x - sin * y + 0.5 * part[:, None], sin * x + cos * y, z - low), axis=2)
    return replace(scene, joints_m=joints_m)


def markers_missing(action: str, skill: Skill, seed: int, count: int = 10) -> Scene:
    """Hide a quarter of the joints for a third of the time, in stretches, and all for a tenth of a second at times."""
    scene = plain(action, skill, seed, count)
    rng = np.random.default_rng([seed, 14])
    joints_m = scene.joints_m.copy()
    for joint in rng.permutation(21)[:6]:
        for _ in range(8):
            first = int(rng.integers(len(joints_m)))
            joints_m[first : first + round(len(joints_m) / 24), joint] = np.nan
    for first in rng.integers(0, len(joints_m), 8):
        joints_m[first : first + 10] = np.nan
    return replace(scene, joints_m=joints_m)


def alternating(action: str, skill: Skill, seed: int, count: int = 10) -> Scene:
    """Right, left, right, left. Only actions done by one side after the other know it; others are as plain."""
    athlete = _athlete(action, skill, seed, count)
    if ACTIONS[action].sides == "right_then_left":
        performance: Any = athlete._performance  # noqa: SLF001 - the athlete has no such set by itself
        right = np.arange(count) % 2 == 0
        sides = np.stack((right, ~right), axis=1).astype(np.float64)
        athlete._performance = replace(performance, sides=sides)  # noqa: SLF001
    return _bent(athlete, *_nothing(count)).scene(athlete, seed)


def upside_down(action: str, skill: Skill, seed: int, count: int = 10) -> Scene:
    """Let the axes of the room point the other way."""
    scene = plain(action, skill, seed, count)
    return replace(scene, joints_m=-scene.joints_m)


#: A repetition takes about 3.6 s as it is.
HARDSHIPS: Final[dict[str, Callable[..., Scene]]] = {
    "plain": plain,
    "walking in, racking": walking_in,
    "pauses at the base, 0.5-6 s": _paused("base"),
    "pauses at the turn, 0.5-4 s": _paused("turn"),
    "1 s a repetition": _timed(lambda count, _: np.full(count, 0.28)),
    "10 s a repetition": _timed(lambda count, _: np.full(count, 2.8)),
    "from 2 s to 7 s in a set": _timed(lambda count, _: np.geomspace(0.55, 1.95, count)),
    "tempo at random, 2 to 6 s": _timed(lambda count, rng: np.exp(rng.uniform(np.log(0.55), np.log(1.7), count))),
    "two shallow": _wrong(partial=2),
    "two failed": _wrong(failed=2),
    "two failed, two shallow": _wrong(failed=2, partial=2),
    "no rest between": without_rest,
    "the body drifts": drifting,
    "markers missing": markers_missing,
    "right, left, right, left": alternating,
    "upside down": upside_down,
}
