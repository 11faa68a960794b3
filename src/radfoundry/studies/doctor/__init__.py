"""What is in a place, what is wrong with it, and what mends it: one `Finding` a line, the rest of the run always goes on."""

from radfoundry.studies.doctor.examine import doctor
from radfoundry.studies.doctor.finding import Finding, summary

__all__ = ["Finding", "doctor", "summary"]
