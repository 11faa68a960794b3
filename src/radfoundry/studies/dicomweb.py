"""DICOMweb: studies of a PACS as files in a folder, fetched once, bounded, and read like any other folder.

Only QIDO-RS (what is there) and WADO-RS (the objects) are spoken. Addresses and tokens come from the caller, never from the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from radfoundry.errors import LimitError, MachineError, UnreadableError, UsageError
from radfoundry.studies.limits import Limits

__all__ = ["DicomWeb", "fetch_studies"]

_STUDY, _SERIES = "0020000D", "0020000E"
_PAGE = 200
_TRIES = 3


@dataclass(frozen=True)
class DicomWeb:
    """A server. url: the root of its DICOMweb services; headers: what it wants to see, such as an authorisation."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 60.0

    @classmethod
    def at(cls, source: str | Path) -> DicomWeb | None:
        """Return the server that a source names, None for a place on disk; a path has lost one slash of an address."""
        address = re.match(r"(https?):/+(.+)", str(source))
        return cls(f"{address[1]}://{address[2]}") if address else None

    def client(self) -> httpx.Client:
        """Return a client that follows no redirect, so that a token stays with the server it was meant for."""
        return httpx.Client(headers=dict(self.headers), timeout=self.seconds, follow_redirects=False)


def fetch_studies(
    server: DicomWeb, folder: Path, query: dict[str, str] | None = None, limits: Limits | None = None
) -> list[Path]:
    """Fetch the studies that match `query` (QIDO attributes, e.g. {"ModalitiesInStudy": "CT"}) and return one folder a study.

    Files lie at `folder/<study>/<series>/<number>.dcm`, named by the place in the answer, never by what the server writes. A series
    is complete or absent: it is written aside and renamed, so a second call goes on where a first one ended. Raises MachineError
    where the server fails, UnreadableError for answers that are none, LimitError over the bounds.
    """
    bounds = limits or Limits()
    folder.mkdir(parents=True, exist_ok=True)
    places = []
    with server.client() as client:
        for study in _uids(client, f"{server.url.rstrip('/')}/studies", query or {}, _STUDY, bounds):
            place = folder / study
            place.mkdir(exist_ok=True)
            address = f"{server.url.rstrip('/')}/studies/{study}/series"
            for series in _uids(client, address, {}, _SERIES, bounds):
                if not (place / series).exists():
                    _fetch_series(client, f"{address}/{series}", place / series, bounds)
            places.append(place)
    return places


def _uids(client: httpx.Client, url: str, query: dict[str, str], tag: str, limits: Limits) -> Iterator[str]:
    offset = 0
    while True:
        page = _json(client, url, {**query, "limit": str(_PAGE), "offset": str(offset)}, limits)
        for item in page:
            yield _uid(item, tag)
        offset += len(page)
        limits.check("entries", offset, url)
        if len(page) < _PAGE:
            return


def _uid(item: Any, tag: str) -> str:
    """Return a UID that may name a folder: digits and dots, nothing else."""
    try:
        uid = str(item[tag]["Value"][0])
    except (KeyError, IndexError, TypeError) as error:
        raise UnreadableError(
            "the server's answer names no UID", f"{tag} is missing", code="dicomweb-answer"
        ) from error
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)*", uid) or len(uid) > 64:
        raise UnreadableError("the server's answer holds no valid UID", repr(uid[:80]), code="dicomweb-answer")
    return uid


def _json(client: httpx.Client, url: str, query: dict[str, str], limits: Limits) -> list[Any]:
    _, body = _get(client, url, query, "application/dicom+json", limits.text_bytes * 16)
    if not body:
        return []
    try:
        answer = httpx.Response(200, content=body).json()
    except (ValueError, RecursionError) as error:
        raise UnreadableError(
            f"{url} answers no JSON", str(error)[:200], "is it the root of DICOMweb?", code="dicomweb-answer"
        ) from error
    if not isinstance(answer, list):
        raise UnreadableError(f"{url} answers no list", "is it the root of DICOMweb?", code="dicomweb-answer")
    return answer


def _fetch_series(client: httpx.Client, url: str, place: Path, limits: Limits) -> None:
    kind, body = _get(
        client, url, {}, 'multipart/related; type="application/dicom"; transfer-syntax=*', limits.image_bytes
    )
    aside = place.with_name(f".{place.name}.part")
    aside.mkdir(exist_ok=True)
    for number, part in enumerate(_parts(kind, body, url)):
        limits.check("files", number + 1, url)
        (aside / f"{number:05d}.dcm").write_bytes(part)
    aside.rename(place)


def _parts(kind: str, body: bytes, url: str) -> Iterator[bytes]:
    """Yield the bodies of a multipart answer."""
    boundary = re.search(r'boundary="?([^";]{1,200})"?', kind)
    if boundary is None:
        raise UnreadableError(f"{url} answers no multipart", kind[:100], code="dicomweb-answer")
    mark = b"--" + boundary[1].encode()
    for part in body.split(b"\r\n" + mark if not body.startswith(mark) else mark)[1:]:
        if part.startswith(b"--"):
            return
        _, blank, data = part.partition(b"\r\n\r\n")
        if blank:
            yield data.removesuffix(b"\r\n")


def _get(client: httpx.Client, url: str, query: dict[str, str], accept: str, most: int) -> tuple[str, bytes]:
    """Return type and body, read only up to `most` bytes; a broken connection and a busy server are tried again."""
    reason = ""
    for _ in range(_TRIES):
        try:
            with client.stream("GET", url, params=query, headers={"Accept": accept}) as answer:
                if answer.status_code == 204:
                    return "", b""
                if answer.status_code in (401, 403):
                    raise UsageError(
                        f"{url} does not let you in", f"status {answer.status_code}", "give an authorisation header"
                    )
                if answer.status_code == 200:
                    return answer.headers.get("content-type", ""), _bounded(answer, url, most)
                reason = f"status {answer.status_code}"
                if answer.status_code < 500:
                    break
        except httpx.HTTPError as error:
            reason = f"{type(error).__name__}: {error}"
    raise MachineError(f"{url} did not answer", reason, "check the address, and that the server runs")


def _bounded(answer: httpx.Response, url: str, most: int) -> bytes:
    body = bytearray()
    for chunk in answer.iter_bytes(1 << 20):
        body += chunk
        if len(body) > most:
            raise LimitError(
                f"{url} answers more than it may", f"over {most:,} bytes", "raise the limit", code="limit-image-bytes"
            )
    return bytes(body)
