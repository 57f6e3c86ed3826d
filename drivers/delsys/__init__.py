"""Delsys sensors through Delsys's own server.

In: what the Trigno SDK server sends on its TCP ports, and the host clock.
Out: chunks of sEMG in microvolts and of what else the sensors measure.
May touch: TCP connections to that server. Knows nothing of LSL, files or the rig.
"""
