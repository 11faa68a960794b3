"""Published benchmarks, one file each and all of one shape: NAME, VERSION, and `load(src, split)`, which gives a `Suite`."""

from radfoundry.evaluation.suites.registry import SUITES, open_suite
from radfoundry.evaluation.suites.suite import Suite

__all__ = ["SUITES", "Suite", "open_suite"]
