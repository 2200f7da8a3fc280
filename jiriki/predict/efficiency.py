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

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jiriki.predict.errors import PredictError
from jiriki.predict.workload import Work
from jiriki.products.product import Product
from jiriki.products.table import Table, load_table

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
        """Return the class of a product. Raises PredictError for one that no class names."""
        for chip_class in self.classes.values():
            if product.id in chip_class.products:
                return chip_class
        if product.ours:
            return self.classes["tiles"]
        raise PredictError(
            f"chip {product.id}: no architecture class names it; add it to `products` of one in "
            "predict/efficiencies.toml"
        )

    def factor(self, chip_class: ChipClass, work: Work) -> float:
        return chip_class.work.get(work, self.work[work])


@cache
def load_efficiencies() -> Efficiencies:
    """Return the stored efficiencies."""
    return read_efficiencies(efficiency_table())


def efficiency_table() -> Table:
    """Return the tables of `efficiencies.toml`."""
    return load_table(resources.files("jiriki.predict") / "efficiencies.toml", "efficiencies.toml")


def read_efficiencies(table: Table) -> Efficiencies:
    """Read the efficiencies from the tables of their TOML. Raises FactError."""
    shared, classes = table.inner("shared"), table.inner("class").parts("class")
    efficiencies = Efficiencies(
        classes={name: _class(name, part) for name, part in classes.items()},
        work=_factors(shared.inner("work")),
        server=_factors(shared.inner("server")),
        server_wait=shared.number("server_wait"),
        best_share=shared.number("best_share", positive=True, most=1),
        request_s=shared.number("request_ms") * 1e-3,
        hide_s=shared.number("hide_us") * 1e-6,
        fabric_share=shared.number("fabric_share", positive=True),
        pcie_share=shared.number("pcie_share", positive=True),
        usable_memory=shared.number("usable_memory", positive=True, most=1),
        largest_batch=shared.whole("largest_batch", 1),
    )
    shared.close()
    table.close()
    return efficiencies


def _class(name: str, table: Table) -> ChipClass:
    kind = ChipClass(
        name=name,
        products=table.texts_or_none("products"),
        issue=table.number("issue", positive=True),
        energy_j_per_op=table.number("energy_pj_per_op") * 1e-12,
        bandwidth_share=table.number("bandwidth_share", positive=True, most=1),
        launch_s=table.number("launch_us") * 1e-6,
        holds_weights=table.flag("holds_weights"),
        group=table.whole("group", 1),
        work=_factors(table.inner("work")),
        spread=table.number("spread"),
        ports=table.number("ports_gb_per_s", positive=True) * 1e9,
        basis=table.text("basis", ""),
    )
    table.close()
    return kind


def _factors(table: Table) -> dict[Work, float]:
    factors = {work: table.number(work.value) for work in Work if table.has(work.value)}
    table.close()
    return factors
