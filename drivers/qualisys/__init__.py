"""Qualisys Track Manager over its real-time protocol.

In: TCP port 22223 of the computer that QTM runs on, and UDP where the rig asks for it.
Out: markers, skeletons, analogue channels, force plates and events as chunks.
May touch: sockets. The codec, the parameters and the channels know none.
"""
