"""Pictures and pages: slices as radiologists hang them, overlays, charts, self-contained HTML."""

from radfoundry.viewing.charts import Score, count_chart, score_chart
from radfoundry.viewing.contact_sheet import contact_sheet
from radfoundry.viewing.figures import draw_study
from radfoundry.viewing.overlays import NamedBox
from radfoundry.viewing.pages import PagePicture, PageSection, StudyCard, index_page, report_page, study_page
from radfoundry.viewing.palette import region_colour, region_label
from radfoundry.viewing.slices import draw_slice
from radfoundry.viewing.windows import presets, window

__all__ = [
    "NamedBox",
    "PagePicture",
    "PageSection",
    "Score",
    "StudyCard",
    "contact_sheet",
    "count_chart",
    "draw_slice",
    "draw_study",
    "index_page",
    "presets",
    "region_colour",
    "region_label",
    "report_page",
    "score_chart",
    "study_page",
    "window",
]
