"""The checker accepts the example and refuses every planted bug, naming it."""

from dataclasses import replace

import pytest

from jiriki.chip.catalogue import load_chip
from jiriki.isa.fields import Sync
from jiriki.program import Parameter, Segment
from jiriki.program.check import check
from jiriki.program.errors import CheckError
from tests.small_program import two_entries, with_entry

NANO = load_chip("nano")


def refuse(program, message, parameters=None):
    with pytest.raises(CheckError, match=message) as caught:
        check(program, NANO, parameters)
    assert "\n" not in str(caught.value)


def edited(code: str, old: str, new: str) -> str:
    assert code.count(old) == 1, old
    return code.replace(old, new)


def test_the_example_passes(program):
    summary = check(program, NANO)

    assert summary.steps == 15
    assert summary.accesses == 10


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # races: a wait and its signal left out, so that the tokens still balance
        ("run=192 signal=0:1", "run=192", "race on SP .*CONV.*reads it while .*LD.LD"),
        ("acc_stride=4 wait=0:1 signal=1:1", "acc_stride=4 wait=0:1", "race on ACC .*VRUN"),
        ("uses=25 wait=1:1 signal=2:1", "uses=25 wait=1:1", "race on SP .*ST.ST.*reads it"),
    ],
)
def test_a_missing_order_is_a_race(make_program, code, old, new, message):
    semaphore = old[-3]
    code = edited(code, old, new)
    code = code.replace(f" wait={semaphore}:1", "")
    refuse(make_program(code), message)


def test_overwriting_a_buffer_still_being_read_is_a_race(make_program, code):
    late = "LD.LD sp=0 dram=0 run=64\nHALT.CTL"
    refuse(
        make_program(edited(code, "HALT.CTL", late)), "race on SP 0..63: .*writes it while .*CONV"
    )


def test_the_same_overwrite_after_a_semaphore_passes(make_program, code):
    code = edited(code, "signal=1:1", "signal=1:2")
    code = edited(code, "uses=25 wait=1:1", "uses=25 wait=1:2")
    code = edited(code, "HALT.CTL", "SIG.MX signal=5:1\nLD.LD sp=0 run=64 wait=5:1\nHALT.CTL")
    check(make_program(code), NANO)


def test_a_fence_orders_everything(make_program, code):
    code = edited(code, "HALT.CTL", "FENCE.CTL\nLD.LD sp=0 run=64\nHALT.CTL")
    check(make_program(code), NANO)


def test_vx_reading_what_vx_wrote_needs_a_semaphore(make_program, code):
    again = (
        "WINA.VX idx=0 plane=8 pitch=8 h=1 w=8 ow=8\nWINB.VX idx=0 sx=1 kh=1 kw=1\n"
        "STRM.VX idx=0 dtype=I8\nVRUN.VX in0=48 out=80 p=8 groups=2 uses=25{}\nHALT.CTL"
    )
    refuse(make_program(edited(code, "HALT.CTL", again.format(""))), "race on SP .*VRUN.*VRUN")
    ordered = again.format(" wait=6:1")
    code = edited(
        code, "uses=25 wait=1:1 signal=2:1", "uses=25 wait=1:1 signal=2:1\nSIG.VX signal=6:1"
    )
    check(make_program(edited(code, "HALT.CTL", ordered)), NANO)


def test_interleaved_planes_are_no_race(make_program, code):
    # the LD fills every second block of 8 bytes between those that the ST reads
    weave = (
        "DIM.ST dim=0 count=4 dram_stride=8 sp_stride=16\nST.ST sp=1024 dram=192 run=8 ndims=1\n"
        "DIM.LD dim=0 count=4 dram_stride=8 sp_stride=16\n"
        "LD.LD sp={} dram=0 run=8 ndims=1\nHALT.CTL"
    )
    check(make_program(edited(code, "HALT.CTL", weave.format(1032))), NANO)
    refuse(make_program(edited(code, "HALT.CTL", weave.format(1031))), "race on SP")


