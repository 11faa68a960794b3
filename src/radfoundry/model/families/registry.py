"""The published families, by name: how each is configured, read and spoken to. Every family file has the same parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from radfoundry.errors import UsageError
from radfoundry.model.config import VLMConfig
from radfoundry.model.families import llava, m3d, radfm, radgenome, reg2rg, xraygpt
from radfoundry.model.families.keys import KeyMap
from radfoundry.model.families.pictures import Part, whole
from radfoundry.model.processor import Processor
from radfoundry.model.vocabulary import Codec, Vocabulary

__all__ = ["FAMILIES", "Family", "processor_for", "recognise"]


@dataclass(frozen=True)
class Family:
    """One published model."""

    config: Callable[[Mapping[str, Any]], Any]
    """The published config to ours."""
    keys: Callable[[Any], KeyMap]
    """Our config to the key map of its checkpoints."""
    vocabulary: Callable[[Codec], Vocabulary]
    """The tokenizer with the ids of the family's special tokens."""
    processor: type[Processor]
    """Conversations as this model was trained to read them."""
    look: Callable[[NDArray[Any], str, Any], Tensor]
    """An image's array, its modality and our config to the view that the model was trained on."""
    part: Callable[[NDArray[Any], str, Any], Part]
    """The same to the part of the image that the view shows, so that boxes and masks find back."""
    signs: tuple[str, ...]
    """Beginnings of keys; a checkpoint that has each of them is of this family."""
    licence: str
    """What was found about the licence of code and weights."""
    lora_scale: float = 2.0
    """Alpha over rank of published training files that hold adapters."""
    dimensions: tuple[int, ...] = (2, 3)
    """Of the images that it can look at."""


FAMILIES: dict[str, Family] = {
    "m3d-clip": Family(
        m3d.clip_config,
        lambda _: m3d.clip_keys(),
        m3d.clip_vocabulary,
        Processor,
        m3d.look,
        m3d.part,
        ("vision_encoder.", "language_encoder."),
        "code MIT; trained on Radiopaedia, non-commercial use for machine learning",
        dimensions=(3,),
    ),
    "m3d-lamed": Family(
        m3d.config,
        m3d.keys,
        m3d.vocabulary,
        m3d.M3DProcessor,
        m3d.look,
        m3d.part,
        ("model.vision_tower.vision_tower.blocks.", "model.mm_projector."),
        "code MIT; Llama-2 or Phi-3 terms for the language model; data non-commercial",
        dimensions=(3,),
    ),
    "radfm": Family(
        radfm.config,
        radfm.keys,
        radfm.vocabulary,
        radfm.RadFMProcessor,
        radfm.look,
        whole,
        ("embedding_layer.", "lang_model."),
        "no licence file; LLaMA-1 terms apply to the language model",
    ),
    "xraygpt": Family(
        xraygpt.config,
        xraygpt.keys,
        xraygpt.vocabulary,
        xraygpt.XrayGPTProcessor,
        xraygpt.look,
        xraygpt.part,
        ("llama_proj.",),
        "CC BY-NC-SA 4.0; LLaMA terms for Vicuna; trained on MIMIC-CXR (PhysioNet)",
        dimensions=(2,),
    ),
    "llava-tri": Family(
        llava.config,
        llava.keys,
        llava.vocabulary,
        llava.LlavaProcessor,
        llava.look,
        llava.part,
        ("model.vision_tower.vision_tower.vision_model.", "model.mm_projector.0."),
        "no licence file; Llama-3 terms for the language model",
        dimensions=(2,),
    ),
    "radgenome": Family(
        radgenome.config,
        radgenome.keys,
        radgenome.vocabulary,
        radgenome.RadGenomeProcessor,
        radgenome.look,
        whole,
        ("vision_backbone.", "image_proj_mlp."),
        "no licence file; Llama-3 terms for the language model; SAT without a licence; no weights released",
        4.0,
        dimensions=(3,),
    ),
    "reg2rg": Family(
        reg2rg.config,
        reg2rg.keys,
        reg2rg.vocabulary,
        reg2rg.Reg2RGProcessor,
        reg2rg.look,
        reg2rg.part,
        ("embedding_layer.mask_encoder.",),
        "code Apache-2.0; Llama-2 terms for the language model; CT-RATE's terms for its data",
        4.0,
        dimensions=(3,),
    ),
}


def processor_for(vocabulary: Vocabulary, config: VLMConfig) -> Processor:
    """The processor of a model, ours or published."""
    kind = FAMILIES[config.family].processor if config.family in FAMILIES else Processor
    return kind.for_model(vocabulary, config)


def recognise(keys: Sequence[str]) -> str:
    """The family whose signs a checkpoint's keys have.

    Raises:
        UsageError: no family's signs are there.
    """
    for name in reversed(FAMILIES):  # Reg2RG's keys are a superset of RadFM's signs, and so it comes before
        if all(any(key.startswith(sign) for key in keys) for sign in FAMILIES[name].signs):
            return name
    raise UsageError(
        "the weights belong to no known family", f"known: {', '.join(FAMILIES)}", "name the family if you know better"
    )
