"""`JirikiError`: the root of every error raised on purpose.

Each room subclasses it once, so a caller needs one `except`. A message says in one line what
object, what rule, what value and what to do.
"""


class JirikiError(Exception):
    """Root of every error raised on purpose by Jiriki."""
