"""Layouts between decoder, walker and issue: an instruction ready to walk, and a step of it.

In: a chip's `Shape`. Out: layouts. All of an instruction that its steps have in common is `job`.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import signed
from amaranth.lib import data

from jiriki.isa.windows import Wina, Winb
from jiriki.rtl.vector.records import (
    COUNT_BITS,
    GROUP_BITS,
    PARAMETER_WORDS,
    PIXEL_BITS,
    Shape,
    format_layout,
)

STREAMS = 4  # 0, 1, 2 in, 3 out
MORE_BITS = 6  # cycles of a beat after its first: 3 * (1 + halvings) - 1


def window_layout() -> data.StructLayout:
    """Return a window register: the fields of WINA and WINB."""
    fields = {**Wina.LAYOUT, **Winb.LAYOUT}
    fields.pop("idx")
    return data.StructLayout(
        {name: signed(f.bits) if f.signed else f.bits for name, f in fields.items()}
    )


def products_layout(shape: Shape) -> data.StructLayout:
    """Return what is multiplied once a window: in element groups, modulo the word address."""
    word = shape.word
    return data.StructLayout({
        "row": word,  # sy * pitch
        "corner": word,  # py * pitch + px
        "tap_row": word,  # dy * pitch
        "line": 20,  # ow * sx
    })  # fmt: skip


def place_layout(shape: Shape) -> data.StructLayout:
    """Return where a stream walks."""
    return data.StructLayout(
        {
            "used": 1,
            "rows": 1,  # it reads accumulator rows
            "shift": 2,  # log2 of the words of an element group
            "base": shape.word,
            "window": window_layout(),
            "products": products_layout(shape),
        }
    )


def job_layout(shape: Shape) -> data.StructLayout:
    """Return what all steps of an instruction share."""
    return data.StructLayout(
        {
            "line": 1,  # LDT
            "context": shape.context,
            "before": COUNT_BITS,
            "rounds": COUNT_BITS + 1,
            "after": COUNT_BITS,
            "more": MORE_BITS,  # cycles of a beat after its first
            "more_last": MORE_BITS,  # of one that completes a result
            "writes": 1,
            "out_shift": 2,
            "formats": data.ArrayLayout(format_layout(), STREAMS - 1),
        }
    )


def work_layout(shape: Shape) -> data.StructLayout:
    """Return an instruction as the walker takes it; with none of the rest unless `is_work`."""
    return data.StructLayout(
        {
            "is_work": 1,
            "p": PIXEL_BITS,
            "groups": GROUP_BITS,
            "kh": Winb.LAYOUT["kh"].bits,
            "kw": Winb.LAYOUT["kw"].bits,
            "over_window": 1,
            "over_pixels": 1,
            "over_channels": 1,
            "parameters": 1,
            "parameter_base": shape.word,
            "places": data.ArrayLayout(place_layout(shape), STREAMS),
            "job": job_layout(shape),
        }
    )


def first_lanes(shape: Shape) -> int:
    """Return the words that stream 0's port may be asked for in a step."""
    return max(PARAMETER_WORDS, shape.slots)


def step_layout(shape: Shape) -> data.StructLayout:
    """Return a step: a beat, line, read of parameters, or one-cycle instruction."""
    word, slots, pixels = shape.word, shape.slots, shape.pixels
    most = first_lanes(shape)
    return data.StructLayout(
        {
            "is_work": 1,
            "first": 1,  # of its instruction
            "last": 1,
            "parameters": 1,
            "job": job_layout(shape),
            "reach": 4 + COUNT_BITS + 4,  # before * P
            "leave": 4 + COUNT_BITS + 4,  # rounds * P
            "wants0": most,
            "wants1": slots,
            "wants2": slots,
            "words0": data.ArrayLayout(word, most),
            "words1": data.ArrayLayout(word, slots),
            "words2": data.ArrayLayout(word, slots),
            "inside": data.ArrayLayout(pixels, STREAMS - 1),
            "rows": 1,
            "row": shape.row,
            "place": GROUP_BITS,
            "pixels": pixels,
            "starts": 1,
            "completes": 1,
            "out_words": data.ArrayLayout(word, pixels),
            "out_wants": pixels,
        }
    )
