"""Devices of which a rig file says what they send: lines of CSV, or binary records of a fixed layout.

In: a serial line, a TCP connection or a UDP port, and the description. Out: Chunk of lab.
May touch: that line, connection or port.
"""
