"""Published behaviour that a rewrite gets wrong: each test names the trap of the specification that it treats."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_families import LLAVA, M3D, RADFM, XRAYGPT, codec_of, llama3_json
from tokenizers import AddedToken, Tokenizer

from radfoundry.errors import UsageError
from radfoundry.model.clip import ClipConfig, ContrastiveModel, contrastive_loss
from radfoundry.model.families import llava, m3d, m3d_training, radfm, radfm_training, xraygpt, xraygpt_demo
from radfoundry.model.vision import VisionTransformer
from radfoundry.model.vision_towers import cut_tiles, join_tiles, multi_scale
from radfoundry.model.vlm import VLM
from radfoundry.model.vocabulary import JsonTokenizer

WORDS = codec_of("radfm")


# M3D -------------------------------------------------------------------------------------------------------------


def test_the_class_token_has_no_position_m3d_t11() -> None:
    model = VisionTransformer(m3d.config(M3D).vision)
    torch.nn.init.ones_(model.positions.table)
    torch.nn.init.zeros_(model.class_token)
    assert not model.add_class(torch.ones(1, 8, 16))[:, 0].any()


def clip(exponential: bool) -> ContrastiveModel:
    text = {
        "vocab_size": 20,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
    }
    return ContrastiveModel(ClipConfig(m3d.config(M3D).vision, text=text, exponential_scale=exponential))


def test_the_logit_scale_is_multiplied_as_it_is_for_old_weights_m3d_t13() -> None:
    assert clip(False).scale().item() == pytest.approx(2.6593, abs=1e-4)
    assert clip(True).scale().item() == pytest.approx(1 / 0.07, rel=1e-5)
    assert m3d.clip_config({}).exponential_scale is False


def test_every_token_is_a_unit_vector_and_the_first_stands_for_the_whole_m3d_t14() -> None:
    vectors = clip(False).encode_image(torch.rand(2, 1, 4, 8, 8))
    assert vectors.shape == (2, 9, 16)
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(2, 9), atol=1e-5)


def test_both_directions_count_alike_in_the_contrastive_loss() -> None:
    logits = torch.randn(4, 4)
    assert torch.allclose(contrastive_loss(logits), contrastive_loss(logits.T))


def test_a_layer_that_the_published_code_reads_wrongly_is_refused_m3d_t16() -> None:
    with pytest.raises(UsageError, match="vision_select_layer is not -1"):
        m3d.config({**M3D, "vision_select_layer": -2})


def test_an_unknown_projector_is_refused() -> None:
    with pytest.raises(UsageError, match="no projector 'magic'"):
        m3d.config({**M3D, "mm_projector_type": "magic"})


def test_the_linear_projector_says_2048_whatever_its_size_m3d_t18() -> None:
    assert m3d.projector_tokens({**M3D, "mm_projector_type": "linear"}) == 2048
    assert m3d.projector_tokens(M3D) == 1


def test_images_are_spliced_by_position_and_never_by_id_m3d_t19() -> None:
    rows = m3d.splice(torch.tensor([[7, 8, 9, 10, 11], [1, 2, 3, 4, 5]]), 2)
    assert rows.tolist() == [[-1, 0, 1, -1, -1], [-1, 2, 3, -1, -1]]
    assert m3d.splice(torch.tensor([[7]]), 2).tolist() == [[-1]]


def test_a_caption_prompt_has_no_space_after_the_placeholders_m3d_t20() -> None:
    assert m3d.placeholders(2, "caption") == "<im_patch><im_patch>"
    assert m3d.placeholders(2, "vqa_open") == "<im_patch><im_patch> "


def test_added_ids_follow_the_tokenizers_length_m3d_t21() -> None:
    special = m3d.vocabulary(WORDS).special
    assert [special[name] - WORDS.size for name in ("image", "bx_start", "bx_end", "seg")] == [0, 1, 2, 3]
    assert (special["bos"], special["eos"], special["pad"]) == (1, 2, 0)


def test_a_published_tokenizer_that_holds_the_added_tokens_gives_their_ids_and_hides_them_m3d_t21() -> None:
    tokenizer = Tokenizer.from_str(llama3_json())
    tokenizer.add_tokens([AddedToken(name, special=name != "[SEG]") for name in m3d.NEW_TOKENS])
    codec = JsonTokenizer(tokenizer)
    special = m3d.vocabulary(codec).special
    assert [special[name] for name in ("image", "seg")] == [codec.size - 4, codec.size - 1]
    assert special["seg"] not in codec.encode("a [SEG] in a report")
    assert codec.decode(codec.encode("a [SEG] in a report")) == "a [SEG] in a report"


@pytest.mark.parametrize("rows", [5, 9])
def test_new_rows_are_the_mean_of_the_old_and_surplus_rows_are_cut_m3d_t22(rows: int) -> None:
    table = torch.arange(rows * 2.0).reshape(rows, 2)
    grown = m3d.grow_rows(table, 7, 2)
    assert torch.equal(grown[:5], table[:5])
    assert torch.equal(grown[5], table[:5].mean(dim=0))
    assert torch.equal(grown[5], grown[6])


def test_the_end_token_is_a_label_without_attention_and_missing_after_a_cut_m3d_t23() -> None:
    row = m3d_training.training_row([1, 5], [1, 5, 6], 5, pad=0, eos=2)
    assert (row.ids, row.attention) == ([1, 5, 6, 2, 0], [1, 1, 1, 0, 0])
    assert row.labels == [-100, -100, 6, 2, -100]
    assert m3d_training.training_row([1, 5], [1, 5, 2, 6], 6, pad=2, eos=2).labels == [-100, -100, -100, 6, 2, -100]
    assert 2 not in m3d_training.training_row([1], [1, 5, 6, 7], 4, pad=0, eos=2).ids


def test_no_two_and_first_seg_tokens_in_generation_m3d_t27() -> None:
    states = torch.arange(24.0).reshape(3, 4, 2)
    ids = torch.tensor([[1, 9, 9, 3], [9, 1, 1, 1], [1, 2, 3, 4]])
    prompts, present = m3d_training.generated_states(states, ids, seg=9)
    assert present.tolist() == [True, False, False]
    assert torch.equal(prompts[0], states[0, 1:3].mean(dim=0))
    assert not prompts[1:].any()


def test_a_zero_state_skips_the_projector_m3d_t27() -> None:
    decoder = VLM(m3d.config(M3D)).eval().decoder
    assert not decoder.project(torch.zeros(2, 24)).any()
    assert decoder.project(torch.ones(2, 24)).any()


def test_the_position_code_multiplies_y_z_x_in_this_order_m3d_t28() -> None:
    decoder = VLM(m3d.config(M3D)).decoder.decoder
    decoder.gaussian.zero_()
    decoder.gaussian[0] = 1
    code = decoder.position_code()[0, 0]
    assert torch.allclose(code[:, 0, 0], code[0, 0, 0].expand(2))
    assert not torch.allclose(code[0, :, 0], code[0, 0, 0].expand(2))


def test_another_volume_size_is_refused_with_the_reason_m3d_t31() -> None:
    with pytest.raises(UsageError, match=r"made for \(4, 8, 8\)"):
        VLM(m3d.config(M3D)).decoder.decode(torch.rand(1, 1, 4, 8, 12))


def test_the_training_losses_run_on_a_cpu_and_count_filled_masks_alone_m3d_t35_t37() -> None:
    model = VLM(m3d.config(M3D)).eval()
    volumes, ids = torch.rand(2, 1, 4, 8, 8), torch.tensor([[1, 0, 5, 9], [1, 0, 5, 9]])
    masks = torch.zeros(2, 1, 4, 8, 8)
    given = (volumes, ids, torch.ones_like(ids), ids)
    empty, _ = m3d_training.training_losses(model, *given, masks, seg=9)
    assert set(empty) == {"text"}
    masks[0, 0, 1:3] = 1
    one, _ = m3d_training.training_losses(model, *given, masks, seg=9)
    alone, _ = m3d_training.training_losses(model, *(x[:1] for x in given), masks[:1], seg=9)
    assert torch.allclose(one["dice"], alone["dice"], atol=1e-6)


def test_smoothing_in_the_denominator_alone_keeps_a_perfect_mask_above_zero_m3d_t36() -> None:
    truth = torch.ones(1, 2, 2, 2)
    assert m3d_training.dice_loss(truth * 100, truth).item() == pytest.approx(1 - 16 / 17)
    assert m3d_training.dice_loss(-truth * 100, truth * 0).item() == 1
    assert torch.equal(m3d_training.entropy_loss(truth, truth * -1), m3d_training.entropy_loss(truth, truth.long() * 0))


@given(st.integers(0, 3), st.integers(0, 7), st.integers(0, 7))
def test_boxes_written_as_text_come_back_on_the_voxel_m3d_t38(z: int, y: int, x: int) -> None:
    from radfoundry.model import RegionPart

    shape = (32, 256, 256)
    box = (z, y * 30, x * 30, z + 5, y * 30 + 17, x * 30 + 1)
    (found,) = m3d.boxes_in_text(f"It is at {m3d.box_text(RegionPart(box_zyx=box), shape)}.", shape)
    assert np.array_equal(found, box)


def test_a_view_is_min_max_crop_resize_m3d_t1() -> None:
    volume = np.zeros((10, 20, 20), dtype=np.float32)
    volume[2:8, 5:15, 5:15] = 3
    view = m3d.view(volume, (4, 8, 8))
    assert view.shape == (1, 4, 8, 8)
    assert (view == 1).all()
    assert (m3d.view(np.full((4, 4, 4), 7, dtype=np.float32), (4, 8, 8)) == 0).all()


# RadFM -----------------------------------------------------------------------------------------------------------

TAGS = radfm.Tags(340, 3, 4)


def test_weighting_is_an_option_that_the_plain_loss_does_not_know_rfm_t1_t2() -> None:
    logits, labels = torch.randn(1, 4, 9), torch.tensor([[-100, 2, 3, 4]])
    even = radfm_training.weighted_loss(logits, labels, torch.tensor([[0.0, 1, 1, 1]]))
    plain = torch.nn.functional.cross_entropy(logits[0, :-1], labels[0, 1:])
    assert torch.allclose(even, plain)
    heavy = radfm_training.weighted_loss(logits, labels, torch.tensor([[0.0, 3, 1, 1]]))
    assert not torch.allclose(heavy, plain)


def test_an_image_at_the_end_lands_before_the_last_character_rfm_t3() -> None:
    write = lambda p: TAGS.write(radfm.place_images("Mass?", [(0, p)], TAGS))  # noqa: E731
    block = "<image><image0><image1><image2></image>"
    assert write(5) == f"Mass{block}?"
    assert write(0) == write(1) == f"{block}Mass?"


def test_the_demo_places_one_later_and_in_reverse_rfm_t4() -> None:
    pieces = radfm_training.place_images_demo("ab", [1, 1], TAGS)
    assert TAGS.write(pieces) == "a<image><image3><image4><image5></image><image><image0><image1><image2></image>b"
    with pytest.raises(UsageError, match="no character is there"):
        radfm_training.place_images_demo("ab", [2], TAGS)


def test_blanks_at_tags_vanish_and_words_start_anew_rfm_t6() -> None:
    ids = radfm.encode(["lungs ", *TAGS.block(0), " are"], WORDS)
    assert ids == [1, *WORDS.encode("lungs"), 340, 342, 343, 344, 341, *WORDS.encode("are")]


def test_the_end_id_lies_behind_the_mask_and_is_a_label_rfm_t7_t8() -> None:
    row = radfm_training.training_row(["a"], ["b"], WORDS, 340, 12)
    used = sum(row["attention_mask"])
    assert (row["lang_x"][used], row["labels"][used]) == (2, 2)
    full = radfm_training.training_row(["nodule " * 20], ["b"], WORDS, 340, 12)
    assert set(full["labels"]) == {-100}


def test_an_image_without_room_gets_no_tag_and_its_block_is_refused_rfm_t10() -> None:
    assert radfm.place_images("ab", [(4, 0)], TAGS) == ["a", "b"]
    with pytest.raises(UsageError, match="no room for image 4"):
        TAGS.block(4)


def test_entity_weights_are_set_and_not_multiplied_rfm_t11() -> None:
    assert radfm_training.entity_weights([-100, 5, 6, 7, 2], [[5, 6], [6, 7], [], [9]]) == [0, 3, 3, 3, 1]


def test_a_constant_study_becomes_zeros_of_the_right_shape_rfm_t21() -> None:
    view = radfm.view(torch.full((1, 6, 20, 20), 3.0), side=16)
    assert view.shape == (3, 4, 16, 16)
    assert not view.any()


@pytest.mark.parametrize(("depth", "wanted"), [(1, 4), (6, 4), (7, 8), (10, 8), (30, 28), (66, 64), (200, 64)])
def test_a_tie_in_depth_goes_down_and_deep_stacks_are_thinned_rfm_t23(depth: int, wanted: int) -> None:
    assert radfm.target_depth(depth) == wanted
    picked = radfm.resize_nearest(torch.arange(float(depth)).reshape(1, depth, 1, 1), (wanted, 1, 1)).flatten()
    assert picked.tolist() == [i * depth // wanted for i in range(wanted)]


def test_positions_are_read_at_whole_strides_rfm_t26() -> None:
    positions = VisionTransformer(radfm.config(RADFM).vision).positions
    rows = [tuple(positions._axis(positions.z, n)[:, 0].tolist()) for n in (1, 2, 3, 8)]
    table = positions.z.weight[:, 0].tolist()
    assert rows == [tuple(table[i] for i in index) for index in ([7], [3, 7], [1, 3, 5], range(8))]
    with pytest.raises(UsageError, match="9 patches along one axis"):
        positions._axis(positions.z, 9)


def test_the_second_copy_of_the_embedding_is_the_one_that_prompts_use_rfm_t37() -> None:
    state = {"embedding_layer.weight": torch.ones(2), "lang_model.model.embed_tokens.weight": torch.zeros(2)}
    assert radfm.drop_tied(state)["lang_model.model.embed_tokens.weight"].all()


def test_whole_answers_count_and_not_tokens_rfm_t34() -> None:
    logits = torch.eye(4)[None].repeat(2, 1, 1)
    labels = torch.tensor([[-100, 0, 1, 2], [-100, 0, 1, 3]])
    assert radfm_training.whole_answers_right(logits, labels).item() == 0.5


# XrayGPT ---------------------------------------------------------------------------------------------------------


def test_texts_beside_the_image_start_a_word_each_and_the_template_ends_with_a_boundary_xrg_t8_t9() -> None:
    wrapped = xraygpt.wrap("<Img><ImageHere></Img> Clear?", WORDS)
    assert wrapped.before == WORDS.encode("###Patient: <Img>")
    assert wrapped.after == WORDS.encode("</Img> Clear? ###Doctor: ")
    assert WORDS.decode(wrapped.after).endswith(" ")


def test_the_begin_token_is_added_once_outside_the_wrap_xrg_t10() -> None:
    rows = xraygpt.training_rows(xraygpt.Wrapped([7], [8]), [[9, 3], [9]], tokens=2)
    assert rows["input_ids"].tolist() == [[1, 7, 0, 0, 8, 9, 3], [1, 7, 0, 0, 8, 9, 2]]
    assert rows["labels"][0].tolist() == [-100, -100, -100, -100, -100, 9, 3]
    assert rows["attention_mask"][1].tolist() == [1, 1, 1, 1, 1, 1, 0]
    assert rows["visual"][1].tolist() == [-1, -1, 2, 3, -1, -1, -1]


def test_an_end_token_in_a_caption_is_hidden_though_attended_xrg_t13() -> None:
    rows = xraygpt.training_rows(None, [[9, 2, 5]], tokens=1)
    assert rows["labels"][0].tolist() == [-100, -100, 9, -100, 5]
    assert rows["attention_mask"][0].tolist() == [1] * 5


def test_a_long_caption_loses_its_end_symbol_xrg_t14() -> None:
    (ids,) = xraygpt.caption_ids(["The lungs are clear. " * 4], WORDS, "###", 10)
    assert len(ids) == 10
    assert "#" not in WORDS.decode(ids)


def test_the_linear_layer_alone_is_trained_and_frozen_parts_have_no_dropout_xrg_t18() -> None:
    model = VLM(xraygpt.config(XRAYGPT))
    xraygpt.freeze(model)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained == ["connector.projection.weight", "connector.projection.bias"]
    volume = torch.rand(1, 3, 1, 8, 8)
    assert torch.equal(model.train().see(list(volume)).table, model.eval().see(list(volume)).table)


def test_keys_have_no_bias_in_the_encoder_xrg_t19() -> None:
    state = {"visual_encoder.blocks.0.attn.q_bias": torch.ones(2), "visual_encoder.blocks.0.attn.v_bias": torch.ones(2)}
    joined = xraygpt.join_biases(state)
    assert joined["visual_encoder.blocks.0.attn.qkv.bias"].tolist() == [1, 1, 0, 0, 1, 1]


def test_each_norm_has_its_own_epsilon_xrg_t20() -> None:
    model = VLM(xraygpt.config(XRAYGPT))
    assert model.vision.output_norm.eps == 1e-5
    assert model.vision.blocks[0].norm1.eps == 1e-6
    assert model.connector.resampler.qformer.layernorm.eps == 1e-12


def test_half_precision_leaves_biases_of_queries_norms_and_positions_alone_xrg_t23() -> None:
    exact = torch.tensor([1 + 2**-20])
    names = ("attn.qkv.weight", "attn.q_bias", "norm1.weight", "mlp.fc1.bias")
    rounded = xraygpt.half_rounded({f"visual_encoder.blocks.0.{name}": exact for name in names})
    assert [tensor.item() == 1 for tensor in rounded.values()] == [True, False, False, True]


def test_the_begin_token_stands_on_the_first_segment_alone_xrg_t11() -> None:
    segments = xraygpt_demo.Conversation().upload().ask("Clear?").say("Doctor", None).segments(WORDS)
    assert [segment[0] == 1 for segment in segments] == [True, False]


def test_two_uploads_make_two_turns_and_the_question_joins_the_second_xrg_t35() -> None:
    talk = xraygpt_demo.Conversation().upload().upload().ask("Clear?")
    assert [text for _, text in talk.messages] == ["<Img><ImageHere></Img>", "<Img><ImageHere></Img> Clear?"]


def test_one_leading_begin_token_goes_and_no_more_xrg_t29_t30() -> None:
    ids = WORDS.encode("Clear.")
    assert xraygpt_demo.read_answer([0, 1, *ids], WORDS)[1] == "Clear."
    assert xraygpt_demo.read_answer([1, 1, *ids], WORDS)[1] == "<s>Clear."


def test_the_window_drops_the_image_first_xrg_t34() -> None:
    assert xraygpt_demo.window(163, 11, 173) == 162
    assert xraygpt_demo.window(163, 300, 200) == 0


def test_the_warm_up_restarts_with_the_epoch_xrg_t38() -> None:
    rate = lambda epoch, step: xraygpt_demo.learning_rate(  # noqa: E731
        epoch, step, epochs=3, steps=10, start=1e-6, peak=1e-4, floor=1e-5, warmup=15
    )
    assert rate(1, 0) == rate(0, 0) < rate(0, 9)
    assert rate(2, 0) == pytest.approx((1e-4 - 1e-5) * 0.5 * (1 + math.cos(math.pi * 20 / 30)) + 1e-5)


def test_the_two_presets_prepare_pictures_differently_xrg_t44() -> None:
    wide = Image.new("L", (40, 10), 255)
    assert (xraygpt.view(wide, 8) > 1).all()
    padded = xraygpt.medclip_view(wide, 8, 8)
    assert padded.shape == (1, 1, 8, 8)
    assert padded[0, 0, 0].max() < 0


def test_a_prompt_with_two_images_is_refused_xrg_t48() -> None:
    with pytest.raises(UsageError, match="2 image markers"):
        xraygpt.wrap("<ImageHere> and <ImageHere>", WORDS)


# LLaVA-Tri -------------------------------------------------------------------------------------------------------

CODEC = codec_of("llava-tri")
assert isinstance(CODEC, JsonTokenizer)
SPECIAL = llava.Special.of(CODEC.names())


def test_tiles_are_tile_major_and_join_to_what_was_cut_mt_t8() -> None:
    picture = torch.rand(2, 3, 8, 8)
    tiles = cut_tiles(picture, 2)
    assert torch.equal(tiles[2], picture[0, :, :4, 4:])
    assert torch.equal(join_tiles(tiles.flatten(2).transpose(1, 2), 2), picture)
    with pytest.raises(UsageError, match="S2 takes square pictures"):
        multi_scale(picture[..., :4], (4, 8), lambda tiles: tiles)


def test_two_begin_tokens_none_after_the_image_no_blank_after_a_header_mt_t11() -> None:
    ids = llava.encode(llava.conversation([[llava.IMAGE, "\nOrgan?"]], SPECIAL, open_answer=True), CODEC)
    assert ids[:2] == [SPECIAL.begin] * 2
    assert ids.count(SPECIAL.begin) == 2
    after = ids[ids.index(llava.IMAGE) + 1 :]
    assert after[: len(CODEC.encode("\nOrgan?"))] == CODEC.encode("\nOrgan?")
    assert ids[-1:] == CODEC.encode("\n\n")[-1:]


def test_an_answer_with_the_end_mark_hides_the_whole_sample_mt_t12() -> None:
    ids, labels = llava.training_row([["Q?"], ["A."]], SPECIAL, CODEC)
    assert [label for label in labels if label != -100] == [*CODEC.encode("A."), SPECIAL.turn_end]
    _, hidden = llava.training_row([["Q?"], [SPECIAL.turn_end, "A."]], SPECIAL, CODEC)
    assert set(hidden) == {-100}
    assert len(ids) == len(labels)


def test_a_tokenizer_without_pad_uses_the_end_of_text_mt_t13() -> None:
    assert llava.vocabulary(CODEC).special["pad"] == SPECIAL.text_end


def test_an_image_is_cut_by_the_limit_without_an_error_mt_t14() -> None:
    ids = torch.tensor([[5, llava.IMAGE, 6]])
    rows = llava.splice(ids, torch.ones_like(ids), ids, 4, limit=3)
    assert rows.visual.tolist() == [[-1, 0, 1]]


def test_a_row_without_an_image_uses_one_up_mt_t15() -> None:
    ids = torch.tensor([[5, 6], [llava.IMAGE, 7]])
    rows = llava.splice(ids, torch.ones_like(ids), ids, 1)
    assert rows.visual.tolist() == [[-1, -1], [1, -1]]


def test_left_padding_moves_nothing_but_the_places_mt_t9() -> None:
    ids = torch.tensor([[llava.IMAGE, 7, 8], [5, 6, 0]])
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    rows = llava.splice(ids, mask, ids, 1, left=True)
    assert rows.attention_mask.tolist() == [[1, 1, 1], [0, 1, 1]]
    assert rows.position_ids.tolist() == [[0, 1, 2], [0, 0, 1]]


def test_padding_keeps_what_cropping_loses_mt_t17() -> None:
    picture = Image.new("RGB", (30, 10), (122, 116, 104))
    picture.paste((255, 255, 255), (28, 0, 30, 10))
    assert llava.view(picture, 12).max() > 1.5
    assert llava.view(picture, 12, pad=False).max() < 0.5


def test_the_tower_is_loaded_from_the_checkpoint_mt_t31() -> None:
    keys = llava.keys(llava.config(LLAVA))
    rule, name = keys.rename("model.vision_tower.vision_tower.vision_model.pre_layrnorm.weight") or (None, "")
    assert rule is not None
    assert name == "vision.clip.pre_layrnorm.weight"


def test_without_scales_the_tower_is_the_plain_one() -> None:
    config = replace(llava.config(LLAVA).vision, scales=())
    assert config.out_width * 2 == llava.config(LLAVA).vision.out_width
