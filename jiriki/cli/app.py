"""The commands of `jiriki` and their arguments.

In: the command line. Out: one call a command into the module that does it. Those modules are
imported when their command runs, so that `--help` and `--version` stay quick. `--help` lists the
commands in groups.
"""

from pathlib import Path
from typing import Annotated

import typer

from jiriki.cli import completion
from jiriki.cli.help import LiteralCommand, LiteralGroup
from jiriki.cli.options import (
    Calibration,
    ChipName,
    Effort,
    EngineName,
    EntryName,
    Json,
    ModelName,
    PagesFolder,
    Parameters,
    ProcessName,
    Shapes,
    Values,
    arrays_of,
    folder_name,
    parse_parameters,
    parse_shapes,
    parse_values,
)
from jiriki.cli.overwrite import keep_inputs
from jiriki.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    cls=LiteralGroup,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="An open inference chip, from a trained model to its exact answer and its true cycles.",
    epilog="Exit codes: 0 done, 1 the user can mend it, 2 wrong usage, 3 a fault of Jiriki.",
)
MODELS = "Models on the chip"
GATES = "Gates and boards"
DECISIONS = "Products, costs and plans"
CATALOGUES = "What there is"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"jiriki {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    del version, debug  # --version has acted; the entry point reads --debug itself


@app.command(cls=LiteralCommand, rich_help_panel=MODELS)
def demo(
    chip: ChipName = None,
    photo: Annotated[int, typer.Option(min=0, max=19, help="Which labelled photo.")] = 0,
    out: PagesFolder = Path("reports"),
    json: Json = False,
) -> None:
    """Run a trained network on the chip: classify a photo, count every cycle."""
    from jiriki.cli.demo import demo

    demo(chip, photo, out, json)


