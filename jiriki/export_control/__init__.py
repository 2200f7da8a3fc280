"""Export rules as dated data, and the class of a chip under the rules of a day. Not legal advice.

In: a `Product`, a date, a destination. Out: an `ExportResult` (class, deciding number, margins,
sources). The thresholds and the days on which they hold are in `rules.toml`; code only compares.
"""

from jiriki.export_control.classify import (
    ExportResult,
    Finding,
    Margin,
    export_check,
    known_text,
)
from jiriki.export_control.rules import Rule, Rulebook, load_rulebook

__all__ = [
    "ExportResult",
    "Finding",
    "Margin",
    "Rule",
    "Rulebook",
    "export_check",
    "known_text",
    "load_rulebook",
]
