"""Devices, simulated devices and replays as chunks, and the publisher that turns chunks into LSL outlets.

In: a frozen config and a host clock.
Out: Chunk and Frame of lab.
May touch: its own device, and LSL in publish.py alone.
"""
