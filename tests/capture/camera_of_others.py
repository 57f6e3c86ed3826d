"""Somebody else's camera program: H.264 video, and a stream with the number of each frame, from 1.

    camera_of_others.py VIDEO

Says ``{"ready": true}`` when the stream can be found; ends when its standard input closes.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import av
import numpy as np
import pylsl

RATE_HZ = 25.0


def main() -> None:
    info = pylsl.StreamInfo("VideoStream", "VideoExternal", 1, pylsl.IRREGULAR_RATE, pylsl.cf_int32, "cam-1")
    info.desc().append_child("channels").append_child("channel").append_child_value("label", "frame")
    outlet = pylsl.StreamOutlet(info)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    with av.open(sys.argv[1], "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        began_s, number = time.monotonic(), 0
        sys.stdout.write(json.dumps({"ready": True}) + "\n")
        sys.stdout.flush()
        while not ended.wait(max(0.0, began_s + (number + 1) / RATE_HZ - time.monotonic())):
            number += 1
            outlet.push_sample([number])
            image = np.full((48, 64, 3), 30 + (number * 7) % 200, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
