"""Devices of small rigs, to put together."""

from __future__ import annotations

MOCAP = """
[[device]]
name = "mocap"
driver = "simulated.mocap"
latency_s = 0.008
delay_s = 0.008
"""

EMG = """
[[device]]
name = "emg"
driver = "simulated.emg"
latency_s = 0.048
delay_s = 0.048
"""

CAMERA = """
[[device]]
name = "view1"
driver = "simulated.camera"
rate_hz = 15.0
width = 320
height = 240
focal_px = 260.0
position_m = [0.6, 4.2, 1.5]
latency_s = 0.04
delay_s = 0.04
"""
