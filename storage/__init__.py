"""Everything with a file format: XDF, video and frame records, take folders, C3D/TRC/CSV input, the FLEX layout.

In: bytes and paths.
Out: values of lab, or files written whole or not at all.
May touch: files and folders it is given.
"""
