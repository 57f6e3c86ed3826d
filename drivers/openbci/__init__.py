"""OpenBCI boards on a serial line.

In: packets of a Cyton, with or without a Daisy, through its USB dongle.
Out: sEMG in microvolts and the board's acceleration in g.
May touch: the serial port that the rig names.
"""
