"""Native decoders in a process of their own: a crash, a hang or a bomb in a codec costs one picture, not the run."""

from radfoundry.studies.decoding.client import Decoded, decode

__all__ = ["Decoded", "decode"]
