"""Wire protocols of devices served from this computer, to practise on and for tests.

In: a protocol and the virtual athlete.
Out: the bytes that the device would send, on a pty or a loopback socket.
May touch: ptys and loopback sockets. Empty until the first wire-protocol driver; tests and `emulate` alone import it.
"""
