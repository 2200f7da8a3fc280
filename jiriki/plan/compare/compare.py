"""`jiriki compare`: one workload over many chips, predicted beside published.

In: a workload's id, chips, a day, a mode. Out: a `Comparison`: for each chip time, throughput with
its range, the published result and the error of the prediction, utilisation, energy, export class
of that day, and where its supply may stop. A chip that cannot run the workload has a row that says
which rule forbids it. Chips that are not ours go through `predict`; ours through the timing
simulator (`plan.tiles`) where their tile runs the network, and say so where it does not.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

from jiriki.chip import load_chip
from jiriki.cost.errors import CostError
from jiriki.cost.price import per_million
from jiriki.errors import JirikiError
from jiriki.export_control import ExportResult, export_check
from jiriki.graph import Graph
from jiriki.plan.compare.own_chips import TileRun, load_run, measure, predict_tiles
from jiriki.plan.errors import PlanError
from jiriki.predict import (
    MODES,
    Prediction,
    Result,
    Work,
    Workload,
    load_accelerator,
    load_results,
    load_workload,
    predict,
)
from jiriki.predict.calibrate import Check, checks
from jiriki.predict.errors import PredictError
from jiriki.products.figure import Figure
from jiriki.products.product import Product, product_ids
from jiriki.products.range import Range

GraphOf = Callable[[], Graph]


@dataclass(frozen=True, slots=True)
class Row:
    """One chip. Figures are of one chip; `None` where there is none and `why_not` says why."""

    product: Product
    in_catalogue: bool
    prediction: Prediction | None
    published: Result | None  # the best of this mode, which the prediction stands beside
    export: ExportResult
    cost: Figure | None  # USD of a million units, server and electricity included
    why_not: str  # why there is no prediction, or ""
    why_no_cost: str
    note: str  # how far the prediction may be taken, where the engine itself cannot know

    @property
    def error(self) -> float | None:
        """predicted / published - 1."""
        if self.prediction is None or self.published is None:
            return None
        return self.prediction.per_s[1] / self.published.per_s - 1

    @property
    def energy_j(self) -> float | None:
        """Joules of one unit at the chip's power limit: an upper bound, host and cooling apart."""
        if self.prediction is None or self.product.tdp is None:
            return None
        return self.product.tdp.base / self.prediction.per_s[1]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows by throughput, those without a prediction last; all published entries beside."""

    workload: Workload
    mode: str
    on: date
    rows: tuple[Row, ...]
    checks: tuple[Check, ...]

    @property
    def held_out_error(self) -> float | None:
        """Median of |error| over the workload's entries that calibrated nothing."""
        errors = [abs(check.error) for check in self.checks if not check.result.calibration]
        return median(errors) if errors else None


def compare(
    workload_id: str,
    chips: Sequence[str] = (),
    *,
    on: date,
    mode: str = "offline",
    batch: int | None = None,
    context: int | None = None,
    graph: GraphOf | None = None,
) -> Comparison:
    """Compare chips; without names all of the catalogue, and all with a published result.

    graph: makes the network's Graph, asked only where a tile of ours has no stored run of it.
    Raises FactError for an unknown workload or chip, PlanError for a bad mode or batch, or chips
    named twice.
    """
    if mode not in MODES:
        raise PlanError(f"mode {mode!r} is not known; choose {', '.join(MODES)}")
    if batch is not None and batch < 1:
        raise PlanError(f"batch = {batch} must be at least 1; name the samples at once")
    workload = load_workload(workload_id, context)
    as_published = batch is None and context is None
    published = {r.chip: r for r in _best(workload_id, mode)} if as_published else {}
    ids = _ids(chips, {r.chip for r in load_results(workload_id)})
    asked = _Asked(workload, mode, batch, graph)
    rows = [_row(load_accelerator(id), asked, published.get(id), on) for id in ids]
    rows.sort(key=lambda row: -row.prediction.per_s[1] if row.prediction else 0.0)
    shown = set(ids)
    entries = [r for r in load_results(workload_id) if r.chip in shown]
    return Comparison(workload, mode, on, tuple(rows), checks(entries) if entries else ())


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is predicted, the same for all chips."""

    workload: Workload
    mode: str
    batch: int | None
    graph: GraphOf | None


def _ids(chips: Sequence[str], published: set[str]) -> list[str]:
    """Return the ids to compare. Raises PlanError, or FactError for an unknown one."""
    if not chips:
        return [*product_ids(), *sorted(published - set(product_ids()))]
    twice = sorted({id for id in chips if list(chips).count(id) > 1})
    if twice:
        raise PlanError(f"chip {', '.join(twice)} is named twice; name each chip once")
    return [load_accelerator(id).id for id in chips]


def _best(workload: str, mode: str) -> Iterable[Result]:
    """Return the best reviewed result of each chip in a mode, in ascending order of throughput."""
    fitting = [r for r in load_results(workload) if r.mode == mode and r.round != "vendor"]
    return sorted(fitting, key=lambda r: r.per_s)


def _row(chip: Product, asked: _Asked, published: Result | None, on: date) -> Row:
    prediction, why_not, note = None, "", ""
    try:
        prediction, note = _predict(chip, asked, published)
    except PredictError as error:
        why_not = str(error)
    cost, why_no_cost = _cost(chip, prediction) if prediction else (None, "no prediction")
    return Row(
        product=chip,
        in_catalogue=chip.id in product_ids(),
        prediction=prediction,
        published=published,
        export=export_check(chip, on),
        cost=cost,
        why_not=why_not,
        why_no_cost=why_no_cost,
        note=note,
    )


def _cost(chip: Product, prediction: Prediction) -> tuple[Figure | None, str]:
    """Return USD of a million units, or why there is none."""
    try:
        return per_million(chip, Range(*prediction.per_s)), ""
    except CostError as error:
        return None, str(error)


def _predict(chip: Product, asked: _Asked, published: Result | None) -> tuple[Prediction, str]:
    """Return the prediction and a note. Beside a published result: with its format and group."""
    note = ""
    if chip.ours and asked.workload.work is Work.CONVOLUTION and asked.batch is None:
        run = _tile_run(chip, asked)
        if isinstance(run, TileRun):
            return predict_tiles(asked.workload, chip, run, asked.mode), ""
        note = run
    prediction = predict(
        asked.workload, chip, asked.mode, batch=asked.batch,
        chips=published.chips if published else None,
        weights_format=published.weights_format if published else None,
    )  # fmt: skip
    return prediction, note


def _tile_run(chip: Product, asked: _Asked) -> TileRun | str:
    """Return the run of one tile, or why there is none."""
    assert chip.tile is not None, "every chip of ours names its tile"
    tile = load_chip(chip.tile)
    stored = load_run(asked.workload.id, tile)
    if stored is not None:
        return stored
    if asked.graph is None:
        return f"no run of {asked.workload.id} on one tile {tile.name} is stored: an estimate"
    try:
        return measure(asked.workload.id, asked.graph(), tile)
    except JirikiError as error:
        return (
            f"{asked.workload.id} does not compile for tile {tile.name} yet ({error}): an estimate "
            "by the GEMM utilisation of the tile"
        )
