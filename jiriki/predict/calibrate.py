"""Fitting the efficiencies to published results, and the error on those that were held out.

In: `published_results/`, the parameters listed in `PARAMETERS`. Out: fitted values; a `Check` for
every published entry; statistics.

What is fitted: 17 numbers, to the entries with `calibration = true` (twice as many), by the least
squares of log(predicted / published). The numbers of class `gpu` and the factors of kinds of work
rest on several chips each; AMD's GPUs, systolic arrays and the NPUs that hold weights on the chip
have so few published results that one or two entries set theirs, and their ranges are wide. What
the fit does not see: the held-out entries (four of five). What they did see: the *form* of the
model was chosen with all entries in view, so that a chip of a new kind may err more than they do.
A class's range holds four of five of its held-out entries.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from statistics import median
from typing import Any

import numpy as np

from jiriki.predict.efficiency import (
    Efficiencies,
    efficiency_table,
    load_efficiencies,
    read_efficiencies,
)
from jiriki.predict.engine import predict
from jiriki.predict.published import Result, load_accelerator, load_results
from jiriki.predict.workload import Workload, load_workload, parse_workload
from jiriki.products.table import Table, load_table

# Path in efficiencies.toml -> least value. The last one is the traffic of an SDXL image, which no
# layer list gives.
PARAMETERS: Mapping[tuple[str, ...], float] = {
    ("class", "gpu", "issue"): 1.0,
    ("class", "gpu", "energy_pj_per_op"): 0.0,
    ("class", "gpu", "launch_us"): 0.0,
    ("class", "gpu-cdna", "issue"): 1.0,
    ("class", "npu", "energy_pj_per_op"): 0.0,
    ("class", "npu", "launch_us"): 0.0,
    ("class", "npu", "work", "encoder"): 0.0,
    ("class", "systolic", "issue"): 1.0,
    ("shared", "work", "decoder"): 0.0,
    ("shared", "work", "speech"): 0.0,
    ("shared", "server", "convolution"): 0.0,
    ("shared", "server", "encoder"): 0.0,
    ("shared", "server_wait"): 0.0,
    ("shared", "request_ms"): 0.0,
    ("shared", "pcie_share"): 0.0,
    ("shared", "fabric_share"): 0.0,
    ("sdxl", "traffic_elements"): 0.0,
}
HIDE_US = (1.0, 2.0, 3.0, 5.0, 7.0)  # tried in turn: layers fit or not, so that it has no slope
KEPT = 0.8  # share of the held-out entries that a range holds
FEW = 4  # a class with fewer held-out entries takes the widest range
WIDEST = 0.5
STEPS = 40


@dataclass(frozen=True, slots=True)
class Check:
    """One published entry beside what the engine predicts for it."""

    result: Result
    predicted: tuple[float, float, float]
    chips: int

    @property
    def error(self) -> float:
        """predicted / published - 1."""
        return self.predicted[1] / self.result.per_s - 1

    @property
    def in_range(self) -> bool:
        return self.predicted[0] <= self.result.per_s <= self.predicted[2]


def checks(entries: Sequence[Result] | None = None) -> tuple[Check, ...]:
    """Predict every published entry with the stored efficiencies."""
    return tuple(check(result, load_efficiencies()) for result in entries or load_results())


def check(result: Result, efficiencies: Efficiencies, workload: Workload | None = None) -> Check:
    """Predict one entry, in its weights' format and with its group where that is known."""
    prediction = predict(
        workload or load_workload(result.workload),
        load_accelerator(result.chip),
        result.mode,
        chips=result.chips,
        weights_format=result.weights_format,
        efficiencies=efficiencies,
    )
    return Check(result, prediction.per_s, prediction.chips)


def median_error(checks: Sequence[Check], calibration: bool) -> float:
    """Return the median of |error| over the entries that are, or are not, calibration entries."""
    return median(abs(check.error) for check in checks if check.result.calibration is calibration)


# -- the fit -----------------------------------------------------------------------------------


def fit(hides: Sequence[float] = HIDE_US) -> dict[tuple[str, ...], float]:
    """Return the fitted value of every parameter, the hiding time and every class's spread.

    hides: hiding times to try, in microseconds. Deterministic: it starts from stated values, not
    from the stored ones.
    """
    tables = [_with_hide(hide) for hide in hides]
    fitted = [_fit_one(table) for table in tables]
    best = min(range(len(tables)), key=lambda i: fitted[i][1])
    values = dict(zip(PARAMETERS, fitted[best][0], strict=True))
    spreads = _spreads(tables[best], fitted[best][0])
    return {**values, ("shared", "hide_us"): hides[best], **spreads}