@app.command(cls=LiteralCommand, rich_help_panel=MODELS)
def run(
    model: ModelName,
    chip: ChipName = None,
    engine: EngineName = "functional",
    photos: Annotated[bool, typer.Option("--photos", help="Run the labelled photos.")] = False,
    input: Annotated[
        Path | None,
        typer.Option(help="An .npz of arrays by input name, or a file that the model reads."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the outputs to this .npz.")] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Say what each layer loses against the float model.")
    ] = False,
    calibration: Calibration = None,
    shape: Shapes = None,
    fix: Values = None,
    effort: Effort = 1,
    process: ProcessName = "14nm",
    port: Annotated[
        str | None,
        typer.Option(help="Of engine board: its serial port, or simulation for one of gates."),
    ] = None,
    parameters: Parameters = None,
    entry: EntryName = None,
    session: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npz",
            help="Go on from the states of a program kept in this file, if it is there; keep them "
            "in it after the run.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Run a model and compare its outputs with ONNX Runtime's."""
    from jiriki.cli.run import Request, Start, run
    from jiriki.models import Reading

    keep_inputs((model, chip, calibration, input), (output, session))
    reading = Reading(calibration, parse_shapes(shape), parse_values(fix), arrays_of(input))
    request = Request(
        model, reading, chip, engine, effort, photos, input, output, process, port, layers,
        Start(entry, parse_parameters(parameters)), session,
    )  # fmt: skip
    run(request, json)


@app.command(cls=LiteralCommand, rich_help_panel=MODELS)
def compile(
    model: ModelName,
    output: Annotated[Path, typer.Option("--output", "-o", help="Program file to write.")],
    chip: ChipName = None,
    calibration: Calibration = None,
    shape: Shapes = None,
    fix: Values = None,
    effort: Effort = 1,
    json: Json = False,
) -> None:
    """Compile a model into a program file."""
    from jiriki.cli.programs import compile_model
    from jiriki.models import Reading

    keep_inputs((model, chip, calibration), (output,))
    compile_model(
        model,
        Reading(calibration, parse_shapes(shape), parse_values(fix)),
        chip,
        effort,
        output,
        json,
    )


@app.command(cls=LiteralCommand, rich_help_panel=GATES)
def verify(
    model: ModelName,
    chip: ChipName = None,
    input: Annotated[
        Path | None,
        typer.Option(help="An .npz of arrays by input name, or a file that the model reads."),
    ] = None,
    vcd: Annotated[Path | None, typer.Option(help="Write the waveform of a window here.")] = None,
    window: Annotated[
        str | None, typer.Option(help="FIRST:END in cycles, of --vcd (else the first 2000).")
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Compare the result of every layer, not the last's.")
    ] = False,
    calibration: Calibration = None,
    shape: Shapes = None,
    fix: Values = None,
    effort: Effort = 1,
    parameters: Parameters = None,
    entry: EntryName = None,
    json: Json = False,
) -> None:
    """Run a model on the simulators and on the gates; compare every element and every cycle."""
    from jiriki.cli.run import Start
    from jiriki.cli.verify import Request, verify
    from jiriki.models import Reading

    keep_inputs((model, chip, calibration, input), (vcd,))
    reading = Reading(calibration, parse_shapes(shape), parse_values(fix), arrays_of(input))
    start = Start(entry, parse_parameters(parameters))
    verify(Request(model, reading, chip, effort, input, vcd, window, layers, start), json)


@app.command(cls=LiteralCommand, rich_help_panel=GATES)
def rtl(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to make.")],
    chip: ChipName = None,
    lint: Annotated[bool, typer.Option(help="Have Verilator lint it first.")] = True,
    json: Json = False,
) -> None:
    """Write the gates of a chip: Verilog, a file list, a manifest, a test bench."""
    from jiriki.cli.rtl import rtl

    rtl(chip, output, lint, json)


@app.command(cls=LiteralCommand, rich_help_panel=GATES)
def synth(
    target: Annotated[
        str | None,
        typer.Option(help="ecp5, xc7, xcup, osu018; liberty if only --liberty is given."),
    ] = None,
    chip: ChipName = None,
    liberty: Annotated[
        list[Path] | None, typer.Option(help="A standard-cell library's .lib; may be repeated.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="One part, such as mx.element, or all of mx, of vx.")
    ] = None,
    fmax: Annotated[
        bool, typer.Option("--fmax", help="ecp5: place and route each part too (slow).")
    ] = False,
    limit: Annotated[float, typer.Option(help="Seconds that one part may take.")] = 1800.0,
    jobs: Annotated[int, typer.Option(min=1, help="Parts synthesised at once.")] = 2,
    whole: Annotated[
        bool, typer.Option("--whole", help="With --unit: lanes and elements inside, not apart.")
    ] = False,
    json: Json = False,
) -> None:
    """Synthesise the gates part by part: cells, area, clock. Logic only, pre-layout."""
    from jiriki.cli.synth import Request, synth

    synth(Request(chip, target, tuple(liberty or ()), unit, fmax, limit, jobs, whole), json)


@app.command(cls=LiteralCommand, rich_help_panel=GATES)
def board(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to make.")],
    chip: Annotated[
        str,
        typer.Option(
            help="Chip of the catalogue, or path of its .toml.", autocompletion=completion.chips
        ),
    ] = "ulx3s",
    limit: Annotated[float, typer.Option(help="Seconds that one tool may take.")] = 7200.0,
    json: Json = False,
) -> None:
    """Build the bitstream of a chip for a ULX3S 85F: synthesis, placement, routing (slow)."""
    from jiriki.cli.board import board

    board(chip, output, limit, json)


@app.command(cls=LiteralCommand, rich_help_panel=MODELS)
def profile(
    model: ModelName,
    chip: Annotated[
        list[str] | None,
        typer.Option(
            "--chip",
            help="Chip, e256 if not given; repeat it to compare chips.",
            autocompletion=completion.chips,
        ),
    ] = None,
    out: PagesFolder = Path("reports"),
    input: Annotated[
        Path | None,
        typer.Option(help="An .npz with the host's parameters, for a program that reads some."),
    ] = None,
    calibration: Calibration = None,
    shape: Shapes = None,
    fix: Values = None,
    effort: Effort = 1,
    process: ProcessName = "14nm",
    parameters: Parameters = None,
    entry: EntryName = None,
    json: Json = False,
) -> None:
    """Count a model's cycles and say where they go; write an HTML page and a timeline."""
    from jiriki.cli.profile import profile
    from jiriki.cli.run import Start
    from jiriki.models import Reading

    reading = Reading(calibration, parse_shapes(shape), parse_values(fix))
    start = Start(entry, parse_parameters(parameters))
    profile(model, reading, chip or [], effort, out, json, process, input, start)


@app.command(cls=LiteralCommand, rich_help_panel=MODELS)
def diff(
    before: Annotated[
        str,
        typer.Argument(
            metavar="BEFORE",
            help="File of `jiriki profile --json`, or a model or program to profile now.",
            autocompletion=completion.models,
        ),
    ],
    after: Annotated[
        str,
        typer.Argument(
            metavar="AFTER", help="The same, of what changed.", autocompletion=completion.models
        ),
    ],
    chip: Annotated[
        list[str] | None,
        typer.Option(
            "--chip",
            help="Chip of what is profiled now; twice: of BEFORE, of AFTER.",
            autocompletion=completion.chips,
        ),
    ] = None,
    effort: Effort = 1,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.html", help="Write a page with plots.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare two profiles: cycles, DRAM traffic and energy, the layer that changed most first."""
    from jiriki.cli.diff import diff

    keep_inputs((before, after, *(chip or [])), (out,))
    diff(before, after, chip or [], effort, out, json)


@app.command(cls=LiteralCommand, rich_help_panel=MODELS)
def sweep(
    model: ModelName,
    chip: ChipName = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary", metavar="FIELD=V,V,...", help="A size of the chip and its values; repeat it."
        ),
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option("--grid", metavar="FILE.toml", help="The same as a TOML: FIELD = [V, V]."),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", callback=folder_name, help="Folder of the page and the rows."),
    ] = Path("sweep"),
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="Chips measured at once; one a core if not given."),
    ] = None,
    workers: Annotated[
        str, typer.Option("--workers", help="What measures: processes, or ray, a Ray cluster.")
    ] = "processes",
    calibration: Calibration = None,
    shape: Shapes = None,
    fix: Values = None,
    effort: Effort = 1,
    process: ProcessName = "14nm",
    json: Json = False,
) -> None:
    """Measure a model on many chips: the Pareto front of latency, area and energy."""
    from jiriki.cli.sweep import Request, run
    from jiriki.models import Reading

    reading = Reading(calibration, parse_shapes(shape), parse_values(fix))
    keep_inputs((model, chip, calibration, grid), (out / "sweep.html",))
    run(Request(model, reading, chip, vary or [], grid, out, jobs, workers, effort, process), json)


@app.command(cls=LiteralCommand, rich_help_panel=MODELS)
def disasm(
    program: Annotated[Path, typer.Argument(metavar="FILE", help="A program file.")],
    json: Json = False,
) -> None:
    """Print the instructions of a program file."""
    from jiriki.cli.programs import disassemble

    disassemble(program, json)


@app.command(cls=LiteralCommand, rich_help_panel=CATALOGUES)
def chips(
    name: Annotated[
        str | None,
        typer.Argument(
            help="One chip, or path of a .toml: every size of it.",
            autocompletion=completion.chips,
        ),
    ] = None,
    toml: Annotated[
        bool, typer.Option("--toml", help="Print the chip's TOML, to make one of your own.")
    ] = False,
    json: Json = False,
) -> None:
    """List the chips of the catalogue, or every size of one."""
    from jiriki.cli.catalogue import chips

    chips(name, json, toml)


@app.command(cls=LiteralCommand, rich_help_panel=DECISIONS)
def products(
    name: Annotated[
        str | None,
        typer.Argument(
            help="One product, or path of its .toml: every figure.",
            autocompletion=completion.products,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List the chips as bought or built: published figures with their ranges and sources."""
    from jiriki.cli.products import products

    products(name, json)


@app.command(cls=LiteralCommand, rich_help_panel=DECISIONS)
def export_check(
    chip: Annotated[
        str,
        typer.Argument(
            help="A product's id, or path of its .toml.", autocompletion=completion.products
        ),
    ],
    on: Annotated[
        str | None, typer.Option("--on", metavar="DATE", help="Rules of that day; today if absent.")
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="COUNTRY", help="Destination, ISO code of two letters.")
    ] = "CN",
    json: Json = False,
) -> None:
    """Say under which export class a chip falls on a day, and by what margin. Not legal advice."""
    from jiriki.cli.export_check import check

    check(chip, on, to, json)


@app.command(cls=LiteralCommand, rich_help_panel=DECISIONS)
def compare(
    workload: Annotated[
        str,
        typer.Argument(
            metavar="WORKLOAD",
            help="Such as resnet50, bert-large, llama-2-70b.",
            autocompletion=completion.workloads,
        ),
    ],
    chips: Annotated[
        str | None,
        typer.Option("--chips", metavar="ID,ID,...", help="Products; all of them if absent."),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="DATE", help="Export rules of that day; today if absent."),
    ] = None,
    mode: Annotated[
        str, typer.Option("--mode", help="offline, server (a latency limit) or single (batch 1).")
    ] = "offline",
    batch: Annotated[int | None, typer.Option("--batch", help="Samples at once.")] = None,
    context: Annotated[
        int | None, typer.Option("--context", help="Tokens in the cache; language models only.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.html", help="Write a page with plots.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare chips on one workload: predicted and published throughput, energy, export class."""
    from jiriki.cli.compare import Request, run

    keep_inputs((chips or "").split(","), (out,))
    run(Request(workload, chips, on, mode, batch, context, out), json)


@app.command(cls=LiteralCommand, rich_help_panel=DECISIONS)
def plan(
    demand: Annotated[
        Path, typer.Argument(metavar="DEMAND.toml", help="Services, stock, supplies, events.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PAGE.html", help="Write a page with plots.")
    ] = None,
    json: Json = False,
) -> None:
    """Plan a fleet month by month: what to buy, what it costs and serves, on whom it depends."""
    from jiriki.cli.plan import plan

    keep_inputs((demand,), (out,))
    plan(demand, out, json)


@app.command(cls=LiteralCommand, rich_help_panel=DECISIONS)
def cost(
    name: Annotated[
        str,
        typer.Argument(
            metavar="CHIP",
            help="Tile, path of a tile's .toml, or product.",
            autocompletion=completion.tiles_and_products,
        ),
    ],
    process: Annotated[
        str | None,
        typer.Option(
            "--process",
            metavar="NODE",
            help="Node of a tile; 14nm if not given.",
            autocompletion=completion.processes,
        ),
    ] = None,
    scaling: Annotated[
        str, typer.Option("--scaling", help="Of a tile's energies: default or optimistic.")
    ] = "default",
    assumptions: Annotated[
        Path | None,
        typer.Option(
            "--assumptions", metavar="FILE.toml", help="What replaces the package's assumptions."
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration",
            metavar="FILE.toml",
            help="What replaces the package's factors, such as [units] as synthesised.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Estimate area, energy and price of a tile or of a product, low, base and high."""
    from jiriki.cli.cost import Request, cost

    cost(Request(name, process, scaling, assumptions, calibration), json)


@app.command(cls=LiteralCommand, rich_help_panel=CATALOGUES)
def models(
    name: Annotated[
        str | None,
        typer.Argument(help="One model, everything about it.", autocompletion=completion.models),
    ] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch its package now.")] = False,
    json: Json = False,
) -> None:
    """List the zoo's models; fetch their packages."""
    from jiriki.cli.catalogue import models

    models(name, fetch, json)


@app.command(cls=LiteralCommand, rich_help_panel=CATALOGUES)
def coverage(json: Json = False) -> None:
    """List the ONNX operators that are taken, and how."""
    from jiriki.cli.catalogue import coverage

    coverage(json)


@app.command(cls=LiteralCommand, rich_help_panel=CATALOGUES)
def examples(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write them into this folder.")
    ] = None,
    json: Json = False,
) -> None:
    """List the inputs that the tutorials use; write them into a folder."""
    from jiriki.cli.examples import examples

    examples(out, json)
