"""XML to a plain tree: no document type, no entities of its own, nothing fetched, bounded in depth and number."""

from __future__ import annotations

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from radfoundry.errors import UnreadableError
from radfoundry.studies.limits import Limits

__all__ = ["local_name", "parse_xml"]


def parse_xml(data: bytes, name: str, limits: Limits) -> Element:
    """Return the root element. Raises UnreadableError for broken XML and for a DOCTYPE, LimitError over the bounds."""
    limits.check("xml_bytes", len(data), name)
    builder = TreeBuilder()
    depth = count = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        limits.check("xml_depth", depth, name)
        limits.check("xml_elements", count, name)
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> None:
        raise UnreadableError(
            f"{name} declares a document type",
            "entities can blow a file up or reach outside it",
            "remove the DOCTYPE",
            code="xml-doctype",
        )

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise UnreadableError(f"{name} is broken XML", str(error), "write it again", code="bad-xml") from error
    root: Element = builder.close()
    return root


def local_name(element: Element) -> str:
    """Return the tag without its namespace."""
    return element.tag.rpartition(" ")[2]
