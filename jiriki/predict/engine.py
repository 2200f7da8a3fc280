"""The analytic engine: latency and throughput of a Workload on a Product.

In: a Workload, a Product, a mode, and where wished a batch, a context and a number of chips. Out: a
`Prediction` with its range. The model and its few numbers are told in `efficiency`; here they meet
the chip's published figures. It is an estimate for chips that are not ours; for our own tiles
`plan.compare` starts from the timing simulator.

Rules of memory. Weights must lie in the group's memory (`usable_memory` of it). Chips of a group
are a power of two, at most the class's `group`; of those that hold the model, the size with the
highest throughput a chip is taken. What the weights leave holds key-value cache, which bounds the
batch. Activations of a layer stay on the chip when those of a *working batch* (the samples that
hide the start of a layer) fit in its on-chip memory.
A bandwidth that nobody published is assumed from the capacity, by the chips with the same kind of
memory; `assumed` says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median

from jiriki.predict.efficiency import (
    FABRIC_BYTES_PER_S,
    ChipClass,
    Efficiencies,
    load_efficiencies,
)
from jiriki.predict.errors import PredictError
from jiriki.predict.published import load_results
from jiriki.predict.workload import MODES, Phase, Work, Workload
from jiriki.products.figure import Figure
from jiriki.products.product import FORMAT_BITS, Product, load_products

OFFLINE_BATCH = 256  # where no cache bounds it; beyond this nothing changes
_TOKENS = (Work.DECODER, Work.SPEECH)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a chip is expected to do; throughput is a chip's, also where a group works together."""

    per_s: tuple[float, float, float]  # low, base, high: `unit` a second and chip
    unit: str
    latency_s: float  # of one sample in its batch, whole answer
    batch: int  # samples at once in a group
    chips: int  # of a group
    bound: str  # "compute", "memory", "capacity", "link", "launch", "request"
    utilisation: float  # of the peak in weights_format
    weights_format: str
    calibrated_on: str
    assumed: tuple[str, ...]  # figures that nobody published and what stands in for them


@dataclass(frozen=True, slots=True)
class _Chip:
    """A product's figures at one end of their ranges."""

    peak: float  # op/s in the chosen format
    bits: int
    exact_peak: float  # op/s in 16 bits, or as above where the chip has no such format
    exact_bits: int
    power_w: float | None
    sram: float
    memory: float  # byte that weights and cache may take; on-chip memory where there is no other
    bandwidth: float | None  # byte/s; None: everything is on the chip
    ports: float  # byte/s


@dataclass(frozen=True, slots=True)
class _Time:
    """Seconds that a group works for one sample of a batch."""

    compute: float
    weights: float  # memory: reading weights
    moved: float  # memory: activations and cache
    link: float
    launch: float
    request: float  # serving a request that makes tokens

    @property
    def total(self) -> float:
        read = max(self.compute, self.weights)
        return read + self.moved + self.link + self.launch + self.request


