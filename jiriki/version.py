"""The version of the package: on the lowest floor, so that rooms read it without the face."""

__version__ = "0.1.0"
