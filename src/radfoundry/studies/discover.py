"""What is in this place: any folder, file or archive becomes studies, and everything that cannot be one is named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from radfoundry.errors import RowError, UnreadableError, UsageError
from radfoundry.records import Rejected
from radfoundry.studies.containers import Container, open_container, walk
from radfoundry.studies.dicom_header import Header
from radfoundry.studies.headers import header_in
from radfoundry.studies.kinds import kind_by_name
from radfoundry.studies.limits import Limits
from radfoundry.studies.loose import Loose, image_sources, pair_loose
from radfoundry.studies.multiframe import frames_of, volumes_of
from radfoundry.studies.references import ImageIndex, References, references_of
from radfoundry.studies.report_file import read_report
from radfoundry.studies.series import Found, group_series, source_of
from radfoundry.studies.sources import Discovery, ImageSource, MaskSource, StudySource
from radfoundry.studies.structured_report import report_text
from radfoundry.studies.table import table_studies

__all__ = ["discover"]

# endings of files that lie beside studies and are none
_TEXTS = (".txt", ".md", ".csv", ".tsv", ".json", ".xml", ".html", ".pdf", ".log", ".toml", ".yaml", ".yml", ".py", ".bval", ".bvec",
          ".csv.gz", ".xml.gz", ".tsv.gz", ".json.gz")  # fmt: skip


def discover(src: Path, table: Path | None = None, limits: Limits | None = None) -> Discovery:
    """Return the studies below `src` (a folder, a file, a zip), or those that `table` names, and what could not be taken in.

    Reads headers only. Studies come in the order of their keys. Raises UsageError where `src` does not exist or the table is none.
    """
    bounds = limits or Limits()
    if not src.exists():
        raise UsageError(f"{src} does not exist", mend="correct the path")
    if table is not None:
        inside: list[Rejected] = []
        studies, problems = table_studies(table, lambda path: _images_at(path, bounds, inside), bounds)
        return Discovery(tuple(studies), tuple(problems + inside))
    search = _Search(src, bounds)
    search.run()
    return Discovery(
        tuple(sorted(search.studies(), key=lambda s: s.key)), tuple(sorted(search.problems, key=lambda p: p.key))
    )


def _images_at(path: Path, limits: Limits, inside: list[Rejected]) -> tuple[ImageSource, ...]:
    """Return the images of a path that a table names: one file, or every image of a folder or archive.

    What else lies in that folder or archive and cannot be taken in is added to `inside`.
    """
    if path.is_file() and kind_by_name(path.name) is not None:
        return image_sources(path, limits)
    search = _Search(path, limits)
    search.run()
    images = tuple(image for study in search.studies() for image in study.images)
    if not images:
        reason = "; ".join(p.reason for p in search.problems[:2]) or "no file in it is an image"
        raise UnreadableError(
            f"{path.name} holds no image", reason, code=search.problems[0].code if search.problems else "no-image"
        )
    inside += [
        replace(problem, key=f"{path.name}/{problem.key}" if path.is_dir() else problem.key)
        for problem in search.problems
    ]
    return images


@dataclass
class _Annotation:
    source: ImageSource
    header: Header
    references: References
    root: Path
    key: str


@dataclass
class _Draft:
    images: list[Found] = field(default_factory=list)
    reports: list[tuple[str, str]] = field(default_factory=list)
    masks: list[tuple[int, ImageSource]] = field(default_factory=list)


class _Search:
    """One walk: files are looked at once, DICOM by content, the rest by name."""

    def __init__(self, src: Path, limits: Limits) -> None:
        self.src, self.limits = src, limits
        self.problems: list[Rejected] = []
        self._drafts: dict[str, _Draft] = defaultdict(_Draft)
        self._annotations: list[_Annotation] = []
        self._reports: list[tuple[Header, str, str]] = []
        self._loose: list[Loose] = []

    def run(self) -> None:
        root = self.src if self.src.is_dir() else self.src.parent
        paths = list(walk(self.src, self.limits)) if self.src.is_dir() else [self.src]
        loose, archives, rest = [], [], []
        for path in paths:
            name = path.name.lower()
            if kind_by_name(name) is not None or name.endswith(".txt"):
                loose.append(path)
            elif name.endswith(".zip"):
                archives.append(path)
            elif not name.endswith(_TEXTS):
                rest.append(path)
        self._dicom(root, [path.relative_to(root).as_posix() for path in rest], alone=self.src.is_file())
        for archive in archives:
            self._archive(archive)
        self._loose, failed = pair_loose(root, loose, self.limits)
        for path, error in failed:
            self._refuse(self._key(path), error)

    def _key(self, path: Path) -> str:
        base = self.src if self.src.is_dir() else self.src.parent
        return path.relative_to(base).as_posix()

    def _refuse(self, key: str, error: RowError) -> None:
        reason = f"{error.what}: {error.why}" if error.why else error.what
        self.problems.append(Rejected(key, "discover", type(error).__name__, error.code, reason, error.mend))

    def _archive(self, path: Path) -> None:
        key = self._key(path)
        try:
            with open_container(path, self.limits) as container:
                names = [n for n in container.names() if not n.lower().endswith(_TEXTS)]
                self._group(path, container, names, f"{key}!")
        except RowError as error:
            self._refuse(key, error)

    def _dicom(self, root: Path, names: list[str], *, alone: bool) -> None:
        with open_container(root, self.limits) as container:
            self._group(root, container, names, "")

    def _group(self, root: Path, container: Container, names: list[str], prefix: str) -> None:
        headers = []
        for name in names:
            try:
                header = header_in(container, name)
            except RowError as error:
                self._refuse(prefix + name, error)
            else:
                headers.append(header)
        series = group_series(root, headers, lambda header: self._members(container, header))
        for found in series.images:
            self._drafts[self._study_key(found.first, prefix)].images.append(found)
        for header in series.annotations:
            self._annotate(root, container, header, prefix)
        for refused in series.refused:
            self._refuse(_place(prefix, refused.files, names), refused.error)

    def _members(self, container: Container, header: Header) -> Sequence[str]:
        if header.frames == 1 or not (header.has_frame_groups or header.frame_offsets):
            return ("",)
        self.limits.check("files", header.frames, header.name)
        with container.open(header.name) as stream:
            count = len(volumes_of(frames_of(stream, header), header.name))
        return [str(i) for i in range(count)] if count > 1 else [""]

    def _study_key(self, header: Header, prefix: str) -> str:
        return header.study_uid or (prefix + header.name)

    def _annotate(self, root: Path, container: Container, header: Header, prefix: str) -> None:
        try:
            with container.open(header.name) as stream:
                if header.modality == "SR":
                    self._reports.append((header, report_text(stream, header.name), prefix + header.name))
                    return
                references = references_of(stream, header.name)
        except RowError as error:
            self._refuse(prefix + header.name, error)
            return
        source = source_of(root, "dicom-seg" if header.modality == "SEG" else "dicom-rtstruct", (header.name,))
        self._annotations.append(_Annotation(source, header, references, root, prefix + header.name))

    def studies(self) -> list[StudySource]:
        """Return the studies found, masks and reports attached; call once, after `run`."""
        self._attach_masks()
        for header, text, key in self._reports:
            if header.study_uid in self._drafts:
                self._drafts[header.study_uid].reports.append((header.name, text))
            else:
                self._refuse(key, _dangling(header, "report"))
        dicom = [_dicom_study(key, draft) for key, draft in self._drafts.items()]
        return dicom + [self._loose_study(loose) for loose in self._loose]

    def _attach_masks(self) -> None:
        images = (((key, i), found) for key, draft in self._drafts.items() for i, found in enumerate(draft.images))
        index = ImageIndex(images)
        for annotation in self._annotations:
            owner = index.owner(annotation.references, annotation.root)
            if owner is None:
                self._refuse(annotation.key, _dangling(annotation.header, "mask"))
            else:
                self._drafts[owner[0]].masks.append((owner[1], annotation.source))

    def _loose_study(self, loose: Loose) -> StudySource:
        key = self._key(loose.path)
        report, report_file = None, loose.report
        if report_file is not None:
            try:
                report = read_report(report_file, self.limits)
            except RowError as error:
                self._refuse(self._key(report_file), error)
        first = loose.masks[0] if loose.masks else None
        more = tuple(MaskSource(0, mask) for mask in loose.masks[1:])
        return StudySource(key, key, loose.images, report, report_file, first, more_masks=more)


def _place(prefix: str, files: tuple[str, ...], names: list[str]) -> str:
    """The first file, or the folder or archive that holds all files of a series and nothing else."""
    folder = files[0].rpartition("/")[0]
    inside = [name for name in names if name.startswith(f"{folder}/" if folder else "")]
    if len(files) == 1 or len(inside) > len(files):
        return prefix + files[0]
    return prefix + folder if folder else prefix.removesuffix("!") or "."


def _dangling(header: Header, kind: str) -> UnreadableError:
    return UnreadableError(
        f"{header.name} is a {kind} without its image", "no image here is one that it refers to", "put them in one folder",
        code=f"dangling-{kind}",
    )  # fmt: skip


def _dicom_study(key: str, draft: _Draft) -> StudySource:
    owners = [index for index, _ in draft.masks]
    order = sorted(
        range(len(draft.images)),
        key=lambda i: (i not in owners, draft.images[i].first.series_number, draft.images[i].source.label),
    )
    place = {old: new for new, old in enumerate(order)}
    masks = sorted((MaskSource(place[i], source) for i, source in draft.masks), key=lambda m: (m.image, m.source.label))
    on_first = [mask for mask in masks if mask.image == 0]
    first = draft.images[order[0]].first
    return StudySource(
        key=key,
        patient_key=first.patient or key,
        images=tuple(draft.images[i].source for i in order),
        report="\n".join(text for _, text in sorted(draft.reports)) or None,
        mask=on_first[0].source if on_first else None,
        body_part=first.body_part.lower(),
        age=first.age,
        sex=first.sex[:1].upper(),
        more_masks=tuple(mask for mask in masks if not on_first or mask != on_first[0]),
    )
