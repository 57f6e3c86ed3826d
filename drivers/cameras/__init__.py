"""Cameras: compressed pictures as the camera gave them, or encoded here where it compresses nothing.

In: USB cameras (V4L2, OpenCV), network cameras (HTTP, RTSP and what FFmpeg reads), Basler cameras (pylon).
Out: one Frame a picture. May touch: video devices, sockets and vendors' libraries. Says which frames are missing.
"""
