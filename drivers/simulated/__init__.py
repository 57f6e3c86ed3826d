"""One virtual athlete and the simulated devices that watch it, as ordinary drivers.

In: a frozen config with a seed, a host clock and the take's common t0.
Out: Chunk and Frame of lab, and a truth file a device where one is asked for.
May touch: the truth folder. No hardware, no LSL, no other room but lab.
"""
