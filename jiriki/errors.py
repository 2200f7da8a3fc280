"""`JirikiError`: the root of every error raised on purpose.

Each room subclasses it once, so a caller needs one `except`. A message says in one line what
object, what rule, what value and what to do.
"""


class JirikiError(Exception):
    """Root of every error raised on purpose by Jiriki: one line that says what to mend.

    >>> import jiriki
    >>> try:
    ...     jiriki.load_chip("e257")
    ... except jiriki.JirikiError as error:
    ...     print(error)
    chip 'e257' is not in the catalogue; choose e1024, ..., or a path to a .toml

    shell: the message for users of the command line, where its remedy is an option there.
    """

    def __init__(self, message: str = "", *, shell: str | None = None) -> None:
        super().__init__(message)
        self.in_shell = shell or message
