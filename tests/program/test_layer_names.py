"""Layers are shown by one name each, without what the quantiser added, never two alike."""

from __future__ import annotations

from jiriki.program import Entry, Note, Program
from jiriki.program.layer_names import layer_names, with_layer_names


def program_of(*notes: Note) -> Program:
    return Program(
        name="notes", chip="nano", chip_hash="", instructions=(), segments=(), dram_bytes=0,
        entries=(Entry(),), notes=notes,
    )  # fmt: skip


def names_of(*layers: str) -> list[str]:
    return list(layer_names(program_of(*(Note(layer, "add", 0) for layer in layers))).values())


def test_what_the_quantiser_added_goes() -> None:
    assert names_of("stem.relu6_QuantizeLinear_Output", "plain", "x_quantized") == [
        "stem.relu6", "plain", "x",
    ]  # fmt: skip


def test_it_goes_from_the_middle_too() -> None:
    assert names_of("pool_QuantizeLinear_Output/maxpool") == ["pool/maxpool"]


def test_a_name_that_another_layer_has_stays_whole() -> None:
    assert names_of("x", "x_QuantizeLinear_Output") == ["x", "x_QuantizeLinear_Output"]
    both = ["x_QuantizeLinear_Output", "x_quantized"]
    assert names_of(*both) == both


def test_notes_keep_their_order_and_work() -> None:
    notes = (Note("a_quantized", "conv", 5), Note("b", "add", 0), Note("a_quantized", "conv", 0))
    shown = with_layer_names(program_of(*notes)).notes
    assert shown == (Note("a", "conv", 5), Note("b", "add", 0), Note("a", "conv", 0))
