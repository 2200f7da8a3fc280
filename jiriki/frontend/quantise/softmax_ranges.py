"""Ranges around a softmax: the scores that count, and the probabilities that occur.

In: a float model and calibration feeds. Out: ranges by tensor name for ONNX Runtime's quantiser,
which alone would take a mask of -1e4 for a score (one step of 39 for all of them) and 0..1 for the
range of probabilities of 1/1024 each (all of them 0).

- A score 16 below the largest of its row has a probability below 1.2e-7: scores are clamped there.
- What is added to scores as a mask, stored or computed, needs to reach no further down than that.
- Who else reads scores or mask reads them as they are, in float: the softmax has its own copy.
- Probabilities range to twice the largest seen, 1 at most, which is ONNX Runtime's own range.
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
PRODUCTS = ("Gemm", "MatMul")
MOVES = ("Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
Ranges = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Site:
    """A softmax, the nodes that only move its scores, and the sum or choice they come from."""

    softmax: onnx.NodeProto
    moves: tuple[onnx.NodeProto, ...]  # from the scores to the softmax
    scores: str
    masked: onnx.NodeProto | None  # the Add or Where that made the scores, or None


@dataclass
class Seen:
    """What the calibration showed at one site."""

    least: float = np.inf  # of the scores that count
    probability: float = 0.0
    operand: float = 0.0  # the largest |score| before the mask
    extremes: Ranges = field(default_factory=dict)  # of computed tensors, by name


def softmax_ranges(
    model: onnx.ModelProto, feeds: Iterable[Mapping[str, np.ndarray]]
) -> tuple[Ranges, list[str]]:
    """Return (least, most) of tensors around softmaxes, and the names of nodes to leave in float.

    Masks are clamped in place; where others read them too, in a copy that the softmax alone reads.
    """
    sites = _sites(model)
    if not sites:
        return {}, []
    records = [Seen() for _ in sites]
    for values in observe(model, _watched(sites), feeds):
        for site, record in zip(sites, records, strict=True):
            _watch(site, record, values)
    in_float: list[str] = []
    ranges: Ranges = {}
    floors: dict[str, float] = {}
    for index, (site, record) in enumerate(zip(sites, records, strict=True)):
        if 0 < 2 * record.probability < 1:
            ranges[site.softmax.output[0]] = (0.0, 2 * record.probability)
        for name, floor in _floors(site, record).items():
            floors[name] = min(floor, floors.get(name, 0.0))
            low, high = record.extremes.get(name, (0.0, 0.0))
            if low < floors[name]:
                ranges[name] = (floors[name], max(high, 0.0))
        if site.scores in ranges:
            sites[index], others = _with_own_scores(model, site)
            in_float += others
            ranges[sites[index].scores] = ranges.pop(site.scores)
    masks = set(floors).difference(site.scores for site in sites)
    readers = {site.masked.name for site in sites if site.masked is not None}
    for tensor in model.graph.initializer:
        if tensor.name in masks:
            _clamp_stored(model, tensor, floors[tensor.name], readers)
    for name in sorted(masks.intersection(ranges)):
        in_float += _clamp_computed(model, name, readers, ranges)
    return ranges, in_float


def _sites(model: onnx.ModelProto) -> list[Site]:
    makers = {output: node for node in model.graph.node for output in node.output}
    sites = []
    for node in model.graph.node:
        if node.op_type != "Softmax":
            continue
        scores, moves = node.input[0], []
        while scores in makers and makers[scores].op_type in MOVES:
            moves.insert(0, makers[scores])
            scores = makers[scores].input[0]
        maker = makers.get(scores)
        masked = maker if maker is not None and maker.op_type in ("Add", "Where") else None
        sites.append(Site(node, tuple(moves), scores, masked))
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
    probabilities = values[site.softmax.output[0]]  # NaN in rows masked as a whole
    record.probability = float(np.fmax.reduce(probabilities.ravel(), initial=record.probability))
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


def _with_own_scores(model: onnx.ModelProto, site: Site) -> tuple[Site, list[str]]:
    """Give the softmax scores that nothing else reads.

    Return the site with them, and the nodes that make and read the scores of the others.
    """
    path = {node.name for node in (*site.moves, site.softmax)}
    names = [site.scores, *(move.output[0] for move in site.moves)]
    others = [node.name for name in names for node in _readers(model, name, path)]
    if site.masked is None or not (others or _outputs(model).intersection(names)):
        return site, []
    shared = [site.masked, *site.moves]
    copies = []
    for node in shared:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name, copy.output[0] = f"{node.name}/softmax", f"{node.output[0]}/softmax"
        if copies:
            copy.input[0] = copies[-1].output[0]
        copies.append(copy)
    last = next(i for i, node in enumerate(model.graph.node) if node.name == site.softmax.name)
    for copy in reversed(copies):
        model.graph.node.insert(last, copy)
    site.softmax.input[0] = copies[-1].output[0]
    for node in reversed(shared):
        if not (_readers(model, node.output[0], set()) or node.output[0] in _outputs(model)):
            model.graph.node.remove(node)
    masked, *moves = copies
    own = Site(site.softmax, tuple(moves), masked.output[0], masked)
    return own, [*(node.name for node in shared), *others]


def _clamp_stored(
    model: onnx.ModelProto, tensor: onnx.TensorProto, floor: float, masked: set[str]
) -> None:
    """Raise stored values, -inf included, to the floor for the `masked` nodes."""
    array = numpy_helper.to_array(tensor)
    if array.dtype.kind != "f" or array.min(initial=0) >= floor:
        return
    clamped = numpy_helper.from_array(np.maximum(array, np.array(floor, array.dtype)), tensor.name)
    if _readers(model, tensor.name, masked) or tensor.name in _outputs(model):
        clamped.name = _read_own(model, tensor.name, masked)
        model.graph.initializer.append(clamped)
    else:
        tensor.CopyFrom(clamped)


def _clamp_computed(
    model: onnx.ModelProto, name: str, masked: set[str], ranges: Ranges
) -> list[str]:
    """Give the `masked` nodes a copy raised to the range, if others read the tensor too.

    Return the nodes that make and read the tensor as it is.
    """
    others = _readers(model, name, masked)
    if not (others or name in _outputs(model)):
        return []
    makers = [node for node in model.graph.node if name in node.output]
    own = _read_own(model, name, masked)
    ranges[own] = ranges.pop(name)
    floor = numpy_helper.from_array(np.array(ranges[own][0], np.float32), f"{own}/floor")
    model.graph.initializer.append(floor)
    copy = onnx.helper.make_node("Max", [name, floor.name], [own], name=own)
    first = next(i for i, node in enumerate(model.graph.node) if own in node.input)
    model.graph.node.insert(first, copy)
    return [node.name for node in (copy, *makers, *others) if node.op_type not in PRODUCTS]


def _read_own(model: onnx.ModelProto, name: str, masked: set[str]) -> str:
    """Let the `masked` nodes read another tensor in place of this one; return its name."""
    own = f"{name}/softmax"
    for node in model.graph.node:
        if node.name in masked:
            node.input[:] = [own if source == name else source for source in node.input]
    return own


def _readers(model: onnx.ModelProto, name: str, apart: set[str]) -> list[onnx.NodeProto]:
    """Return the nodes that read the tensor, those named `apart` left out."""
    return [n for n in model.graph.node if name in n.input and n.name not in apart]


def _outputs(model: onnx.ModelProto) -> set[str]:
    return {output.name for output in model.graph.output}
