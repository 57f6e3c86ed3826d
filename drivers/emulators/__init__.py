"""Wire protocols of devices served from this computer, to practise on and for tests.

In: a protocol and the virtual athlete.
Out: the bytes that the device would send, on a pty or a loopback socket.
May touch: ptys and sockets of this computer. Tests, benchmarks and `flex-capture emulate` alone import it.
"""
