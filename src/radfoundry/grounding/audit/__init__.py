"""What is wrong with links, findings and questions as a whole: checks over a corpus, or over anyone's tables of findings."""

from radfoundry.grounding.audit.corpus import audit_corpus
from radfoundry.grounding.audit.prevalence import Told, check_agreement, check_prevalence
from radfoundry.grounding.audit.row import AuditRow

__all__ = ["AuditRow", "Told", "audit_corpus", "check_agreement", "check_prevalence"]
