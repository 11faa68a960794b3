"""Headers by the file they came from: what discovery has parsed, reading need not parse again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from radfoundry.studies.containers import Container
from radfoundry.studies.dicom_header import Header, header_of

__all__ = ["header_in"]

# a header takes about 2 kB
_KEEP = 5_000
_KEPT: OrderedDict[object, Header] = OrderedDict()


def header_in(container: Container, name: str) -> Header:
    """Return the header of a container's file; parsed once as long as place, size and time of the file stay the same.

    Raises what `header_of` raises.
    """
    stamp = container.stamp(name)
    kept = _KEPT.get(stamp)
    if kept is not None:
        return replace(kept, name=name)
    with container.open(name) as stream:
        header = header_of(stream, name)
    _KEPT[stamp] = header
    if len(_KEPT) > _KEEP:
        _KEPT.popitem(last=False)
    return header