def predict(
    workload: Workload,
    product: Product,
    mode: str = "offline",
    *,
    batch: int | None = None,
    chips: int | None = None,
    weights_format: str | None = None,
    efficiencies: Efficiencies | None = None,
) -> Prediction:
    """Predict throughput of one chip and latency of one sample.

    mode: "offline" (all samples at hand), "server" (a latency limit holds), "single" (one sample at
    a time). batch: samples at once in a group. chips: of a group; None takes the fewest that hold
    the model. A context other than the benchmark's is chosen in `load_workload`.
    Raises PredictError for an unknown mode, a batch below 1, a format the chip lacks, a model that
    does not fit.
    """
    if mode not in MODES:
        raise PredictError(f"mode {mode!r} is not known; choose {', '.join(MODES)}")
    if batch is not None and batch < 1:
        raise PredictError(f"batch = {batch} must be at least 1; name the samples at once")
    if chips is not None and chips < 1:
        raise PredictError(f"chips = {chips} must be at least 1; name the chips of a group")
    all_ = efficiencies or load_efficiencies()
    kind = all_.of(product)
    format_ = choose_format(workload, product, weights_format)
    views, assumed = _views(product, kind, format_)
    least = _group(workload, product, kind, all_, views[1], chips)
    sizes = [least] if chips else [least << n for n in range(8) if least << n <= kind.group]
    plans = [
        _plan(workload, product, kind, all_, views, group, 1 if mode == "single" else batch, mode)
        for group in sizes
    ]
    group, samples, ends, rates = max(plans, key=lambda plan: plan[3][1])
    base = ends[1]
    margin = math.exp(kind.spread)
    asked = batch is not None or mode == "single"
    limited = not asked and workload.cache_kept > 0 and samples < all_.largest_batch
    return Prediction(
        per_s=(rates[0] / margin, rates[1], rates[2] * margin),
        unit=workload.unit,
        latency_s=samples * base.total,
        batch=samples,
        chips=group,
        bound=_bound(base, limited),
        utilisation=rates[1] / workload.units * workload.ops / views[1].peak,
        weights_format=format_,
        calibrated_on=calibrated_on(kind.name),
        assumed=assumed,
    )


def _plan(
    w: Workload, p: Product, kind: ChipClass, all_: Efficiencies, views: Sequence[_Chip],
    group: int, batch: int | None, mode: str,
) -> tuple[int, int, list[_Time], list[float]]:  # fmt: skip
    """Return group, samples at once, times and rates of one size of group."""
    samples = _batch(w, p, all_, views[1], group, batch)
    ends = [_times(w, kind, all_, view, group, samples) for view in views]
    return group, samples, ends, [_rate(w, all_, t, mode, group) for t in ends]


@cache
def calibrated_on(kind: str) -> str:
    """Say which published entries a class was fitted to, or what else its numbers rest on."""
    chip_class = load_efficiencies().classes[kind]
    if chip_class.basis:
        return chip_class.basis
    products_ = chip_class.products
    entries = dict.fromkeys(
        f"{r.workload} on {r.chip}" for r in load_results() if r.calibration and r.chip in products_
    )
    return "; ".join(entries)


def choose_format(workload: Workload, product: Product, wanted: str | None = None) -> str:
    """Return the format of the weights: the fastest that keeps the accuracy, or the one asked for.

    Raises PredictError when the chip has none.
    """
    if wanted is not None:
        if wanted not in product.peak:
            raise PredictError(
                f"chip {product.id}: no peak in {wanted} is published; "
                f"choose {', '.join(product.peak)}"
            )
        return wanted
    fitting = [name for name in workload.formats if name in product.peak]
    if not fitting:
        raise PredictError(
            f"chip {product.id}: computes in {', '.join(product.peak) or 'no published format'}, "
            f"workload {workload.id} keeps its accuracy in {', '.join(workload.formats)}"
        )
    return max(fitting, key=lambda name: product.peak[name].base)


# -- the chip's figures ------------------------------------------------------------------------


def _views(
    product: Product, kind: ChipClass, format_: str
) -> tuple[tuple[_Chip, _Chip, _Chip], tuple[str, ...]]:
    """Return the chip at the low, base and high end of its figures, and what was assumed."""
    assumed = []
    exact = "fp16" if "fp16" in product.peak else format_
    bandwidth = product.dram_bandwidth
    if product.dram is not None and bandwidth is None:
        bandwidth, why = _assumed_bandwidth(product)
        assumed.append(why)
    if product.io_bandwidth is None:
        assumed.append(f"ports {kind.ports / 1e9:g} GB/s: as class {kind.name} has them")

    def at(end: str) -> _Chip:
        def value(figure: Figure | None) -> float | None:
            return None if figure is None else getattr(figure, end)

        sram = value(product.sram) or 0.0
        return _Chip(
            peak=getattr(product.peak[format_], end),
            bits=FORMAT_BITS[format_],
            exact_peak=getattr(product.peak[exact], end),
            exact_bits=FORMAT_BITS[exact],
            power_w=value(product.tdp),
            sram=sram,
            memory=value(product.dram) or sram,
            bandwidth=value(bandwidth),
            ports=value(product.io_bandwidth) or kind.ports,
        )

    return (at("low"), at("base"), at("high")), tuple(assumed)