def test_waiting_for_a_token_nobody_gives_is_a_deadlock(make_program, code):
    code = edited(code, "run=64 wait=2:1", "run=64 wait=2:2")
    refuse(
        make_program(code),
        r"deadlock: .*ST at instruction 13 .*waits for 2 on semaphore 2 \(holds 1\)",
    )


def test_a_circle_of_waits_is_a_deadlock_that_names_every_queue(make_program, code):
    code = edited(code, "run=192 signal=0:1", "run=192 wait=3:1 signal=0:1")
    code = edited(code, "uses=25 wait=1:1", "uses=25 wait=1:1")
    refuse(
        make_program(code), "deadlock: LD at .*; ST at .*; MX at .*; VX at .*sequencer at .*HALT"
    )


def test_a_full_queue_can_deadlock_the_sequencer(make_program, code):
    filler = "".join(f"NOP.CTL\nLD.LD sp=1024 run=64 wait=7:1 ; {i}\n" for i in range(33))
    code = edited(code, "LD.LD sp=0 dram=0", filler + "LD.LD sp=0 dram=0")
    code = edited(code, "HALT.CTL", "SIG.VX signal=7:33\nHALT.CTL".replace(":33", ":3") + "")
    code = code.replace("SIG.VX signal=7:3\n", "SIG.VX signal=7:3\n" * 11)
    refuse(make_program(code), "deadlock")


def test_tokens_left_over_are_a_leak(make_program, code):
    refuse(
        make_program(edited(code, "run=192 signal=0:1", "run=192 signal=0:2")),
        "semaphore 0 ends with 1 tokens: 2 given, 1 taken",
    )


def test_tokens_that_may_pass_the_maximum_are_refused(make_program, code):
    many = "SIG.LD signal=9:3\n" * 86 + "WAIT.ST wait=9:43\n" * 6
    refuse(make_program(edited(code, "HALT.CTL", many + "HALT.CTL")), "semaphore 9 may hold 258")


def test_a_giver_held_back_by_its_taker_never_passes_the_maximum(make_program, code):
    turn = "SIG.LD signal=9:3\nWAIT.ST wait=9:3\nSIG.ST signal=10:1\nWAIT.LD wait=10:1\n"
    check(make_program(edited(code, "HALT.CTL", turn * 100 + "HALT.CTL")), NANO)


@pytest.mark.parametrize(
    "extra",
    ["SIG.VX signal=0:1\nWAIT.MX wait=0:1\n", "SIG.LD signal=0:1\nWAIT.VX wait=0:1\n"],
)
def test_a_semaphore_with_two_owners_is_refused(make_program, code, extra):
    refuse(make_program(edited(code, "HALT.CTL", extra + "HALT.CTL")), "semaphore 0 is .* and ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sp=0 dram=0 run=192", "sp=65500 dram=0 run=192", "SP 65500..65691 lies outside 0..65535"),
        ("sp=0 dram=0 run=192", "sp=0 dram=65 run=192", "DRAM 65..256 lies outside 0..255"),
        ("b=16 n_tiles=2", "b=16380 n_tiles=2", "SP 65520..65583 lies outside"),
        ("n_tiles=2 acc_stride=4", "n_tiles=2 acc=126 acc_stride=8", "ACC 504..515 lies outside"),
        ("acc_stride=4 wait", "acc_stride=3 wait", "acc_stride 3 is less than the 4 rows"),
        ("out=48 p=8", "out=16380 p=8", "SP .* lies outside"),
        ("LD.LD sp=0", "PARM.CTL reg=1 index=0\nLD.LD sp=0", "host parameter 0, and it names 0"),
        ("HALT.CTL", "NOP.CTL", "runs past its end"),
        ("HALT.CTL", "LOOP.CTL count=2 body=5\nHALT.CTL", "LOOP body of 5"),
        ("STRM.VX idx=3 dtype=I8\n", "", "stream 3 is used but its type was never set"),
        ("zero_point=3 lo=-128 hi=127", "lo=5 hi=4", "lo = 5 exceeds hi = 4"),
        ("op1=I2F", "op1=SEL", "SEL reads t before SAVE"),
    ],
)
def test_what_does_not_exist_is_refused(make_program, code, old, new, message):
    refuse(make_program(edited(code, old, new)), message)


