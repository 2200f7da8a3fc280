"""Accuracy against the float model, as `jiriki run` and `jiriki verify` print it.

In: a model that was quantised here, or has nothing to quantise, and outputs. Out: figures of each
output and layer, and a warning below the stated bound.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from rich.console import RenderableType

from jiriki.cli.errors import CliError
from jiriki.cli.screen import Screen
from jiriki.frontend import layer_accuracies, reference_session
from jiriki.models import Model, float_model
from jiriki.numerics.accuracy import SQNR_BOUND_DB, Accuracy, output_accuracy
from jiriki.report.tables import Sheet, rich_table

Outputs = Mapping[str, np.ndarray]
WORST_LAYERS = 10


def float_session(model: Model) -> Any:  # noqa: ANN401 - a session of ONNX Runtime
    """Return a session of the float model, or None where it is not at hand."""
    original = float_model(model)
    return None if original is None else reference_session(original)


def accuracy_payload(pairs: Sequence[tuple[Outputs, Outputs]]) -> Any:  # noqa: ANN401
    """Return the accuracy of every output over all inputs; None where nothing was compared."""
    if not pairs:
        return None
    outputs = output_accuracy(pairs)
    return {
        "sqnr_bound_db": SQNR_BOUND_DB,
        "below_bound": sorted(name for name, of in outputs.items() if of.poor),
        "outputs": {name: _figures(of) for name, of in outputs.items()},
    }


def layer_payload(
    model: Model, feeds: Sequence[Mapping[str, np.ndarray]], screen: Screen
) -> list[dict[str, Any]]:
    """Return what every layer loses, in order."""
    if model.original is None or model.onnx is None:
        raise CliError(
            f"{model.name} was not quantised here, so that no layer can be held against the float "
            "model; pass the float model with --calibration"
        )
    with screen.step("running every layer in float"):
        layers = layer_accuracies(model.onnx, model.original, feeds)
    return [
        {
            "layer": layer.name,
            "operator": layer.operator,
            "loss": layer.loss,
            **_figures(layer.accuracy),
        }
        for layer in layers
    ]


def _figures(accuracy: Accuracy) -> dict[str, Any]:
    """Return the figures; those that JSON has no number for are None."""
    figures = {
        "sqnr_db": accuracy.sqnr_db, "cosine": accuracy.cosine,
        "worst_error": accuracy.worst_error, "largest": accuracy.largest,
    }  # fmt: skip
    plain = {name: value if isfinite(value) else None for name, value in figures.items()}
    return {"equal": accuracy.worst_error == 0, **plain}


def accuracy_tables(
    payload: Mapping[str, Any] | None, layers: Sequence[Mapping[str, Any]] | None
) -> Iterable[RenderableType]:
    """Yield the outputs' accuracy, the layers that lose most, and a warning below the bound."""
    if payload is None:  # a program, a model quantised elsewhere, an engine without values
        return
    columns = (">SQNR, dB", ">cosine", ">worst error", ">largest value")
    rows = tuple((name, *_cells(of)) for name, of in payload["outputs"].items())
    yield rich_table(Sheet("accuracy against the float model", ("output", *columns), rows))
    if layers:
        worst = sorted(layers, key=lambda of: -of["loss"])[:WORST_LAYERS]
        rows = tuple((of["layer"], of["operator"], _percent(of), *_cells(of)[:3]) for of in worst)
        title = f"layers that lose most, {len(worst)} of {len(layers)}"
        names = ("layer", "operator", ">noise added", *columns[:3])
        yield rich_table(Sheet(title, names, rows))
    if payload["below_bound"]:
        most = max(layers, key=lambda of: of["loss"])["layer"] if layers else None
        where = f"layer {most} loses most" if most else "--layers says which layer loses most"
        yield (
            f"warning: {', '.join(payload['below_bound'])} below {payload['sqnr_bound_db']:g} dB, "
            f"more than a tenth of the power is noise of quantisation; {where}"
        )


def _cells(of: Mapping[str, Any]) -> tuple[str, str, str, str]:
    if of["equal"]:
        return "equal", "1", "0", f"{of['largest']:.4g}"
    sqnr = "none" if of["sqnr_db"] is None else f"{of['sqnr_db']:.1f}"
    worst = "infinite" if of["worst_error"] is None else f"{of['worst_error']:.3g}"
    return sqnr, f"{of['cosine']:.5f}", worst, f"{of['largest']:.4g}"


def _percent(of: Mapping[str, Any]) -> str:
    return f"{100 * of['loss']:.2f} %"
