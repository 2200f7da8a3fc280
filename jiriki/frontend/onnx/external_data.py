"""Weights outside the model's own file, as ONNX's external data.

In: the path of an ONNX file. Out: the paths of the files that hold its weights; they are not read.
"""

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx.external_data_helper import ExternalDataInfo, _get_all_tensors, uses_external_data


def external_files(path: Path) -> set[Path]:
    """Return the files that the model names; none for a file that is no model."""
    try:
        model = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError, ValueError):  # whoever reads the model says what is wrong
        return set()
    tensors = [tensor for tensor in _get_all_tensors(model) if uses_external_data(tensor)]
    return {path.parent / ExternalDataInfo(tensor).location for tensor in tensors}
