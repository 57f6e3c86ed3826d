"""What must be known to trust the streams: marker maps, camera geometry, latencies.

In: recordings of known things, map files.
Out: calibration results of lab.
May touch: files it is given, read-only.
"""
