"""Reports: a Program and its Run joined, then shown in a terminal, as JSON, Markdown or HTML.

In: Program, Run, ChipConfig. Out: a `Profile`, and its forms: tables for a terminal (rich), a JSON
object, Markdown, a self-contained HTML page, a timeline for ui.perfetto.dev.
"""

from jiriki.files import write_bytes, write_text
from jiriki.report.errors import ReportError
from jiriki.report.profile import LayerRow, Profile, make_profile

__all__ = ["LayerRow", "Profile", "ReportError", "make_profile", "write_bytes", "write_text"]
