"""Segmenters that are other people's programs: one contract of files, a template a program, failures refused by name.

An image goes into a private folder as NIfTI, a command runs there, its label map (or folder of masks) is read back on the image's grid
and named by a crosswalk. Nothing of the program enters this process.
"""

from radfoundry.grounding.experts.expert import Expert
from radfoundry.grounding.experts.opening import TEMPLATES, open_segmenter, read_expert

__all__ = ["TEMPLATES", "Expert", "open_segmenter", "read_expert"]
