"""/v1/files, /v1/images, /v1/masks: scans in, pixels and label maps out."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy.typing as npt
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from isal import isal_zlib
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from radfoundry.geometry import Grid
from radfoundry.serving.dicom_seg import seg_of
from radfoundry.serving.images import PixelCache, describe, region_json
from radfoundry.serving.nifti_out import nifti_header, plain_samples
from radfoundry.serving.places import Places
from radfoundry.serving.reading import example_image
from radfoundry.serving.refusals import Refusal
from radfoundry.serving.settings import Settings
from radfoundry.studies.samples import raw_bytes

__all__ = ["files_router"]

_CHUNK = 1 << 20
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": ["vision"]},
                    },
                }
            }
        },
    }
}


def files_router(places: Places, pixels: PixelCache, settings: Settings, reading: Any) -> APIRouter:
    """Return the routes; `reading` is the semaphore that bounds how many files are decoded at one time."""
    router = APIRouter(prefix="/v1", tags=["files"])
    uploads = places.uploads

    @router.post("/files", openapi_extra=_FORM)
    async def upload(request: Request) -> dict[str, Any]:
        """Take a scan in."""
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise Refusal(
                400, "A file is sent as multipart/form-data.", "", "curl -F file=@scan.nii.gz -F purpose=vision URL"
            )
        async with request.form(max_files=1, max_fields=8) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise Refusal(400, "There is no file in the request.", "The form has no part `file` with a file name.")
            if form.get("purpose", "vision") != "vision" or set(form) - {"file", "purpose"}:
                raise Refusal(400, "The form has a field that is not known.", "It takes `file`, and `purpose`: vision.")
            async with reading:
                added = await run_in_threadpool(uploads.add, file.file)
        return await run_in_threadpool(added.as_json)

    @router.post("/files/example")
    def example() -> dict[str, Any]:
        """Take in a phantom: a made-up patient of whom everything is known."""
        image = example_image(pixels)
        return uploads.add_images((image,), int(image.load().nbytes)).as_json()

    @router.get("/files/{file_id}")
    def file(file_id: str) -> dict[str, Any]:
        """Return what is known of a file."""
        return uploads.file(file_id).as_json()

    @router.delete("/files/{file_id}")
    def delete(file_id: str) -> dict[str, Any]:
        """Forget a file."""
        uploads.delete(file_id)
        return {"id": file_id, "object": "file", "deleted": True}

    @router.get("/images/{image_id}")
    def image(image_id: str) -> dict[str, Any]:
        """Return what is known of an image."""
        return describe(places.image(image_id))

    @router.get("/files/{some_id}/volume", response_class=Response)
    def volume(some_id: str, request: Request) -> Response:
        """Return the pixels of an image as NIfTI."""
        found = places.image(some_id)
        return _nifti(request, lambda: found.load(), found.grid, found.image_id, settings)

    @router.get("/files/{some_id}/regions")
    def regions(some_id: str) -> dict[str, Any]:
        """List the regions of an image."""
        found = places.image(some_id)
        return {"object": "list", "data": [region_json(region, found) for region in places.regions(found)]}

    @router.get("/masks/{mask_id}.dcm", response_class=Response)
    def dicom_mask(mask_id: str) -> Response:
        """Return a label map as DICOM SEG on the frames of its source."""
        mask = places.mask(mask_id)
        return Response(seg_of(mask.labels, mask.image, settings.reading), media_type="application/dicom")

    @router.get("/masks/{mask_id}", response_class=Response)
    def mask(mask_id: str, request: Request) -> Response:
        """Return a label map as NIfTI."""
        found = places.mask(mask_id)
        return _nifti(request, lambda: found.labels.array, found.image.grid, mask_id, settings)

    return router


def _nifti(request: Request, load: Any, grid: Grid, tag: str, settings: Settings) -> Response:
    """Send samples from the memory that they lie in; packed for those who are far away and say that they take it."""
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, immutable", "Vary": "Accept-Encoding"}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    samples = plain_samples(load())
    head = nifti_header(samples, grid)
    length = len(head) + samples.nbytes
    headers["X-Volume-Bytes"] = str(length)
    body = _pieces(head, samples)
    if not settings.loopback and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = _packed(body)
    else:
        headers["Content-Length"] = str(length)
    return StreamingResponse(body, headers=headers, media_type="application/octet-stream")


def _pieces(head: bytes, samples: npt.NDArray) -> Iterator[bytes]:
    yield head
    whole = raw_bytes(samples)
    for start in range(0, len(whole), _CHUNK):
        yield bytes(whole[start : start + _CHUNK])


def _packed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packer = isal_zlib.compressobj(1, wbits=16 + zlib.MAX_WBITS)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()
