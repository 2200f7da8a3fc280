"""How much of a chip's peak and bandwidth its class of architecture delivers.

In: `efficiencies.toml`: few numbers a class, fitted by `calibrate` to the published results marked
`calibration = true`, and stated ones. Out: `Efficiencies`, and the class of a product.

The model, for one layer of a sample on a group of g chips (all of a class share its numbers):

    compute = ops x max(1 / (best_share x peak),
                        work x (issue / peak + energy_j_per_op x bits / 8 / power)) / g
    weights = bytes of weights / (bandwidth x bandwidth_share) / g / batch
    moved   = bytes of activations and cache / (bandwidth x bandwidth_share) / g
    link    = bytes exchanged / (ports x link_share)
    launch  = launch_s / batch

and a phase takes max(compute, weights) + moved + link + launch: a matrix product reads its weights
while it computes; the passes between products move and do not compute. A request that makes tokens
takes `request_s` besides (queueing, tokens to text, bookkeeping). The second term of `compute` is
the power limit: peaks are quoted at clocks that the power budget does not hold, and chips of one
process differ in how far (350 W or 700 W for nearly the same silicon).
`work` is a factor of the kind of work, the same for all classes unless a class says otherwise.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jiriki.predict.workload import Work
from jiriki.products.errors import CostError
from jiriki.products.product import Product

FABRIC_BYTES_PER_S = 200e9  # ports above this are a chip-to-chip fabric, below it is PCIe


@dataclass(frozen=True, slots=True)
class ChipClass:
    """What the chips of one architecture class have in common."""

    name: str
    products: tuple[str, ...]
    issue: float  # peak operations paid for one done, at least 1
    energy_j_per_op: float  # of 8-bit operands, under load
    bandwidth_share: float
    launch_s: float  # from one layer's start to the next one's, batch 1
    holds_weights: bool  # managed on-chip memory: weights that fit are not read from outside
    group: int  # chips that one model may span
    work: Mapping[Work, float]  # overrides of the factors of kinds of work
    spread: float  # deviation of log(predicted / published) that the range stands for
    ports: float  # byte/s, both directions, assumed where a chip's are not published
    basis: str  # what the numbers rest on, where no published result calibrates them


@dataclass(frozen=True, slots=True)
class Efficiencies:
    """All classes, and what they share."""

    classes: Mapping[str, ChipClass]
    work: Mapping[Work, float]
    server: Mapping[Work, float]  # server / offline throughput where batches are short
    server_wait: float  # see `engine.server_share`
    best_share: float  # of the peak, that no product of matrices exceeds
    request_s: float
    hide_s: float  # work of a layer that hides the start of the next one
    fabric_share: float
    pcie_share: float
    usable_memory: float  # share of memory that weights and key-value cache may take
    largest_batch: int  # sequences that one group serves at once

    def of(self, product: Product) -> ChipClass:
        """Return the class of a product. Raises CostError for one that no class names."""
        for one in self.classes.values():
            if product.id in one.products:
                return one
        if product.ours:
            return self.classes["tiles"]
        raise CostError(
            f"chip {product.id}: no architecture class names it; add it to `products` of one in "
            "predict/efficiencies.toml"
        )

    def factor(self, one: ChipClass, work: Work) -> float:
        return one.work.get(work, self.work[work])


@cache
def load_efficiencies() -> Efficiencies:
    """Return the stored efficiencies."""
    file = resources.files("jiriki.predict") / "efficiencies.toml"
    return parse_efficiencies(tomllib.loads(file.read_text("utf-8")))


def parse_efficiencies(table: Mapping[str, Any]) -> Efficiencies:
    """Read the efficiencies from the tables of their TOML."""
    shared = table["shared"]
    return Efficiencies(
        classes={name: _class(name, one) for name, one in table["class"].items()},
        work=_factors(shared["work"]),
        server=_factors(shared["server"]),
        server_wait=shared["server_wait"],
        best_share=shared["best_share"],
        request_s=shared["request_ms"] * 1e-3,
        hide_s=shared["hide_us"] * 1e-6,
        fabric_share=shared["fabric_share"],
        pcie_share=shared["pcie_share"],
        usable_memory=shared["usable_memory"],
        largest_batch=shared["largest_batch"],
    )


def _class(name: str, table: Mapping[str, Any]) -> ChipClass:
    return ChipClass(
        name=name,
        products=tuple(table["products"]),
        issue=table["issue"],
        energy_j_per_op=table["energy_pj_per_op"] * 1e-12,
        bandwidth_share=table["bandwidth_share"],
        launch_s=table["launch_us"] * 1e-6,
        holds_weights=table["holds_weights"],
        group=table["group"],
        work=_factors(table.get("work", {})),
        spread=table["spread"],
        ports=table["ports_gb_per_s"] * 1e9,
        basis=table.get("basis", ""),
    )


def _factors(table: Mapping[str, float]) -> dict[Work, float]:
    return {Work(key): float(value) for key, value in table.items()}