_SDXL = resources.files("jiriki.predict") / "workloads" / "sdxl.toml"


def _stored() -> dict[str, Any]:
    sdxl = load_table(_SDXL, "workload sdxl")
    traffic = {"traffic_elements": sdxl.number("traffic_elements")}
    return {**efficiency_table().table, "sdxl": traffic}


def _with_hide(hide_us: float) -> dict[str, Any]:
    table = _stored()
    table["shared"]["hide_us"] = hide_us
    return table


_START = {
    ("class", "gpu", "issue"): 1.3,
    ("class", "gpu", "energy_pj_per_op"): 0.2,
    ("class", "gpu", "launch_us"): 5.0,
    ("class", "npu", "energy_pj_per_op"): 0.2,
    ("class", "npu", "launch_us"): 5.0,
    ("class", "gpu-cdna", "issue"): 1.5,
    ("class", "systolic", "issue"): 1.3,
    ("shared", "server", "convolution"): 0.9,
    ("shared", "server", "encoder"): 0.9,
    ("shared", "pcie_share"): 0.3,
    ("sdxl", "traffic_elements"): 3e11,
}


def _fit_one(table: dict[str, Any]) -> tuple[np.ndarray, float]:
    """Return parameters [16] and the sum of squares: Levenberg-Marquardt in log(value - least)."""
    least = np.array(list(PARAMETERS.values()))
    x = np.log(np.array([_START.get(path, 1.0) for path in PARAMETERS]) - least)
    residual = _residuals(table, least + np.exp(x))
    damping = 1e-2
    for _ in range(STEPS):
        slope = np.stack([
            (_residuals(table, least + np.exp(x + step)) - residual) / 1e-4
            for step in 1e-4 * np.eye(len(x))
        ], axis=1)  # fmt: skip
        normal = slope.T @ slope + damping * np.eye(len(x))
        tried = x - np.linalg.solve(normal, slope.T @ residual)
        tried = np.clip(tried, x - 1, x + 1)
        new = _residuals(table, least + np.exp(tried))
        if new @ new < residual @ residual:
            done = residual @ residual - new @ new < 1e-9
            x, residual, damping = tried, new, damping / 3
            if done:
                break
        else:
            damping *= 4
    return least + np.exp(x), float(residual @ residual)


def _residuals(table: dict[str, Any], values: np.ndarray) -> np.ndarray:
    """Return log(predicted / published) of the calibration entries."""
    fitted = _checks_with(table, values, calibration=True)
    return np.array([math.log(entry.predicted[1] / entry.result.per_s) for entry in fitted])


def _checks_with(table: dict[str, Any], values: np.ndarray, *, calibration: bool) -> list[Check]:
    """Predict the entries that are, or are not, calibration entries with other values."""
    for path, value in zip(PARAMETERS, values, strict=True):
        _put(table, path, float(value))
    stored = {key: part for key, part in table.items() if key != "sdxl"}
    efficiencies = read_efficiencies(Table(stored, "efficiencies.toml"))
    sdxl = _sdxl(table["sdxl"]["traffic_elements"])
    return [
        check(result, efficiencies, sdxl if result.workload == "sdxl" else None)
        for result in load_results()
        if result.calibration is calibration
    ]


def _sdxl(traffic: float) -> Workload:
    text = _SDXL.read_text("utf-8")
    text = re.sub(r"(?m)^traffic_elements = \S+", f"traffic_elements = {traffic}", text)
    return parse_workload("sdxl", text)


def _put(table: dict[str, Any], path: tuple[str, ...], value: float) -> None:
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value


def _spreads(table: dict[str, Any], values: np.ndarray) -> dict[tuple[str, ...], float]:
    """Return for every fitted class the |log error| that four of five held-out entries keep."""
    held_out = _checks_with(table, values, calibration=False)
    classes = {path[1] for path in PARAMETERS if path[0] == "class"}
    spreads = {}
    for name in sorted(classes):
        own = [entry for entry in held_out if entry.result.chip in table["class"][name]["products"]]
        errors = sorted(abs(math.log1p(entry.error)) for entry in own)
        few = len(own) < FEW
        spreads["class", name, "spread"] = (
            WIDEST if few else errors[math.ceil(KEPT * len(errors)) - 1]
        )
    return spreads
