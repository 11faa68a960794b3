"""Grids in every orientation, and files of every format that hold a known array on them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