def _assumed_bandwidth(product: Product) -> tuple[Figure, str]:
    """Return a bandwidth from the capacity, as other chips with this memory have it."""
    ratios = _bandwidth_per_byte(product.dram_kind)
    if not ratios:
        raise PredictError(
            f"chip {product.id}: bandwidth of its {product.dram_kind} is not published and no "
            "other chip of the catalogue has that memory; give dram_bandwidth"
        )
    assert product.dram is not None, "asked only for chips with memory"
    low, base, high = (
        product.dram.base * ratio for ratio in (min(ratios), median(ratios), max(ratios))
    )
    why = (
        f"memory bandwidth {base / 1e12:.2f} TB/s ({low / 1e12:.2f} to {high / 1e12:.2f}): as "
        f"{len(ratios)} chips with {product.dram_kind} have it for their capacity"
    )
    return Figure(low, base, high, "byte/s", f"derived: {why}", product.announced, True), why


@cache
def _bandwidth_per_byte(kind: str) -> tuple[float, ...]:
    return tuple(
        p.dram_bandwidth.base / p.dram.base
        for p in load_products()
        if p.dram_kind == kind and p.dram is not None and p.dram_bandwidth is not None
    )


# -- what fits ---------------------------------------------------------------------------------


def _group(
    w: Workload, p: Product, kind: ChipClass, all_: Efficiencies, chip: _Chip, asked: int | None
) -> int:
    """Return the chips that hold weights and one sample. Raises PredictError where none do."""
    weights = w.stored_weights * chip.bits / 8
    needed = (weights + w.cache_kept * _cache_bytes(chip)) / (all_.usable_memory * chip.memory)
    group = 1 << max(0, math.ceil(math.log2(needed)))
    rule = (
        f"{all_.usable_memory:.0%} of {chip.memory / 1e9:.3g} GB a chip, at most {kind.group} "
        f"chips together for class {kind.name}"
    )
    what = f"chip {p.id}: {w.id} takes {weights / 1e9:.3g} GB of weights"
    if asked is not None and asked < needed:
        raise PredictError(f"{what}; {asked} chips do not hold it (rule: {rule}); take {group}")
    if group > kind.group and asked is None:
        raise PredictError(
            f"{what}, {math.ceil(needed):,} chips' memory (rule: {rule}); take a chip with more "
            "memory or say chips"
        )
    return asked or group


def _cache_bytes(chip: _Chip) -> float:
    """Return the bytes of a key-value element: 8 bits where weights have at most 8."""
    return 1 if chip.bits <= 8 else 2


def _batch(
    w: Workload, p: Product, all_: Efficiencies, chip: _Chip, group: int, asked: int | None
) -> int:
    """Return the samples at once in a group: as many as the cache holds."""
    if not w.cache_kept:
        return asked or OFFLINE_BATCH
    free = group * all_.usable_memory * chip.memory - w.stored_weights * chip.bits / 8
    room = int(free / (w.cache_kept * _cache_bytes(chip)))
    if asked is not None and asked > room:
        raise PredictError(
            f"chip {p.id}: batch = {asked} of {w.id} exceeds {room}, the samples whose key-value "
            f"cache fits beside the weights in {group} chips; lower the batch or raise chips"
        )
    return asked or max(1, min(room, all_.largest_batch))


# -- time --------------------------------------------------------------------------------------


