"""Real files as live devices, at their own pace.

In: C3D, TRC, CSV, XDF and video files named by a rig.
Out: Chunk and Frame of lab, each sample once and exactly as in the file.
May touch: the named file, read-only.
"""
