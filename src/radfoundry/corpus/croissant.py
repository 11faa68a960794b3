"""croissant.json: the corpus as MLCommons Croissant 1.0 describes data sets, so that search engines and loaders can read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from radfoundry.arrow import schema_of
from radfoundry.corpus.licences import terms_of

__all__ = ["croissant"]

_CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/", "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/", "dct": "http://purl.org/dc/terms/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field", "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject", "fileSet": "cr:fileSet", "format": "cr:format", "includes": "cr:includes", "isLiveDataset":
    "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path",
    "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip


def croissant(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON-LD of a corpus from the content of its corpus.json."""
    licence = about["licence"] or "see the licence column of the studies"
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": (about["title"] or about["pipeline"]).replace(" ", "-"),
        "description": f"A radiology corpus built by radfoundry ({about['pipeline']}).",
        "url": about["homepage"] or "https://schema.org/url",
        "license": terms_of(licence).licence,
        "citeAs": about["citation"],
        "version": f"{about['format_version']}.{about['schema_version']}.0",
        "isLiveDataset": False,
        "distribution": [_files(table) for table in about["rows"]],
        "recordSet": [_records(table) for table in about["rows"]],
    }


def _files(table: str) -> dict[str, Any]:
    """A file set that is contained in nothing lies beside croissant.json."""
    return {
        "@type": "cr:FileSet",
        "@id": f"{table}-files",
        "name": f"{table}-files",
        "encodingFormat": "application/x-parquet",
        "includes": f"tables/{table}/*.parquet",
    }


def _records(table: str) -> dict[str, Any]:
    """A table's columns but for structures (turns, sections, made_by): loaders of Croissant do not read these from Parquet yet."""
    fields = [_field(table, field) for field in schema_of(table) if not pa.types.is_struct(_innermost(field.type))]
    return {"@type": "cr:RecordSet", "@id": table, "name": table, "field": fields}


def _field(table: str, field: pa.Field) -> dict[str, Any]:
    described: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{table}/{field.name}",
        "name": f"{table}/{field.name}",
        "dataType": _data_type(_innermost(field.type)),
        "source": {"fileSet": {"@id": f"{table}-files"}, "extract": {"column": field.name}},
    }
    return described | ({"repeated": True} if pa.types.is_list(field.type) else {})


def _innermost(kind: pa.DataType) -> pa.DataType:
    while pa.types.is_list(kind):
        kind = kind.value_type
    return kind


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
