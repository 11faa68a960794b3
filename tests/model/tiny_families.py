"""Published families at a size for tests: configs in published names, and tokenizers learned on the spot."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

from sentencepiece import SentencePieceTrainer
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from radfoundry.model.vocabulary import Codec, JsonTokenizer, SentencePieces

TEXT = [
    "The lungs are clear. Is there a nodule in the left lung? No effusion is seen, yes or no.",
    "What is the main finding? The heart is normal. ###Patient: ###Doctor: Please describe this image.",
    "user assistant system 0 1 2 3 4 5 6 7 8 9 [ ] , . : ; # < > / | _ Find the box of the liver.",
]
LLAMA = {"vocab_size": 340, "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2,
         "num_attention_heads": 2, "max_position_embeddings": 512}  # fmt: skip
M3D = {**LLAMA, "vocab_size": 344, "image_size": [4, 8, 8], "patch_size": [2, 4, 4], "mm_hidden_size": 16,
       "vision_encoder": {"hidden_size": 16, "mlp_dim": 24, "num_layers": 1, "num_heads": 2},
       "mm_projector_type": "spp", "proj_pooling_size": 2, "segmentation_module": "segvol",
       "seg_module": {"image_encoder": {"hidden_size": 16, "mlp_dim": 24, "num_layers": 1, "num_heads": 2},
                      "two_way_transformer": {"depth": 2, "num_heads": 2, "mlp_dim": 16},
                      "iou_head_hidden_dim": 8}}  # fmt: skip
RADFM = {"llama": LLAMA, "embedding": {"perceiver_num": 3, "vis_dim": 12, "patch_size": 4, "frame_patch_size": 2},
         "hard_coded": {"vit_image_size": 16, "vit_frames": 16, "vit_depth": 1, "vit_heads": 2, "vit_mlp_dim": 16,
                        "perceiver_depth": 1, "perceiver_heads": 2}}  # fmt: skip
XRAYGPT = {"llama": LLAMA,
           "vit": {"img_size": 8, "patch_size": 4, "embed_dim": 16, "depth": 1, "num_heads": 2, "mlp_ratio": 2.0},
           "qformer": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
                       "layer_norm_eps": 1e-12, "num_query_token": 3}}  # fmt: skip
LLAVA = {"llama": {**LLAMA, "vocab_size": 512}, "s2_scales": "8,16",
         "vision": {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
                    "image_size": 8, "patch_size": 4, "projection_dim": 16, "hidden_act": "quick_gelu"}}  # fmt: skip
RADGENOME = {"llama": LLAVA["llama"], "image_size": [32, 64, 32], "stages": [2, 2, 4, 4, 8, 8], "hidden": 12,
             "prompt_widths": [2, 4]}  # fmt: skip
REG2RG = {**RADFM, "mask_encoder": {"image_size": 16, "image_patch_size": 4, "frames": 16, "frame_patch_size": 2,
                                    "dim": 15, "depth": 1, "heads": 2, "mlp_dim": 16}}  # fmt: skip
TINY: dict[str, dict[str, Any]] = {
    "m3d-lamed": M3D,
    "radfm": RADFM,
    "xraygpt": XRAYGPT,
    "llava-tri": LLAVA,
    "radgenome": RADGENOME,
    "reg2rg": REG2RG,
}
SHAPES = {
    "m3d-lamed": (4, 8, 8),
    "radfm": (4, 8, 8),
    "xraygpt": (1, 8, 8),
    "llava-tri": (1, 16, 16),
    "radgenome": (32, 64, 32),
    "reg2rg": (4, 8, 8),
}
CHANNELS = {"m3d-lamed": 1, "radfm": 3, "xraygpt": 3, "llava-tri": 3, "radgenome": 1, "reg2rg": 3}
LLAMA3_TOKENS = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")


@cache
def sentence_pieces() -> bytes:
    """A tiny model like LLaMA's: BPE with bytes to fall back on."""
    out = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 4),
        model_writer=out,
        vocab_size=340,
        model_type="bpe",
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    return out.getvalue()


@cache
def llama3_json() -> str:
    """A tiny tokenizer with Llama-3's special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXT, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in LLAMA3_TOKENS])
    return str(tokenizer.to_str())


def codec_of(family: str) -> Codec:
    if family in ("llava-tri", "radgenome"):
        return JsonTokenizer(Tokenizer.from_str(llama3_json()))
    return SentencePieces(sentence_pieces())
