"""Shared set-up of the tests.

Concept: one hypothesis profile (seed printed on failure, no deadline on shared machines) and one
cache folder for downloaded models, so a test run fetches each package once.
In: the environment. Out: `JIRIKI_HOME` set for the run.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

os.environ.setdefault("JIRIKI_HOME", str(Path(__file__).parents[1] / ".cache" / "jiriki"))

settings.register_profile("jiriki", deadline=None, print_blob=True, max_examples=50)
settings.load_profile("jiriki")