def test_output_over_an_input_walked_differently_is_refused(make_program, code):
    again = (
        "FENCE.CTL\nWINA.VX idx=0 plane=8 pitch=8 h=1 w=8 ow=8\nWINB.VX idx=0 sx=1 kh=1 kw=1\n"
        "STRM.VX idx=0 dtype=I8\nVRUN.VX in0=48 out={} p=8 groups=2 uses=25\nHALT.CTL"
    )
    check(make_program(edited(code, "HALT.CTL", again.format(48))), NANO)
    refuse(make_program(edited(code, "HALT.CTL", again.format(49))), "output overlaps an input")


def test_headers_beyond_the_chip_are_refused(program):
    small = replace(NANO, semaphores=2, address_registers=4)
    program = replace(program, chip_hash=small.content_hash())
    with pytest.raises(CheckError, match="semaphore 2 of 2"):
        check(program, small)
    program.instructions[0].areg = 7
    with pytest.raises(CheckError, match="address register 7 of 4"):
        check(program, small)


def test_a_value_beyond_its_bits_is_refused(program):
    program.instructions[10].values["sp"] = 1 << 24
    refuse(program, "sp is outside 0..16777215")


def test_a_wait_without_tokens_is_refused(program):
    program.instructions[10].wait = Sync(3, 0)
    refuse(program, "count 0 does not exist")


def test_another_chip_s_program_is_refused(program):
    with pytest.raises(CheckError, match="was emitted for nano"):
        check(program, load_chip("e256"))


def test_data_outside_or_over_other_data_is_refused(program):
    refuse(replace(program, dram_bytes=250), "output y at DRAM bytes 192..255 lies outside")
    clash = (*program.segments, Segment(191, b"ab"))
    refuse(replace(program, segments=clash), "share DRAM byte 191")
    refuse(replace(program, dram_bytes=1 << 33), "exceeds the DRAM of nano")


def test_loops_are_checked_as_they_run(make_program, code):
    loop = (
        "SETR.CTL reg=2 value=0\nLOOP.CTL count={} body=2\nLD.LD sp=1024 dram=0 run=64 areg=2\n"
        "ADDR.CTL reg=2 step=64\nHALT.CTL"
    )
    check(make_program(edited(code, "HALT.CTL", loop.format(3))), NANO)
    refuse(make_program(edited(code, "HALT.CTL", loop.format(5))), "DRAM 256..319 lies outside")


def test_a_loop_bound_from_a_parameter_is_checked_with_its_value(make_program, code):
    loop = "PARM.CTL reg=2 index=0\nLOOP.CTL from_reg=1 reg=2 body=1\nNOP.CTL\nHALT.CTL"
    program = with_entry(
        make_program(edited(code, "HALT.CTL", loop)), parameters=(Parameter("count"),)
    )
    assert check(program, NANO, {"count": 7}).steps == check(program, NANO, {"count": 0}).steps + 7


@pytest.mark.parametrize(("at", "clash"), [(40, False), (120, True), (127, True), (191, True)])
def test_a_store_over_constants_is_refused(program, at, clash):
    """Every session of a program shares them; the example's lie at 64..127 and 128..191."""
    program.instructions[13].values["dram"] = at
    program.instructions[13].values["run"] = 8
    if clash:
        refuse(program, r"writes over the constants at DRAM \d+\.\.\d+; write elsewhere")
    else:
        check(program, NANO)


def test_an_entry_is_checked_by_its_name(program):
    whole = two_entries(program)
    assert check(whole, NANO, {"position": 0}, entry="token").steps == 6
    whole.instructions[-2].values["dram"] = 999
    check(whole, NANO)
    with pytest.raises(CheckError, match=r"instruction 19 .*DRAM 999\.\.1006 lies outside"):
        check(whole, NANO, {"position": 0}, entry="token")
    with pytest.raises(CheckError, match="has no entry tokens"):
        check(whole, NANO, entry="tokens")
