"""OptiTrack systems through NatNet, the protocol that Motive streams in.

In: datagrams of a NatNet server, versions 2.1 to 4.2. Out: chunks of markers, rigid bodies, skeletons and echoes.
May touch: UDP sockets of this computer.
"""
