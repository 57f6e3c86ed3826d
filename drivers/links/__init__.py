"""Sockets and serial lines as drivers read them: bounded waits, the arrival of the last byte, one sentence on failure.

In: an address and a host clock.
Out: bytes and the host time at which they were there.
May touch: sockets and serial ports. Knows no protocol.
"""
