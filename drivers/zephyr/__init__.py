"""Chest straps of Zephyr (Medtronic): heart and breath rate, ECG, breathing, R-R intervals, acceleration.

In: a rig's serial port, paired by Bluetooth. Out: Chunk of lab, under the strap's own count and clock.
May touch: that port, which it opens for itself alone.
"""
