"""The one door to jinja2: templates of this room, every value escaped, a missing name an error."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from radfoundry.records import Region, Turn
from radfoundry.viewing.palette import region_colour, region_label

__all__ = ["data_url", "render"]


def render(template: str, **values: object) -> Markup:
    """Return a filled template; whatever is not `Markup` is text and stays text."""
    return Markup(_ENVIRONMENT.get_template(template).render(**values))  # noqa: S704 - autoescape made it safe


def data_url(picture: Image.Image) -> str:
    """Return the picture as a PNG data address, so that a page is one file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _size(region: Region) -> str:
    """Say how large a region is: mL in a volume, mm2 in a picture of known spacing, else pixels."""
    if not region.mm3:
        return f"{region.voxels:,} px"
    return f"{region.mm3 / 1000:,.2f} mL" if len(region.box) == 6 else f"{region.mm3:,.0f} mm2"


def _said(turns: Sequence[Turn], role: str) -> str:
    return "\n".join(turn.text for turn in turns if turn.role == role)


_ENVIRONMENT = Environment(
    loader=PackageLoader("radfoundry.viewing", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(
    data_url=data_url,
    region_colour=region_colour,
    region_label=region_label,
    size=_size,
    asked=lambda sample: _said(sample.turns, "user"),
    answered=lambda sample: _said(sample.turns, "assistant"),
)
