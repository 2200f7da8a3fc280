"""Ranges around a softmax: the scores that count, and the probabilities that occur.

In: a float model and calibration feeds. Out: ranges by tensor name for ONNX Runtime's quantiser,
which alone would take a mask of -1e4 for a score (one step of 39 for all of them) and 0..1 for the
range of probabilities of 1/1024 each (all of them 0).

- A score 16 below the largest of its row has a probability below 1.2e-7: scores are clamped there.
- What is added to scores as a mask, stored or computed, needs to reach no further down than that.
- Probabilities range to twice the largest seen, 1 at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import numpy_helper

from jiriki.frontend.onnx.context import int_attribute
from jiriki.frontend.quantise.observe import observe

REACH = 16.0  # how far below the largest score of its row one still counts
MASKED = 1000.0  # rows this far below the largest score of all are masked as a whole
MOVES = ("Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
Ranges = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Site:
    """A softmax, the tensor its scores have before they are only moved, and that one's sum."""

    softmax: onnx.NodeProto
    scores: str
    masked: onnx.NodeProto | None  # the Add or Where that made the scores, or None


@dataclass
class Seen:
    """What the calibration showed at one site."""

    least: float = np.inf  # of the scores that count
    probability: float = 0.0
    operand: float = 0.0  # the largest |score| before the mask
    extremes: dict[str, tuple[float, float]] = field(default_factory=dict)  # of tensors, by name


def softmax_ranges(
    model: onnx.ModelProto, feeds: Iterable[Mapping[str, np.ndarray]]
) -> dict[str, tuple[float, float]]:
    """Return (least, most) of tensors around softmaxes; stored masks are clamped in place."""
    sites = _sites(model)
    if not sites:
        return {}
    seen = [Seen() for _ in sites]
    for values in observe(model, _watched(sites), feeds):
        for site, record in zip(sites, seen, strict=True):
            _watch(site, record, values)
    ranges: Ranges = {}
    floors: dict[str, float] = {}
    for site, record in zip(sites, seen, strict=True):
        if 2 * record.probability < 1:
            ranges[site.softmax.output[0]] = (0.0, 2 * record.probability)
        for name, floor in _floors(site, record).items():
            floors[name] = min(floor, floors.get(name, 0.0))
            ranges |= _raised(record, name, floors[name])
    for tensor in model.graph.initializer:
        if tensor.name in floors:
            _clamp(tensor, floors[tensor.name])
    return ranges


def _sites(model: onnx.ModelProto) -> list[Site]:
    makers = {output: node for node in model.graph.node for output in node.output}
    sites = []
    for node in model.graph.node:
        if node.op_type != "Softmax":
            continue
        scores = node.input[0]
        while scores in makers and makers[scores].op_type in MOVES:
            scores = makers[scores].input[0]
        maker = makers.get(scores)
        masked = maker if maker is not None and maker.op_type in ("Add", "Where") else None
        sites.append(Site(node, scores, masked))
    return sites


def _watched(sites: Iterable[Site]) -> list[str]:
    """Return the names of the tensors to look at."""
    names = []
    for site in sites:
        names += [site.softmax.input[0], site.softmax.output[0]]
        names += site.masked.input if site.masked is not None else ()
    return names


def _watch(site: Site, record: Seen, values: Mapping[str, np.ndarray]) -> None:
    scores = values[site.softmax.input[0]].astype(np.float64)
    axis = int_attribute(site.softmax, "axis", -1)
    if not scores.size:
        return
    rows = scores.max(axis=axis)
    counted = rows[rows > rows.max() - MASKED]
    record.least = min(record.least, float(counted.min(initial=np.inf)) - REACH)
    record.probability = max(record.probability, float(values[site.softmax.output[0]].max()))
    _note(record, site.scores, scores)
    for name in site.masked.input if site.masked is not None else ():
        operand = values.get(name)
        if operand is not None and operand.dtype.kind == "f":
            _note(record, name, operand)
            near = np.abs(operand[np.abs(operand) < MASKED])
            record.operand = max(record.operand, float(near.max(initial=0)))


def _note(record: Seen, name: str, array: np.ndarray) -> None:
    low, high = record.extremes.get(name, (np.inf, -np.inf))
    record.extremes[name] = (min(low, float(array.min())), max(high, float(array.max())))


def _floors(site: Site, record: Seen) -> dict[str, float]:
    """Return below which value each tensor at the site may be clamped."""
    if site.masked is None or not np.isfinite(record.least):
        return {}
    floors = {site.scores: record.least}
    if site.masked.op_type == "Where":
        floors |= dict.fromkeys(site.masked.input[1:], record.least)
    else:
        floors |= dict.fromkeys(site.masked.input, -(2 * record.operand + REACH))
    return floors


def _raised(record: Seen, name: str, floor: float) -> Ranges:
    """Return the range of a computed tensor that reaches below its floor."""
    low, high = record.extremes.get(name, (0.0, 0.0))
    return {name: (min(floor, 0.0), max(high, 0.0))} if low < floor else {}


def _clamp(tensor: onnx.TensorProto, below: float) -> None:
    """Raise stored mask values, -inf included, to `below`."""
    array = numpy_helper.to_array(tensor)
    if array.dtype.kind == "f" and array.size and array.min() < below:
        clamped = np.maximum(array, np.array(below, array.dtype))
        tensor.CopyFrom(numpy_helper.from_array(clamped, tensor.name))
