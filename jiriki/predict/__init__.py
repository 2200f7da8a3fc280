"""The analytic engine: time and throughput of a workload on chips that are not ours.

In: a `Workload` (a network's layers, a transformer's architecture, or a Graph), a `Product` of the
catalogue. Out: a `Prediction` with its range; beside it the published results, and how far off the
predictions of those are. `calibrate` and `graph_workload` are imported by who needs them.
"""

from jiriki.predict.efficiency import Efficiencies, load_efficiencies
from jiriki.predict.engine import Prediction, predict
from jiriki.predict.published import Result, accelerator_ids, load_accelerator, load_results
from jiriki.predict.workload import (
    MODES,
    Layer,
    Phase,
    Work,
    Workload,
    load_workload,
    workload_ids,
)

__all__ = [
    "MODES",
    "Efficiencies",
    "Layer",
    "Phase",
    "Prediction",
    "Result",
    "Work",
    "Workload",
    "accelerator_ids",
    "load_accelerator",
    "load_efficiencies",
    "load_results",
    "load_workload",
    "predict",
    "workload_ids",
]
