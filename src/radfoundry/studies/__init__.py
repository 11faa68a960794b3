"""Reading anything: folders, archives, files and tables become studies; studies become canonical arrays, label maps and texts."""

from radfoundry.studies.discover import discover
from radfoundry.studies.labels import LabelMap, read_label_layers, read_labels, write_labelmap
from radfoundry.studies.limits import Limits
from radfoundry.studies.placing import Placed, place_labels
from radfoundry.studies.read import ReadImage, read_image
from radfoundry.studies.report_file import read_report
from radfoundry.studies.sources import Discovery, ImageSource, MaskSource, StudySource

__all__ = [
    "Discovery",
    "ImageSource",
    "LabelMap",
    "Limits",
    "MaskSource",
    "Placed",
    "ReadImage",
    "StudySource",
    "discover",
    "place_labels",
    "read_image",
    "read_label_layers",
    "read_labels",
    "read_report",
    "write_labelmap",
]
