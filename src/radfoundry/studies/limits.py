"""How large, deep, many and slow an input may be; every bound is checked on headers, before memory is taken."""

from __future__ import annotations

from dataclasses import dataclass

from radfoundry.errors import LimitError

__all__ = ["Limits"]

_GIB = 1 << 30
_MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """The bounds of one reading; a value equal to a bound passes.

    file_bytes: a file, or a member of an archive once unpacked. image_bytes: the decoded array of one image. axis: samples along
    one axis. files: slices of one series and frames of one object. entries: files below one folder, and members of one archive.
    folder_depth: folders within folders. nesting: archives within archives. ratio: unpacked to packed size, once more than
    `ratio_floor_bytes` come out (an empty mask packs a thousand to one, and is small). text_bytes: one report. xml_depth,
    xml_elements and xml_bytes: one XML file, unpacked. seconds: one call of a native decoder.
    """

    file_bytes: int = 8 * _GIB
    image_bytes: int = 4 * _GIB
    axis: int = 32_768
    files: int = 20_000
    entries: int = 2_000_000
    folder_depth: int = 32
    nesting: int = 2
    ratio: float = 200.0
    ratio_floor_bytes: int = 256 * _MIB
    text_bytes: int = 4 * _MIB
    table_rows: int = 5_000_000
    xml_depth: int = 32
    xml_elements: int = 1_000_000
    xml_bytes: int = 64 * _MIB
    seconds: float = 120.0

    def check(self, name: str, value: float, what: str) -> None:
        """Raise LimitError where `value` of `what` is above the bound called `name`."""
        bound = getattr(self, name)
        if value > bound:
            raise LimitError(
                f"{what} is too large",
                f"{name} is {value:,.0f}, the limit is {bound:,.0f}",
                f"if it is meant to be so, raise Limits.{name}",
                code=f"limit-{name.replace('_', '-')}",
            )

    def check_array(self, shape: tuple[int, ...], itemsize: int, what: str) -> None:
        """Raise LimitError where an array of `shape` would be too large to make; shapes are exact integers of any size."""
        samples = 1
        for size in shape:
            self.check("axis", size, what)
            samples *= int(size)
        self.check("image_bytes", samples * itemsize, what)