def _times(
    w: Workload, kind: ChipClass, all_: Efficiencies, chip: _Chip, group: int, batch: int
) -> _Time:
    """Return the seconds that a group works for one sample of a batch."""
    compute = weights = moved = launch = 0.0
    for phase in w.phases:
        compute += phase.passes * _compute(w, phase, kind, all_, chip)
        weights += phase.passes * _weights(w, phase, kind, chip, group, batch)
        moved += phase.passes * _moved(w, phase, kind, all_, chip)
        launch += phase.passes * phase.depth * kind.launch_s / batch
    link = 0.0
    if group > 1 and w.exchanged:
        share = all_.fabric_share if chip.ports >= FABRIC_BYTES_PER_S else all_.pcie_share
        sent = 2 * (group - 1) / group * w.exchanged * 2  # ring all-reduce, 16-bit elements
        link = sent / (chip.ports / 2 * share)
    request = all_.request_s if w.work in _TOKENS else 0.0
    return _Time(compute / group, weights, moved / group, link, launch, request)


def _compute(w: Workload, phase: Phase, kind: ChipClass, all_: Efficiencies, chip: _Chip) -> float:
    """Return the seconds of a pass's operations on one chip."""
    factor = all_.factor(kind, w.work)
    parts = (
        (phase.ops - phase.exact_ops, chip.peak, chip.bits),
        (phase.exact_ops, chip.exact_peak, chip.exact_bits),
    )
    time_s = 0.0
    for ops, peak, bits in parts:
        per_op = kind.issue / peak
        if chip.power_w is not None:
            per_op += kind.energy_j_per_op * bits / 8 / chip.power_w
        time_s += ops * max(1 / (all_.best_share * peak), factor * per_op)
    return time_s


def _weights(
    w: Workload, phase: Phase, kind: ChipClass, chip: _Chip, group: int, batch: int
) -> float:
    """Return the seconds of reading weights; a chip of a group reads its part of them."""
    if chip.bandwidth is None or _resident(w, kind, chip, group):
        return 0.0
    bytes_ = phase.weights * chip.bits / 8
    return bytes_ / batch / group / (chip.bandwidth * kind.bandwidth_share)


def _resident(w: Workload, kind: ChipClass, chip: _Chip, group: int) -> bool:
    return kind.holds_weights and w.stored_weights * chip.bits / 8 <= 0.75 * chip.sram * group


def _moved(w: Workload, phase: Phase, kind: ChipClass, all_: Efficiencies, chip: _Chip) -> float:
    """Return the seconds of moving activations that do not stay on the chip, and the cache."""
    if chip.bandwidth is None:
        return 0.0
    width = w.activation_bytes or chip.bits / 8
    ops = phase.ops / phase.depth
    working = max(1.0, all_.hide_s * chip.peak / ops) if ops else 1.0
    moved = phase.cache_read * _cache_bytes(chip)
    for layer in phase.layers:
        bytes_ = layer.activations * width
        if working * bytes_ > chip.sram:
            moved += bytes_ * layer.repeats
    return moved / (chip.bandwidth * kind.bandwidth_share)


def _rate(w: Workload, all_: Efficiencies, t: _Time, mode: str, group: int) -> float:
    """Return units a second of one chip."""
    rate = w.units / t.total / group
    if mode == "server":
        rate *= server_share(w, all_, t.total)
    return rate


def server_share(w: Workload, all_: Efficiencies, sample_s: float) -> float:
    """Return server / offline throughput.

    A constant where a query is one short pass. Where it is long, a request waits for those before
    it: 1 / (1 + server_wait x its own time / the latency limit).
    """
    if w.work in all_.server or w.target_s is None:
        return all_.server.get(w.work, 1.0)
    return 1 / (1 + all_.server_wait * sample_s / w.target_s)


def _bound(t: _Time, limited: bool) -> str:
    hidden = t.weights if t.weights > t.compute else 0.0
    parts = {
        "compute": t.compute, "memory": hidden + t.moved, "link": t.link, "launch": t.launch,
        "request": t.request,
    }  # fmt: skip
    largest = max(parts, key=lambda name: parts[name])
    if largest == "memory" and limited and t.weights > t.moved:
        return "capacity"  # a larger cache would spread the weights over more samples
    return largest
