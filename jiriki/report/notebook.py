"""A Profile in a notebook: the sheets of the terminal as small tables.

In: a Profile. Out: HTML that stands alone (`program/notebook.py`).
"""

from jiriki.program.notebook import html_table
from jiriki.report.profile import Profile
from jiriki.report.tables import layers_sheet, summary_sheet, units_sheet

SLOWEST = 8


def profile_html(profile: Profile) -> str:
    """Return three tables: the counts, the units, the slowest layers."""
    slowest = layers_sheet(
        "slowest layers", profile.slowest(SLOWEST), profile.cycles, profile.energy
    )
    sheets = (summary_sheet([profile]), units_sheet(profile), slowest)
    return "".join(html_table(sheet.title, sheet.heads, sheet.rows) for sheet in sheets)
