"""A raw take put on one clock and cut into repetitions.

In: recorded streams as arrays.
Out: clock maps, time stamps, reports, poses' repetitions.
May touch: nothing: pure functions of arrays.
"""
