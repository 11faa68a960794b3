"""Other people's programs as segmenters, with real child processes: what works, and every way in which one fails."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from radfoundry.errors import LimitError, MismatchError, RowError, UnreadableError, UsageError
from radfoundry.geometry import Grid
from radfoundry.grounding.experts import TEMPLATES, Expert, open_segmenter, read_expert
from radfoundry.grounding.experts.handing import resampled_and_cropped
from radfoundry.grounding.segmenters import SegmentationRequest
from radfoundry.phantom import make_phantom

# a program as anyone might write one: it thresholds the image and does what it is told with the result. No library, so that it starts fast
PROGRAM = """
import array, gzip, os, struct, sys, time
image, output, how = sys.argv[1:4]
raw = bytearray(gzip.decompress(open(image, "rb").read()))
values = array.array("h", bytes(raw[352:]))
nx, ny, nz = struct.unpack_from("<3h", raw, 42)
labels = bytearray(1 if value > 150 else 0 for value in values)
head = raw[:352]
struct.pack_into("<2h", head, 70, 2, 8)
struct.pack_into("<h", head, 252, 0)  # the sform alone
if how == "right": labels[: nx * ny * (nz // 2)] = bytes(2 * v for v in labels[: nx * ny * (nz // 2)])
if how == "shifted": struct.pack_into("<f", head, 292, struct.unpack_from("<f", head, 292)[0] + 20)
if how == "identity": struct.pack_into("<12f", head, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
if how == "short":
    struct.pack_into("<h", head, 46, nz - 1)
    labels = labels[: nx * ny * (nz - 1)]
if how == "unnamed": labels = bytearray(77 * v for v in labels)
if how == "empty": labels = bytearray(len(labels))
if how == "fractions":
    struct.pack_into("<2h", head, 70, 16, 32)
    labels = array.array("f", [0.5 * v for v in labels]).tobytes()
if how == "huge": struct.pack_into("<4h", head, 40, 3, 32000, 32000, 32000)
if how == "crash": print("<b>no memory</b>\\x1b[31m left", file=sys.stderr); sys.exit(3)
if how == "nothing": sys.exit(0)
if how == "link": os.symlink("/etc/hostname", output); sys.exit(0)
if how == "text": open(output, "w").write("no label map\\n" * 1000); sys.exit(0)
if how == "late":
    os.fork()
    open(sys.argv[4], "w").write(str(os.getpid()))
    time.sleep(60)
if how == "loud": print("x" * 3_000_000, file=sys.stderr); print("y" * 3_000_000)
if how == "private": open(sys.argv[4], "w").write(oct(os.stat(os.getcwd()).st_mode & 0o777))
open(output, "wb").write(gzip.compress(bytes(head) + bytes(labels)))
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "threshold it.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture(scope="module")
def request_() -> SegmentationRequest:
    phantom = make_phantom(3)
    return SegmentationRequest(phantom.volume, phantom.grid, "CT")  # int16: what the program reads


def expert(program: Path, how: str, *more: str, **fields: object) -> Expert:
    command = (sys.executable, str(program), "{image}", "{output}", how, *more)
    return Expert("threshold", command, names=((1, "bone"), (2, "heart")), seconds=30.0, **fields)  # type: ignore[arg-type]


def test_a_program_names_the_voxels_of_the_image(program, request_) -> None:
    (found,) = expert(program, "right").segment(request_)
    assert found.names == {1: "bone", 2: "heart"}
    assert found.grid == request_.grid
    # the label map comes back on the canonical array, whatever axes the file has
    bone = found.array > 0
    assert np.array_equal(bone, request_.pixels > 150)
    assert set(np.unique(found.array[: bone.shape[0] // 2])) <= {0, 2}


def test_it_works_in_a_private_folder_that_is_gone_afterwards(program, request_, tmp_path) -> None:
    expert(program, "private", str(tmp_path / "mode")).segment(request_)
    assert (tmp_path / "mode").read_text() == "0o700"


def test_what_came_with_the_study_goes_first(program, request_) -> None:
    known = SegmentationRequest(request_.pixels, request_.grid, "CT", known=frozenset({"bone"}))
    (found,) = expert(program, "right").segment(known)
    assert found.names == {2: "heart"}
    assert set(np.unique(found.array)) == {0, 2}


def test_it_is_not_asked_about_pictures_and_other_modalities(program, request_) -> None:
    picture = SegmentationRequest(np.zeros((8, 8)), Grid.picture((8, 8)), "DX")
    assert expert(program, "crash").segment(picture) == []
    other = SegmentationRequest(request_.pixels, request_.grid, "MR")
    assert expert(program, "crash", modalities=("CT",)).segment(other) == []


@pytest.mark.parametrize(
    ("how", "error", "code", "words"),
    [
        ("shifted", MismatchError, "expert-grid", "does not lie on the image"),
        ("identity", MismatchError, "expert-grid", "does not lie on the image"),
        ("short", MismatchError, "expert-grid", "does not lie on the image"),
        ("unnamed", MismatchError, "expert-names", "values without a name"),
        ("empty", UnreadableError, "expert-empty", "found nothing"),
        ("fractions", UnreadableError, "not-labels", "holds no labels"),
        ("crash", UnreadableError, "expert-failed", r"exit status 3: <b>no memory</b> \[31m left"),
        ("nothing", UnreadableError, "expert-no-output", "left no result"),
        ("link", UnreadableError, "expert-no-output", "left no result"),
        ("text", UnreadableError, "not-nifti", "no NIfTI"),
        ("huge", LimitError, "limit-image-bytes", "too large"),
    ],
)
def test_what_a_program_does_wrong_is_refused_by_name(program, request_, how, error, code, words) -> None:
    with pytest.raises(error, match=words) as raised:
        expert(program, how).segment(request_)
    assert raised.value.code == code


def test_a_program_that_does_not_end_is_ended_with_its_children(program, request_, tmp_path) -> None:
    late = Expert("late", (sys.executable, str(program), "{image}", "{output}", "late", str(tmp_path / "pid")),
                  names=((1, "bone"),), seconds=1.5)  # fmt: skip
    began = time.monotonic()
    with pytest.raises(LimitError, match="did not end") as raised:
        late.segment(request_)
    assert raised.value.code == "expert-timeout"
    assert time.monotonic() - began < 20
    if (tmp_path / "pid").exists():
        pid = int((tmp_path / "pid").read_text())
        for _ in range(100):
            if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]:
                break
            time.sleep(0.05)
        else:
            pytest.fail(f"{pid} still runs")


def test_a_loud_program_neither_blocks_nor_fills_memory(program, request_) -> None:
    assert expert(program, "loud").segment(request_)


def test_a_missing_program_is_named() -> None:
    gone = Expert("gone", ("/no/such/program",), names=((1, "bone"),))
    with pytest.raises(RowError, match="cannot be started") as raised:
        gone.segment(SegmentationRequest(np.ones((4, 4, 4), np.int16), Grid.axial((4, 4, 4), (1.0, 1.0, 1.0)), "CT"))
    assert raised.value.code == "expert-missing"


def test_a_command_is_a_list_of_arguments_and_never_a_shell(tmp_path, request_) -> None:
    trap = Expert("trap", ("echo", f"{{image}}; touch {tmp_path}/harm", "$(touch harm)"), names=((1, "bone"),))
    with pytest.raises(UnreadableError, match="left no result"):
        trap.segment(request_)
    assert not list(tmp_path.iterdir())


def test_a_template_may_not_reach_out_of_its_folder() -> None:
    for path in ("../labels.nii.gz", "/tmp/labels.nii.gz", ""):
        with pytest.raises(UsageError, match="outside its folder"):
            Expert("x", ("true",), output=path, names=((1, "bone"),))
    with pytest.raises(UsageError, match="no complete template"):
        Expert("x", ("true",))


# SAT as its files are: asked by a JSON line, a binary mask a label, identity affine, on the 1 x 1 x 3 mm grid cropped to what is above zero
SAT = """
import json, os, sys
import nibabel, numpy
asked = json.loads(open(sys.argv[1]).readline())
told = nibabel.as_closest_canonical(nibabel.load(asked["image"]))
assert numpy.allclose(told.affine, numpy.diag([1, 1, 3, 1]))
values = numpy.asarray(told.dataobj)
where = numpy.argwhere(values > 0)
low, high = where.min(0), where.max(0) + 1
values = values[tuple(slice(a, b) for a, b in zip(low, high))]
folder = os.path.join(sys.argv[2], asked["dataset"], "seg_image")
os.makedirs(folder)
half = values.shape[0] // 2
masks = {"bone": values > 150, "left lung": values < -500, "right lung": values < -500, "spleen": values > 99999,
         "left kidney": values > 40, "right kidney": values > 40, "no such thing": values > 0}
for name, mask in masks.items():
    mask = mask.copy()
    # the first axis runs to the patient's right: what is left lies in its first half
    gone = slice(half, None) if ("left" in name) == (sys.argv[3] == "sound") else slice(0, half)
    if "left" in name or "right" in name: mask[gone] = False
    nibabel.save(nibabel.Nifti1Image(mask.astype(numpy.uint8), numpy.eye(4)), os.path.join(folder, name + ".nii.gz"))
"""


def sat(tmp_path: Path, how: str) -> Expert:
    program = tmp_path / "sat.py"
    program.write_text(SAT)
    return Expert(
        "sat", (sys.executable, str(program), "{folder}/case.jsonl", "{folder}/results", how), output="results/radfoundry/seg_image",
        request="case.jsonl", labels=("bone", "left lung"), vocabulary="radgenome_masks", grid="cropped-1x1x3", seconds=60.0,
    )  # fmt: skip


def test_sat_masks_without_a_place_come_back_where_they_belong(tmp_path, request_) -> None:
    """RG-T30: an identity affine says nothing; the place is that of the image that was handed over."""
    maps = sat(tmp_path, "sound").segment(request_)
    masks = {name: m.array == value for m in maps for value, name in m.names.items()}
    assert {"bone", "left lung", "right lung"} <= set(masks)
    assert "spleen" not in masks  # all zero: absent (RG-T29)
    truth = request_.pixels > 150
    found = masks["bone"]
    assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.8
    x = {name: np.argwhere(mask)[:, 2].mean() for name, mask in masks.items()}
    assert x["left lung"] > x["right lung"]


def test_masks_with_left_and_right_swapped_are_refused(tmp_path, request_) -> None:
    with pytest.raises(MismatchError, match="wrong way round") as raised:
        sat(tmp_path, "swapped").segment(request_)
    assert raised.value.code == "expert-mirrored"


def test_the_prepared_image_leaves_a_cropping_program_nothing_to_crop(request_) -> None:
    handed = resampled_and_cropped(request_.pixels, request_.grid)
    assert handed.stored_grid.spacing == (3.0, 1.0, 1.0)
    assert np.array_equal(handed.stored_grid.affine, np.diag([-1.0, -1.0, 3.0, 1.0]))  # RAS 1 x 1 x 3, written in LPS
    inside = handed.stored > 0
    assert all(inside.any(axis=tuple({0, 1, 2} - {a})).take([0, -1]).all() for a in range(3))


def test_an_empty_image_is_refused_before_a_program_sees_it() -> None:
    with pytest.raises(UnreadableError, match="empty"):
        resampled_and_cropped(np.full((4, 4, 4), -1000, np.int16), Grid.axial((4, 4, 4), (3.0, 1.0, 1.0)))


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_whole_but_for_what_only_the_user_knows(name) -> None:
    from importlib.resources import files

    text = files("radfoundry.grounding.experts").joinpath(f"templates/{name}.toml").read_text("utf-8")
    if "FILL-IN" in text:
        with pytest.raises(UsageError, match="has to be filled in"):
            open_segmenter(name)
        text = text.replace("FILL-IN", "mine")
    found = read_expert(text, name)
    assert found.name == name
    assert found.seconds > 0
    assert found.version == read_expert(text, name).version


def test_the_version_follows_what_decides_the_result(program) -> None:
    assert expert(program, "right").version != expert(program, "short").version


def test_templates_that_are_none_are_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match="no segmenter"):
        open_segmenter("sattt")
    for text, words in [("name = ", "no TOML"), ('name = "x"\ncommand = ["x"]\nshell = true', "no template"),
                        ('name = "x"\ncommand = ["/no/such"]\n[names]\n1 = "liver"', "not installed")]:  # fmt: skip
        path = tmp_path / "mine.toml"
        path.write_text(text)
        with pytest.raises(UsageError, match=words):
            open_segmenter(str(path))


def test_an_expert_travels_to_another_process(program) -> None:
    import pickle

    one = expert(program, "right")
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301  (our own bytes)


def test_a_corpus_is_built_with_a_program_of_ones_own(program, tmp_path) -> None:
    """`radfoundry build m3d SRC OUT --segmenter mine.toml`: regions by the program, its refusals in `rejected`."""
    import radfoundry
    from radfoundry.studies.nifti import nifti_bytes

    phantom = make_phantom(4)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "ct_scan.nii.gz").write_bytes(nifti_bytes(phantom.volume, phantom.grid))
    for how in ("right", "crash"):
        words = json.dumps([sys.executable, str(program), "{image}", "{output}", how])
        (tmp_path / f"{how}.toml").write_text(f'name = "mine"\ncommand = {words}\n[names]\n1 = "bone"\n2 = "heart"\n')
        radfoundry.build("m3d", tmp_path / "src", tmp_path / how, segmenter=(str(tmp_path / f"{how}.toml"),), workers=0)
    built = radfoundry.Corpus(tmp_path / "right")
    mine = [r for r in built.rows("regions") if r.made_by.by.startswith("mine/")]
    assert {r.name for r in mine} == {"bone", "heart"}
    (refused,) = radfoundry.Corpus(tmp_path / "crash").rows("rejected")
    assert (refused.code, refused.step) == ("expert-failed", "find-regions")


def test_a_kind_without_regions_has_no_use_for_a_segmenter(program, tmp_path) -> None:
    from radfoundry import builders

    with pytest.raises(UsageError, match="finds no regions"):
        builders.pipeline("summary", tmp_path, "salt", segmenters=[expert(program, "right")])
