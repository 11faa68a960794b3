"""From a chat request to a question for the model: which images, which regions, and the turns that speak of them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from radfoundry import anatomy
from radfoundry.geometry import Box
from radfoundry.model import ImagePart, RegionPart, Study, Turn
from radfoundry.model.looking import Look
from radfoundry.records import Region
from radfoundry.serving import chat_request as wire
from radfoundry.serving.images import SharedImage
from radfoundry.serving.places import Places
from radfoundry.serving.refusals import Refusal
from radfoundry.viewing import region_label

__all__ = ["MARKER", "Conversation", "GivenRegion", "understand"]

MARKER = "<image>"
_MOST_WORDS = 32_000  # characters of a whole conversation: what is read costs the square of its length


@dataclass(frozen=True)
class GivenRegion:
    """A region that a question is about: its words, and where it is on the canonical grid of an image, if that is known."""

    image: int
    label: str
    mask: npt.NDArray[np.bool_] | None = None
    box: Box | None = None

    def seen_by(self, look: Look) -> RegionPart:
        """Return the region on the model's view. Raises Refusal (400) where nothing of it is in view."""
        if self.mask is not None:
            return RegionPart(self.image, mask=look.mask(self.mask))
        if self.box is None:
            return RegionPart(self.image, name=self.label)
        seen = look.box(self.box)
        if seen is None:
            raise _bad("The box lies outside of what the model sees.", "", "Give a box inside the image.")
        a, b, c, d, e, f = (float(v) for v in seen)
        return RegionPart(self.image, box_zyx=(a, b, c, d, e, f))


_Part = str | ImagePart | GivenRegion


@dataclass
class Conversation:
    """Images in the order in which they are named, the turns, and what the last question is about."""

    images: list[SharedImage] = field(default_factory=list)
    turns: list[tuple[str, list[_Part]]] = field(default_factory=list)
    prior: set[int] = field(default_factory=set)
    about: GivenRegion | None = None

    @property
    def study(self) -> tuple[str, ...]:
        """What the model knows the images by."""
        return tuple(image.image_id for image in self.images)

    @property
    def first(self) -> int:
        """The image that places without an image are on: the first that is no prior."""
        return next((i for i in range(len(self.images)) if i not in self.prior), 0)

    @property
    def asked(self) -> str:
        """The words of the last question."""
        return " ".join(part for part in self.turns[-1][1] if isinstance(part, str)).strip()

    def model_turns(self, study: Study) -> list[Turn]:
        """Return the turns with regions on the views of an opened study."""
        return [Turn(role, [self._seen(part, study) for part in parts]) for role, parts in self.turns]

    def _seen(self, part: _Part, study: Study) -> str | ImagePart | RegionPart:
        if not isinstance(part, GivenRegion):
            return part
        look = study.looks[part.image]
        if look is None:
            raise _bad("The region has no place on what the model sees.")
        return part.seen_by(look)

    def add_image(self, image: SharedImage, prior: bool) -> ImagePart | None:
        """Take an image in; None where the conversation has it already."""
        if image.image_id in self.study:
            return None
        self.images.append(image)
        if prior:
            self.prior.add(len(self.images) - 1)
        return ImagePart(len(self.images) - 1)


def understand(request: wire.ChatRequest, places: Places, max_images: int) -> Conversation:
    """Return the conversation of a request. Raises Refusal: 400 for what makes no sense, 404 for unknown ids; RowError."""
    talk = Conversation()
    system = ""
    for message in request.messages:
        if message.role in ("system", "developer"):
            system += "".join(part.text for part in message.parts if isinstance(part, wire.TextPart)) + "\n"
            continue
        parts = _parts(message, talk, places)
        if system and message.role == "user":
            at = sum(isinstance(part, ImagePart) for part in parts)
            parts, system = [*parts[:at], system, *parts[at:]], ""
        talk.turns.append((message.role, parts))
    if (
        not talk.turns
        or talk.turns[-1][0] != "user"
        or not any(isinstance(p, str) and p.strip() for p in talk.turns[-1][1])
    ):
        raise _bad("There is no question.", "The last message is not a user's, or it has no words.", "Ask something.")
    if len(talk.images) > max_images:
        raise _bad(
            "There are too many images.", f"{len(talk.images)} are shown, the model takes {max_images}.", "Show fewer."
        )
    words = sum(len(part) for _, parts in talk.turns for part in parts if isinstance(part, str))
    if words > _MOST_WORDS:
        raise _bad(
            "The conversation is too long.",
            f"It has {words:,} characters, the limit is {_MOST_WORDS:,}.",
            "Begin anew.",
        )
    talk.about = next((part for part in reversed(talk.turns[-1][1]) if isinstance(part, GivenRegion)), None)
    return talk


