"""Text in a model file: names that are not UTF-8 are refused before anything uses them.

In: a ModelProto. Out: nothing, or ModelFileError. Protocol buffers take such a file and give bytes
where a name is expected, which fails wherever it is next written or printed.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx import TensorProto

from jiriki.frontend.errors import ModelFileError


def check_text(model: Message, label: str) -> None:
    """Read every string of the model once. Raises ModelFileError for the first that is no text."""
    waiting = [model]
    while waiting:
        message = waiting.pop()
        for name, text in _texts(message):
            if isinstance(text, bytes):
                raise ModelFileError(
                    f"{label}: {message.DESCRIPTOR.name}.{name} = {text[:40]!r} is not UTF-8; the "
                    "file is damaged, download or export it again"
                )
        if isinstance(message, TensorProto):  # its values are not text, and large
            waiting += message.external_data
            continue
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting += [value] if isinstance(value, Message) else value


def _texts(message: Message) -> Iterator[tuple[str, object]]:
    for field in message.DESCRIPTOR.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            value = getattr(message, field.name)
            for text in [value] if isinstance(value, str | bytes) else value:
                yield field.name, text
