"""Models: parts, configs, the processor that alone knows tokens, checkpoints, and the answerer that owns the caches."""

from radfoundry.model.checkpoint import load, save
from radfoundry.model.config import VLMConfig
from radfoundry.model.inference import Answer, Answerer, Guide, Question, Study
from radfoundry.model.presets import PRESETS, base, create, nano, small
from radfoundry.model.processor import Encoded, ImagePart, Pointer, Processor, RegionPart, Turn
from radfoundry.model.vlm import VLM, ModelInputs, ModelOutputs, Queries, Regions, Seen
from radfoundry.model.vocabulary import Vocabulary

__all__ = [
    "PRESETS",
    "VLM",
    "Answer",
    "Answerer",
    "Encoded",
    "Guide",
    "ImagePart",
    "ModelInputs",
    "ModelOutputs",
    "Pointer",
    "Processor",
    "Queries",
    "Question",
    "RegionPart",
    "Regions",
    "Seen",
    "Study",
    "Turn",
    "VLMConfig",
    "Vocabulary",
    "base",
    "create",
    "load",
    "nano",
    "save",
    "small",
]
