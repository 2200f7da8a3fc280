"""The name of a layer that people read: one, wherever a layer is shown.

In: the notes of a Program, whose layers are graph nodes and so tensors. Out: their names without
what ONNX Runtime's quantiser hangs on every tensor that it makes. Names that would become another
layer's stay whole: tables, timelines and messages never call two layers alike.
"""

from collections import Counter
from dataclasses import replace

from jiriki.program.program import Program

QUANTISER_SUFFIXES = ("_QuantizeLinear_Output", "_quantized")


def layer_names(program: Program) -> dict[str, str]:
    """Return the shown name of every layer."""
    layers = list(dict.fromkeys(note.layer for note in program.notes))
    plain = {layer: _plain(layer) for layer in layers}
    claims = Counter([*layers, *(name for layer, name in plain.items() if name != layer)])
    return {layer: name if claims[name] == 1 else layer for layer, name in plain.items()}


def with_layer_names(program: Program) -> Program:
    """Return the program with the shown names in its notes; for reports, not for engines."""
    names = layer_names(program)
    return replace(
        program, notes=tuple(replace(note, layer=names[note.layer]) for note in program.notes)
    )


def _plain(layer: str) -> str:
    for suffix in QUANTISER_SUFFIXES:
        layer = layer.replace(suffix, "")
    return layer
