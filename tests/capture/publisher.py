"""Somebody else's program: plain pylsl, nothing of flex-capture. Run as a process of its own.

    publisher.py emg NAME SOURCE_ID [TYPE]      8 channels of int16 counts at 1,000 Hz, in chunks of odd sizes
    publisher.py bare NAME SOURCE_ID            4 channels of float32 at 200 Hz that say nothing of themselves
    publisher.py markers NAME SOURCE_ID         a text now and then
    publisher.py mute NAME SOURCE_ID            markers of which none ever comes

Says ``{"ready": true}`` when the stream can be found; ends when its standard input closes.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import pylsl

STEPS = (7, 1, 33, 20, 2, 50, 13)
TEXTS = ("start", "größer <&> \"so\" 'oder' so", "", "a\nb\tc", "end")


def info(kind: str, name: str, source: str, content_type: str) -> pylsl.StreamInfo:
    if kind in {"markers", "mute"}:
        return pylsl.StreamInfo(name, content_type or "Markers", 1, pylsl.IRREGULAR_RATE, pylsl.cf_string, source)
    if kind == "bare":
        return pylsl.StreamInfo(name, content_type or "", 4, 200.0, pylsl.cf_float32, source)
    made = pylsl.StreamInfo(name, content_type or "EMG", 9, 1000.0, pylsl.cf_int16, source)
    channels = made.desc().append_child("channels")
    for number in range(8):
        channel = channels.append_child("channel")
        for key, value in (("label", f"muscle{number}"), ("unit", "microvolts"), ("type", "EMG")):
            channel.append_child_value(key, value)
    channel = channels.append_child("channel")
    channel.append_child_value("label", "count")
    return made


def main() -> None:
    kind, name, source = sys.argv[1:4]
    outlet = pylsl.StreamOutlet(info(kind, name, source, sys.argv[4] if len(sys.argv) > 4 else ""))
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    sys.stdout.write(json.dumps({"ready": True}) + "\n")
    sys.stdout.flush()
    began_s, sent, step = time.monotonic(), 0, 0
    rate_hz = 200.0 if kind == "bare" else 1000.0
    while not ended.is_set():
        if kind == "markers":
            if outlet.have_consumers():
                text = TEXTS[sent % len(TEXTS)]
                outlet.push_sample([text])
                sent += 1
            ended.wait(0.37)
            continue
        if kind == "mute":
            ended.wait(0.2)
            continue
        count = STEPS[step % len(STEPS)]
        step += 1
        ended.wait(max(0.0, began_s + (sent + count) / rate_hz - time.monotonic()))
        rows = []
        for sample in range(sent, sent + count):
            if kind == "bare":
                rows.append([float(sample), sample * 0.5, -1.0, float(sample % 200)])
            else:
                rows.append([(sample * (channel + 1)) % 2000 - 1000 for channel in range(8)] + [sample % 256])
        outlet.push_chunk(rows)
        sent += count


if __name__ == "__main__":
    main()
