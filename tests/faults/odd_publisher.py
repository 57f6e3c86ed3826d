"""Somebody else's program that may say anything of its streams. Run as a process of its own, with outlets as JSON.

    odd_publisher.py '[{"name": "a", "source_id": "a", "says_hz": 100.0, "sends_hz": 50.0}]'

Each outlet sends int32 samples of one value and a count, from 0 on; ``sends_hz`` 0 sends nothing at all. ``says_hz`` 0
is irregular, ``"nan"`` NaN. Says ``{"ready": true}`` when all can be found; ends when its standard input closes.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import numpy as np
import pylsl


def main() -> None:
    outlets = []
    for entry in json.loads(sys.argv[1]):
        info = pylsl.StreamInfo(entry["name"], "Misc", 2, float(entry["says_hz"]), pylsl.cf_int32, entry["source_id"])
        channels = info.desc().append_child("channels")
        for label in ("value", "count"):
            channels.append_child("channel").append_child_value("label", label)
        outlets.append((pylsl.StreamOutlet(info), float(entry["sends_hz"])))
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    sys.stdout.write(json.dumps({"ready": True}) + "\n")
    sys.stdout.flush()
    before_s, passed_s, sent = time.monotonic(), 0.0, [0] * len(outlets)
    while not ended.is_set():
        time.sleep(0.02)  # a wait with a limit never ends where libfaketime sets the clock
        now_s = time.monotonic()
        passed_s += min(max(now_s - before_s, 0.0), 0.2)  # a clock that is set sends nothing
        before_s = now_s
        for number, (outlet, rate_hz) in enumerate(outlets):
            due = int(passed_s * rate_hz)
            if due > sent[number]:
                counts = np.arange(sent[number], due, dtype=np.int32)
                outlet.push_chunk(np.stack([counts % 100, counts], axis=1))
                sent[number] = due


if __name__ == "__main__":
    main()
