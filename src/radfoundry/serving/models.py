"""GET /v1/models, and the one model that is served: its name, what it takes, what it was taught to answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter

from radfoundry.model.looking import Look, look_at
from radfoundry.serving.desk import Desk
from radfoundry.serving.images import SharedImage
from radfoundry.serving.refusals import Refusal

__all__ = ["ServedModel", "models_router"]

# of the kinds that the corpora ask; those that need a mask or box only where the model draws them
_QUESTIONS = (
    "Is there a pleural effusion?",
    "Where is the nodule?",
    "Write the findings of this study.",
    "What is abnormal in the left lung?",
)
_POINTING = ("Where is the liver? Give its box.", "Segment the heart.")
_TASKS = ["presence", "location", "size", "disorder", "report", "region-report"]


@dataclass(frozen=True)
class ServedModel:
    """A name over a desk."""

    name: str
    desk: Desk
    max_images: int = 4

    def check(self, name: str) -> None:
        """Raise Refusal (404) for the name of another model."""
        if name != self.name:
            raise Refusal(
                404,
                "There is no such model.",
                f"This server has {self.name}.",
                "GET /v1/models lists it.",
                code="model",
            )

    def look(self, image: SharedImage) -> Look:
        """Return the model's look at an image."""
        return look_at(image.load(), image.grid, image.modality, self.desk.answerer.model.config)

    def as_json(self) -> dict[str, Any]:
        """Return the Model object of the API."""
        points = self.desk.answerer.model.decoder is not None
        return {
            "id": self.name,
            "object": "model",
            "created": 0,
            "owned_by": "radfoundry",
            "radfoundry": {
                "tasks": _TASKS + (["rec", "reg", "segment"] if points else []),
                "modalities": [],
                "dimensions": [2, 3],
                "questions": [*_QUESTIONS, *(_POINTING if points else ())],
                "masks": points,
                "boxes": points,
                "max_images": self.max_images,
            },
        }


def models_router(model: ServedModel) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/models", tags=["models"])

    @router.get("")
    def models() -> dict[str, Any]:
        """List the model."""
        return {"object": "list", "data": [model.as_json()]}

    @router.get("/{name:path}")
    def one(name: str) -> dict[str, Any]:
        """Return the model."""
        model.check(name)
        return model.as_json()

    return router
