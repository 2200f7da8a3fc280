"""`Workload`: what one sample asks of a chip, as layers, whatever the chip.

In: TOML of `predict/workloads/` (a network's layers, or the architecture of a transformer with its
source), or a Graph through `graph_workload`. Out: phases of layers: operations (two a
multiply-accumulate), weights, activations moved, key-value cache read, per sample.

Vocabulary. A *sample* is an image, a sequence, a request. A decoder's sample is one pass of the
prompt (`prefill`) and as many passes of `decode` as it makes tokens; throughput is counted in
tokens made. A *pass* goes once through all layers of a phase; samples of a batch share the weights
that a pass reads.
"""

from dataclasses import dataclass, fields
from difflib import get_close_matches
from enum import Enum
from functools import cache
from importlib import resources
from typing import Any

from jiriki.products.errors import FactError
from jiriki.products.table import Table, load_table, parse_table

MODES = ("offline", "server", "single")  # all samples at hand; a latency limit; one at a time


class Work(Enum):
    """Kinds of work: each has its own efficiency and its own way to meet a latency target."""

    CONVOLUTION = "convolution"
    ENCODER = "encoder"
    DECODER = "decoder"
    SPEECH = "speech"
    DIFFUSION = "diffusion"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, counted for one sample (or one token of a decode pass)."""

    name: str
    ops: float  # two a multiply-accumulate
    weights: float  # elements
    activations: float  # elements read and written
    repeats: int = 1  # equal layers
    exact: bool = False  # computed in 16 bits whatever the weights: attention scores


@dataclass(frozen=True, slots=True)
class Phase:
    """Layers that run one after the other, `passes` times a sample."""

    name: str
    layers: tuple[Layer, ...]
    passes: float = 1.0
    cache_read: float = 0.0  # key-value elements that one pass of one sample reads

    @property
    def ops(self) -> float:
        """Operations of one pass."""
        return sum(layer.ops * layer.repeats for layer in self.layers)

    @property
    def exact_ops(self) -> float:
        """Operations of one pass that stay in 16 bits."""
        return sum(layer.ops * layer.repeats for layer in self.layers if layer.exact)

    @property
    def weights(self) -> float:
        return sum(layer.weights * layer.repeats for layer in self.layers)

    @property
    def depth(self) -> int:
        """Layers of one pass, one after the other."""
        return sum(layer.repeats for layer in self.layers)


@dataclass(frozen=True, slots=True)
class Workload:
    """What one sample asks; see the module docstring for the vocabulary."""

    id: str
    name: str
    unit: str  # what is counted a second: "images", "sequences", "tokens"
    work: Work
    phases: tuple[Phase, ...]
    units: float  # of `unit`, a sample
    formats: tuple[str, ...]  # of the weights, that keep the accuracy
    activation_bytes: float  # an activation moved; 0: as wide as a weight
    stored_weights: float  # elements that must lie in memory
    cache_kept: float  # key-value elements that a sample holds at most
    exchanged: float  # elements that chips of a group exchange, a sample
    target_s: float | None  # latency limit of the benchmark's server scenario
    source: str
    unverified: tuple[str, ...] = ()  # what in it is from memory or estimated

    @property
    def ops(self) -> float:
        """Operations of a sample."""
        return sum(phase.ops * phase.passes for phase in self.phases)

    @property
    def depth(self) -> float:
        """Layers a sample passes through, one after the other."""
        return sum(phase.depth * phase.passes for phase in self.phases)


@dataclass(frozen=True, slots=True)
class Transformer:
    """The architecture of one stack of equal blocks."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    gated: bool = False  # three matrices in the feed-forward part instead of two
    tied: bool = False  # the output matrix is the embedding
    cross: bool = False  # a second attention, to an encoder's output

    @property
    def q_width(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        return self.kv_heads * self.head_dim

    @property
    def block_weights(self) -> float:
        attention = self.hidden * (2 * self.q_width + 2 * self.kv_width)
        cross = self.hidden * (2 * self.q_width + 2 * self.kv_width) if self.cross else 0
        return attention + cross + (3 if self.gated else 2) * self.hidden * self.ffn

    @property
    def stored_weights(self) -> float:
        """Elements of all matrices, embedding included."""
        tables = self.vocab * self.hidden * (1 if self.tied else 2)
        return self.layers * self.block_weights + tables

    @property
    def cache_per_token(self) -> float:
        """Key and value elements that one token adds."""
        return 2 * self.layers * self.kv_width

    @property
    def exchanged_per_token(self) -> float:
        """Elements that a group reduces for a token: after attention and after feed-forward."""
        return 2 * self.layers * self.hidden


def block_layers(t: Transformer, tokens: float, seen: float, cross: float = 0) -> tuple[Layer, ...]:
    """Return the layers of a pass over `tokens` tokens that each attend to `seen` others.

    Every tensor between layers is written once and read once; attention scores stay on the chip.
    """
    q, kv, h, n = t.q_width, t.kv_width, t.hidden, t.layers
    wide = (3 if t.gated else 2) * t.ffn
    up = (2 if t.gated else 1) * t.ffn
    layers = [
        _matmul("qkv", tokens, h, q + 2 * kv, n),
        Layer("attention", 4 * tokens * seen * q, 0, tokens * (2 * q + 2 * kv), n, True),
        _matmul("output", tokens, q, h, n),
        _matmul("up", tokens, h, up, n),
        Layer("down", 2 * tokens * t.ffn * h, t.ffn * h, tokens * (wide + h), n),
    ]
    if t.cross:
        layers[3:3] = [
            _matmul("cross q", tokens, h, q, n),
            Layer("cross attention", 4 * tokens * cross * q, 0, 2 * tokens * q, n, True),
            _matmul("cross output", tokens, q, h, n),
        ]
    return tuple(layers)


def _matmul(name: str, m: float, k: float, n: float, repeats: int) -> Layer:
    return Layer(name, 2 * m * k * n, k * n, m * (k + n), repeats)


def workload_ids() -> tuple[str, ...]:
    """Return the names that `load_workload` knows, in alphabetical order."""
    folder = resources.files("jiriki.predict") / "workloads"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


@cache
def load_workload(id: str, context: int | None = None) -> Workload:
    """Read a workload; `context` sets a decoder's tokens in the cache half-way through its answer.

    Raises FactError for an unknown id, a broken file or a context that does not apply.
    """
    known = workload_ids()
    if id not in known:
        near = get_close_matches(id.lower(), known, n=2, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"choose {', '.join(known)}"
        raise FactError(f"workload {id!r} is not known; {hint}")
    file = resources.files("jiriki.predict") / "workloads" / f"{id}.toml"
    return _workload(id, load_table(file, f"workload {id}"), context)


def parse_workload(id: str, content: str | bytes, context: int | None = None) -> Workload:
    """Read the TOML of one workload. Raises FactError that names the key."""
    return _workload(id, parse_table(content, f"workload {id}"), context)


def _workload(id: str, table: Table, context: int | None) -> Workload:
    work = Work(table.choice("work", tuple(kind.value for kind in Work)))
    if context is not None and work is not Work.DECODER:
        raise FactError(
            f"{table.where}: context = {context} applies to decoders only; leave it out"
        )
    workload = Workload(
        id=id,
        name=table.text("name"),
        unit=table.text("unit"),
        work=work,
        formats=table.texts("formats"),
        activation_bytes=table.number("activation_bytes"),
        target_s=table.number("server_target_s", positive=True)
        if table.has("server_target_s")
        else None,
        source=table.text("source"),
        unverified=table.texts_or_none("unverified"),
        **_BUILD[work](table, context),
    )
    table.close()
    return workload


def _network(table: Table, _: int | None) -> dict[str, Any]:
    rows = table.rows("layers", 3)
    layers = tuple(Layer(name, ops, weights, moved) for name, (ops, weights, moved) in rows)
    phase = Phase("network", layers)
    return _whole(phase, stored_weights=phase.weights)


def _encoder(table: Table, _: int | None) -> dict[str, Any]:
    stack = _transformer(table.inner("architecture"))
    tokens = table.whole("tokens", 1)
    phase = Phase("encoder", block_layers(stack, tokens, tokens))
    exchanged = stack.exchanged_per_token * tokens
    return _whole(phase, stored_weights=stack.stored_weights, exchanged=exchanged)


def _transformer(table: Table, *, cross: bool = False) -> Transformer:
    counts = {
        field.name: table.whole(field.name, 0 if field.name == "vocab" else 1)
        for field in fields(Transformer)
        if field.type is int
    }
    stack = Transformer(
        **counts, gated=table.flag("gated", False), tied=table.flag("tied", False), cross=cross
    )
    table.close()
    return stack


def _diffusion(table: Table, _: int | None) -> dict[str, Any]:
    layer = Layer("image", table.number("ops", positive=True), 0, table.number("traffic_elements"))
    return _whole(Phase("denoise", (layer,)), stored_weights=table.number("weights"))


def _whole(phase: Phase, *, stored_weights: float, exchanged: float = 0) -> dict[str, Any]:
    return {
        "phases": (phase,), "units": 1.0, "stored_weights": stored_weights, "cache_kept": 0.0,
        "exchanged": exchanged,
    }  # fmt: skip


def _decoder(table: Table, context: int | None) -> dict[str, Any]:
    stack = _transformer(table.inner("architecture"))
    output = table.whole("output_tokens", 1)
    published = table.whole("prompt_tokens", 1)
    prompt = published if context is None else context - output / 2
    if prompt < 1:
        raise FactError(
            f"{table.where}: context = {context} leaves no prompt before {output} answer tokens / "
            "2; take a longer one"
        )
    seen = prompt + output / 2
    head = _matmul("vocabulary", 1, stack.hidden, stack.vocab, 1)
    return {
        "phases": (
            Phase("prefill", (*block_layers(stack, prompt, prompt / 2), head)),
            Phase(
                "decode", (*block_layers(stack, 1, seen), head), output,
                cache_read=stack.cache_per_token * seen,
            ),
        ),
        "units": float(output),
        "stored_weights": stack.stored_weights,
        "cache_kept": stack.cache_per_token * seen,
        "exchanged": stack.exchanged_per_token * (prompt + output),
    }  # fmt: skip


def _speech(table: Table, _: int | None) -> dict[str, Any]:
    encoder = _transformer(table.inner("encoder"))
    decoder = _transformer(table.inner("decoder"), cross=True)
    frames, output = table.whole("frames", 1), table.whole("output_tokens", 1)
    crossed = 2 * decoder.layers * decoder.kv_width * frames
    step = (
        *block_layers(decoder, 1, output / 2, frames),
        _matmul("vocabulary", 1, decoder.hidden, decoder.vocab, 1),
    )
    cached = decoder.cache_per_token * output / 2 + crossed
    return {
        "phases": (
            Phase("encoder", block_layers(encoder, frames, frames)),
            Phase("decode", step, output, cache_read=cached),
        ),
        "units": float(output),
        "stored_weights": encoder.stored_weights + decoder.stored_weights,
        "cache_kept": decoder.cache_per_token * output + crossed,
        "exchanged": 0.0,
    }


_BUILD = {
    Work.CONVOLUTION: _network,
    Work.ENCODER: _encoder,
    Work.DECODER: _decoder,
    Work.SPEECH: _speech,
    Work.DIFFUSION: _diffusion,
}
