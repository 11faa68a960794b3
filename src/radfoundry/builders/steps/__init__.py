"""The stages that builders share: reading studies, reading reports, finding regions, linking sentences."""

from radfoundry.builders.steps.linking import LinkSentences
from radfoundry.builders.steps.reading import ReadStudies
from radfoundry.builders.steps.regions import FindRegions
from radfoundry.builders.steps.reports import ReadReports

__all__ = ["FindRegions", "LinkSentences", "ReadReports", "ReadStudies"]
