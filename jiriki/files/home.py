"""The home folder: where fetched packages and results that are slow to make are kept.

In: `$JIRIKI_HOME`. Out: an absolute folder; rooms name their own folders in it.
"""

import os
from pathlib import Path


def home_folder() -> Path:
    """Return `$JIRIKI_HOME`, or `~/.cache/jiriki`, as an absolute path; it may not exist yet."""
    home = os.environ.get("JIRIKI_HOME")
    return Path(home).expanduser().absolute() if home else Path.home() / ".cache" / "jiriki"
