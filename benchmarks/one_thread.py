"""Imported first: numpy's matrices on one thread, as ``flex-capture`` has them; it must be said before its import."""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