def _parts(message: wire.Message, talk: Conversation, places: Places) -> list[_Part]:
    """Images stand where `<image>` marks them, else in front, as models were taught; then regions and words in their order."""
    images: list[ImagePart] = []
    shown = 0
    rest: list[_Part] = []
    for part in message.parts:
        if isinstance(part, wire.TextPart):
            rest.append(part.text)
        elif message.role == "assistant":
            raise _bad("An assistant's message holds words alone.", f"It has a part of type {part.type}.")
        elif isinstance(part, wire.RegionPart):
            rest.append(_region(part, talk, places))
        else:
            found = _images(part, places)
            shown += len(found)
            prior = isinstance(part, wire.VolumePart) and part.volume.time == "prior"
            images += [new for image in found if (new := talk.add_image(image, prior)) is not None]
    marked = sum(part.count(MARKER) for part in rest if isinstance(part, str)) if message.role == "user" else 0
    if marked > shown:
        raise _bad("There are more image markers than images.", f"{marked} markers, {shown} images.", "Add the images.")
    if not marked:
        return [*images, *rest]
    return _placed(images, rest)


def _placed(images: list[ImagePart], rest: list[_Part]) -> list[_Part]:
    """Put images in the places of their markers; those without one come first."""
    marks = sum(part.count(MARKER) for part in rest if isinstance(part, str))
    out: list[_Part] = list(images[: max(0, len(images) - marks)])
    left = images[len(out) :]
    for part in rest:
        if not isinstance(part, str):
            out.append(part)
            continue
        for number, text in enumerate(part.split(MARKER)):
            if number and left:
                out.append(left.pop(0))
            if text:
                out.append(text)
    return out


def _images(part: wire.ImageUrlPart | wire.VolumePart, places: Places) -> Sequence[SharedImage]:
    if isinstance(part, wire.ImageUrlPart):
        return places.uploads.add_once(_data_url(part.image_url.url)).images[:1]
    volume = part.volume
    if volume.study_id is not None:
        if places.corpus is None:
            raise Refusal(404, "There is no such study.", "The server was started without a corpus.")
        return places.corpus.images_of(volume.study_id)
    return [places.image(volume.file_id or volume.image_id or "")]


def _data_url(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma or head not in ("data:image/png;base64", "data:image/jpeg;base64", "data:image/jpg;base64"):
        raise _bad(
            "A picture comes as a data URL of PNG or JPEG.",
            "Nothing is fetched from elsewhere.",
            "Send its bytes in base64.",
        )
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise _bad("A picture's base64 cannot be decoded.", str(error)) from error


def _region(part: wire.RegionPart, talk: Conversation, places: Places) -> GivenRegion:
    """Find a region among the images that have been shown by now."""
    wanted = part.region
    if not talk.images:
        raise _bad("A region needs an image.", "None was shown before it.", "Show the image in the same message.")
    if wanted.region_id is not None:
        region, image = places.region(wanted.region_id, tuple(talk.images))
        return _of_row(region, image, talk)
    if wanted.mask_id is not None:
        mask = places.mask(wanted.mask_id)
        value = wanted.label_value or 0
        if value not in mask.labels.names:
            raise Refusal(404, "There is no such region.", "The mask has no such label value.")
        label = _label_in(mask.labels.names[value], value, mask.image, wanted.mask_id, places)
        return GivenRegion(_number(mask.image.image_id, talk), label, mask.labels.array == value)
    number = _number(wanted.image_id, talk) if wanted.image_id else talk.first
    if wanted.box is not None:
        return GivenRegion(number, "marked region", box=_box(wanted.box, talk.images[number]))
    return _named(wanted.name or "", number, talk, places)


def _label_in(name: str, value: int, image: SharedImage, mask_id: str, places: Places) -> str:
    for region in places.regions(image):
        if region.label_value == value and image.mask_id(region.label_set) == mask_id:
            return region_label(region.name, region.side)
    return region_label(name)


def _of_row(region: Region, image: SharedImage, talk: Conversation) -> GivenRegion:
    mask = image.labels[region.label_set]().array == region.label_value
    return GivenRegion(_number(image.image_id, talk), region_label(region.name, region.side), mask)


def _named(name: str, number: int, talk: Conversation, places: Places) -> GivenRegion:
    """A name that the image has a mask for is that mask; another is words."""
    image = talk.images[number]
    known = anatomy.region(name).name if anatomy.is_known(name) else name
    for region in places.regions(image):
        if (
            name.lower() in (region.name.lower(), region_label(region.name, region.side).lower())
            or region.name == known
        ):
            return _of_row(region, image, talk)
    return GivenRegion(number, name)


def _number(image_id: str, talk: Conversation) -> int:
    if image_id not in talk.study:
        raise _bad("The region lies on another image.", "Its image is not part of the conversation.", "Show it too.")
    return talk.study.index(image_id)


def _box(flat: list[int], image: SharedImage) -> Box:
    shape = image.grid.shape
    half = len(flat) // 2
    start, stop = flat[:half], flat[half:]
    if half != len(shape) or any(not 0 <= a < b <= n for a, b, n in zip(start, stop, shape, strict=True)):
        raise _bad(
            "The box does not lie in its image.",
            f"The image has the shape {list(shape)}; a box is half-open, [z0, y0, x0, z1, y1, x1].",
        )
    return Box.from_flat(flat)


def _bad(what: str, why: str = "", mend: str = "") -> Refusal:
    return Refusal(400, what, why, mend)
