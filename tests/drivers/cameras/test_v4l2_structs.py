"""Structures and numbers of Video4Linux2, against the kernel's own headers."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from drivers.cameras import v4l2_structs as v4l2

STRUCTS = {
    "v4l2_capability": (v4l2.Capability, {"card": "card", "bus_info": "bus_info", "device_caps": "device_caps"}),
    "v4l2_fmtdesc": (v4l2.FormatDescription, {"description": "description", "pixelformat": "pixelformat"}),
    "v4l2_frmsizeenum": (v4l2.FrameSize, {"type": "type", "discrete": "size"}),
    "v4l2_frmivalenum": (v4l2.FrameInterval, {"width": "width", "type": "type", "discrete": "interval"}),
    "v4l2_format": (
        v4l2.Format,
        {"fmt.pix": "width", "fmt.pix.bytesperline": "bytesperline", "fmt.pix.colorspace": "colorspace"},
    ),
    "v4l2_streamparm": (
        v4l2.StreamParameters,
        {"parm.capture": "capability", "parm.capture.timeperframe": "numerator"},
    ),
    "v4l2_requestbuffers": (v4l2.RequestBuffers, {"memory": "memory"}),
    "v4l2_buffer": (
        v4l2.Buffer,
        {
            "bytesused": "bytesused",
            "flags": "flags",
            "timestamp.tv_sec": "seconds",
            "timestamp.tv_usec": "microseconds",
            "sequence": "sequence",
            "memory": "memory",
            "m": "offset",
            "length": "length",
        },
    ),
    "v4l2_queryctrl": (v4l2.ControlQuery, {"minimum": "minimum", "default_value": "default_value", "flags": "flags"}),
    "v4l2_control": (v4l2.Control, {"value": "value"}),
}
IOCTLS = """QUERYCAP ENUM_FMT G_FMT S_FMT REQBUFS QUERYBUF QBUF DQBUF STREAMON STREAMOFF G_PARM S_PARM G_CTRL S_CTRL
QUERYCTRL ENUM_FRAMESIZES ENUM_FRAMEINTERVALS"""
NUMBERS = {
    **{f"VIDIOC_{name}": getattr(v4l2, name) for name in IOCTLS.split()},
    **{f"V4L2_{name}": getattr(v4l2, name) for name in vars(v4l2) if name.startswith(("CAP_", "CID_", "CTRL_"))},
    **{f"V4L2_{name}": getattr(v4l2, name) for name in vars(v4l2) if name.startswith(("BUF_", "FRM", "FIELD_"))},
    "V4L2_MEMORY_MMAP": v4l2.MEMORY_MMAP,
    "V4L2_EXPOSURE_MANUAL": v4l2.EXPOSURE_MANUAL,
    "V4L2_PIX_FMT_MJPEG": v4l2.fourcc("MJPG"),
    "V4L2_PIX_FMT_YUYV": v4l2.fourcc("YUYV"),
    "V4L2_PIX_FMT_GREY": v4l2.fourcc("GREY"),
}


def test_the_numbers_that_matter_are_those_of_the_kernel() -> None:
    """Without a compiler at least these, taken from a compiled header by hand."""
    assert ctypes.sizeof(v4l2.Format) == 208
    assert ctypes.sizeof(v4l2.Buffer) == 88
    assert v4l2.Buffer.sequence.offset == 56
    assert (v4l2.DQBUF, v4l2.S_FMT, v4l2.STREAMON) == (0xC0585611, 0xC0D05605, 0x40045612)


def test_all_agree_with_the_headers(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not Path("/usr/include/linux/videodev2.h").is_file():
        pytest.skip("there is no C compiler with the kernel's headers")
    lines, expected = [], []
    for name, (kind, fields) in STRUCTS.items():
        lines.append(f"sizeof(struct {name})")
        expected.append(ctypes.sizeof(kind))
        for theirs, ours in fields.items():
            lines.append(f"offsetof(struct {name}, {theirs})")
            expected.append(getattr(kind, ours).offset)
    for name, number in NUMBERS.items():
        lines.append(name)
        expected.append(number)
    source = tmp_path / "numbers.c"
    body = "".join(f'printf("%lu\\n", (unsigned long)({line}));\n' for line in lines)
    source.write_text(
        "#include <stdio.h>\n#include <stddef.h>\n#include <linux/videodev2.h>\n"
        f"int main(void) {{\n{body}return 0; }}\n"
    )
    subprocess.run([compiler, str(source), "-o", str(tmp_path / "numbers")], check=True, timeout=60)
    said = subprocess.run([str(tmp_path / "numbers")], check=True, capture_output=True, text=True, timeout=20).stdout
    assert dict(zip(lines, map(int, said.split()), strict=True)) == dict(zip(lines, expected, strict=True))
