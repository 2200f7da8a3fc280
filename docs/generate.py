"""Writes the generated pages of docs/: API, chips, command line, errors, instructions, the index.

In: the face, the catalogue, the typer app, the source of the package. Out: the pages; `--check`
only compares them and exits 1 when one is stale; `--demo` runs the demo and puts its output in the
README. Run by `make docs`; tests/house holds the pages fresh.
"""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jiriki"
DOCS = ROOT / "docs"
MARKS = ("<!-- what `jiriki demo` printed; `make docs-demo` -->\n", "<!-- end -->\n")
LISTED = "<!-- from here made by docs/generate.py; run `make docs` -->\n"
MADE = "<!-- made by docs/generate.py; run `make docs` -->\n"


def chips_page() -> str:
    """Return the page of the chip catalogue: a table of sizes, one column a chip."""
    from dataclasses import fields

    from jiriki.chip import ChipConfig, chip_names, load_chip
    from jiriki.report.tables import Sheet, markdown

    chips = [load_chip(name) for name in chip_names()]
    summaries = "".join(f"- **{chip.name}**: {chip.summary}\n" for chip in chips)
    sizes = [f.name for f in fields(ChipConfig) if f.name not in ("name", "summary")]
    rows = [
        ("macs_per_cycle", *(f"{chip.macs_per_cycle}" for chip in chips)),
        *((size, *(_plain(getattr(chip, size)) for chip in chips)) for size in sizes),
    ]
    table = markdown(Sheet("", ("field", *(f">{c.name}" for c in chips)), tuple(rows)))
    return (
        f"{MADE}# Chips\n\nEvery chip is one TOML in `jiriki/chip/catalogue/`; units are in the "
        f"key names, and `jiriki/chip/config.py` says what each size is. `--chip` also takes the "
        f"path of a TOML of your own.\n\n{summaries}\n{table}"
    )


def products_page() -> str:
    """Return the page of products: figures and export class of each, and the export rules."""
    from jiriki.cli.products import number
    from jiriki.export_control import export_check, known_text, load_rulebook
    from jiriki.products.product import load_products
    from jiriki.report.tables import Sheet, markdown

    book = load_rulebook()
    day = max(rule.first for rule in book.rules if rule.topic == "class")
    products = load_products()
    heads = (
        "chip", "made in", "process", ">int8", ">fp16", ">memory", ">TB/s", ">W", ">mm2",
        f"class since {day}",
    )  # fmt: skip
    rows = tuple(
        (
            p.id, p.made_in, p.process, number(p.peak.get("int8")), number(p.peak.get("fp16")),
            f"{number(p.dram)} {p.dram_kind}".strip(), number(p.dram_bandwidth), number(p.tdp),
            number(p.die_area), export_check(p, day).cls,
        )
        for p in products
    )  # fmt: skip
    rules = tuple(
        (
            rule.id, rule.topic, f"{rule.published}", f"{rule.first}", f"{rule.last or ''}",
            rule.title, rule.source,
        )
        for rule in book.rules
    )  # fmt: skip
    rule_heads = ("rule", "topic", "published", "from", "until", "what it is", "source")
    reasons = "".join(f"- **{p.id}** ({p.name}): {p.why}\n" for p in products)
    return (
        f"{MADE}# Products and export rules\n\nChips as bought or built, one TOML each in "
        "`jiriki/products/catalogue/`. Peaks are dense, in TOPS or TFLOPS; memory in GB. `?` is "
        "unverified, `a-b` says that sources differ, an empty cell that nothing is published. "
        "`jiriki products NAME` prints every figure with source and date, `jiriki export-check "
        "NAME --on DATE` the class with its reason. **Not legal advice.**\n\n"
        f"{markdown(Sheet('', heads, rows))}\n{reasons}\n## Export rules as data\n\n"
        "`jiriki/export_control/rules.toml`; the rules of a day are those whose days hold it; "
        f"what was published later than a day nobody could know then. {known_text()}.\n\n"
        f"{markdown(Sheet('', rule_heads, rules))}"
    )


def _plain(value: float) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def cli_page() -> str:
    """Return the page of the command line: every command with its arguments and options."""
    import typer

    from jiriki.cli.app import app

    group = typer.main.get_command(app)
    parts = [
        f"{MADE}# Command line\n",
        "Results go to standard output, progress and errors to standard error. With `--json` a "
        "command prints exactly one JSON object. Its field `jiriki` is the version, `schema` names "
        "the command and the form of its fields, such as `run/1`: the number rises when a field "
        'goes or changes its meaning. An error is `{"error": {"kind", "message"}}` of schema '
        "`error/1`.\n",
        "| exit code | meaning |\n|--:|---|\n| 0 | done |\n| 1 | the user can mend it; one line "
        "says how |\n| 2 | wrong usage |\n| 3 | a fault of Jiriki; `jiriki --debug ...` shows the "
        "traceback |\n",
        "`jiriki --install-completion` teaches the shell the commands, options and names of chips, "
        "models, engines and products; `--show-completion` prints what it would install.\n",
    ]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        parts.append(f"## jiriki {name}\n\n{command.help}\n\n{_parameters(command)}")
    return "\n".join(parts)


def _parameters(command: object) -> str:
    from jiriki.report.tables import Sheet, markdown

    rows = []
    for parameter in command.params:  # type: ignore[attr-defined]
        option = parameter.param_type_name == "option"
        if option and "--help" in parameter.opts:
            continue
        name = ", ".join(f"`{o}`" for o in parameter.opts) if option else _argument(parameter)
        default = parameter.default
        hidden = default is None or default is False or callable(default)
        shown = "" if hidden else f"`{default}`"
        rows.append((name, parameter.help or "", shown))
    return markdown(Sheet("", ("argument or option", "meaning", "default"), tuple(rows)))


def _argument(parameter: object) -> str:
    return f"`{(parameter.metavar or parameter.name).upper()}`"  # type: ignore[attr-defined]


def errors_page() -> str:
    """Return the page of errors: every class below JirikiError, as a tree."""
    classes = error_classes()
    lines = [
        f"{MADE}# Errors\n",
        "Whatever Jiriki refuses, it refuses with a `JirikiError`. Its message says which object, "
        "which rule, which value and what to do; the command line prints it as one line and exits "
        "with 1.\n",
        *_tree("JirikiError", classes, 0),
    ]
    return "\n".join(lines) + "\n"


def _tree(name: str, classes: dict[str, tuple[list[str], str, str]], depth: int) -> Iterator[str]:
    _, module, doc = classes[name]
    yield f"{'  ' * depth}- **{name}** (`{module}`): {doc}"
    for child, (bases, _, _) in sorted(classes.items()):
        if name in bases:
            yield from _tree(child, classes, depth + 1)


def error_classes() -> dict[str, tuple[list[str], str, str]]:
    """Return bases, module and first line of every class that descends from JirikiError."""
    classes: dict[str, tuple[list[str], str, str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                doc = (ast.get_docstring(node) or "").split("\n")[0]
                classes[node.name] = (bases, module, doc)
    known = {"JirikiError"}
    while more := {n for n, (b, _, _) in classes.items() if known.intersection(b)} - known:
        known |= more
    return {name: classes[name] for name in known}


def index_page() -> str:
    """Return the index: what it says itself, then every page by its title."""
    head = (DOCS / "index.md").read_text("utf-8").split(LISTED)[0]
    parts = []
    for title, folder in (("Reference", "reference"), ("Decisions", "decisions")):
        pages = sorted((DOCS / folder).glob("*.md"))
        lines = (f"- [{_title(page)}]({folder}/{page.name})\n" for page in pages)
        parts.append(f"\n## {title}\n\n{''.join(lines)}")
    return f"{head}{LISTED}{''.join(parts)}"


def _title(page: Path) -> str:
    lines = page.read_text("utf-8").splitlines()
    return next((line[2:] for line in lines if line.startswith("# ")), page.stem)


def demo_block() -> str:
    """Run `jiriki demo` and return what it prints, as a block for the README."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:  # the pages are written there
        command = [sys.executable, "-m", "jiriki.cli", "demo"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    return "\n".join(["```", *lines, "```"]) + "\n"


def readme_with(block: str) -> str:
    """Return the README with this block between its marks."""
    before, rest = (ROOT / "README.md").read_text("utf-8").split(MARKS[0])
    return f"{before}{MARKS[0]}{block}{MARKS[1]}{rest.split(MARKS[1])[1]}"


def api_page() -> str:
    """Return the page of `import jiriki`: every name of the face, then what it returns."""
    import jiriki
    from jiriki.agreement import Verification
    from jiriki.chip import ChipConfig
    from jiriki.models import Model
    from jiriki.report import Profile

    face = {name: getattr(jiriki, name) for name in jiriki.__all__}
    functions = {n: v for n, v in face.items() if not isinstance(v, type)}
    classes = {n: v for n, v in face.items() if isinstance(v, type)}
    returned = {c.__name__: c for c in (Model, Profile, Verification, ChipConfig)}
    parts = [
        f"{MADE}# API\n\nEverything is reached by `import jiriki`. Types are exported (`py.typed`);"
        " sizes are in elements, times in cycles or seconds, energies in joules, as names and "
        "comments say. In a notebook a Run and a Profile show as tables. The examples are run by "
        "the tests.\n",
        *(_function(name, value) for name, value in functions.items()),
        *(_class(f"jiriki.{name}", value) for name, value in classes.items()),
        "## What the functions return besides\n",
        *(_class(f"{value.__module__}.{name}", value, "###") for name, value in returned.items()),
    ]
    return "\n".join(parts)


def _function(name: str, value: Callable[..., object]) -> str:
    """Return the section of a function: its head as written, its docstring."""
    (node,) = ast.parse(inspect.getsource(value)).body
    assert isinstance(node, ast.FunctionDef)
    lines = _arguments(node.args)
    result = ast.unparse(node.returns) if node.returns else "None"
    head = "\n".join((f"{name}(", *(f"    {line}," for line in lines), f") -> {result}"))
    return f"## jiriki.{name}\n\n```python\n{head}\n```\n\n{_prose(value)}\n"


def _arguments(arguments: ast.arguments) -> list[str]:
    """Return the arguments one a line, `*` before those passed by name."""
    plain, named = arguments.args, arguments.kwonlyargs
    first = [None] * (len(plain) - len(arguments.defaults))
    pairs = [*zip(plain, [*first, *arguments.defaults], strict=True)]
    lines = [_argument_text(a, d) for a, d in pairs]
    marks = ["*"] if named else []
    by_name = zip(named, arguments.kw_defaults, strict=True)
    return [*lines, *marks, *(_argument_text(a, d) for a, d in by_name)]


def _argument_text(argument: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(argument)
    return text if default is None else f"{text} = {ast.unparse(default)}"


def _class(title: str, value: type, mark: str = "##") -> str:
    """Return the section of a class: its docstring, its public fields, properties and methods."""
    rows = [*_fields(value), *_members(value)]
    from jiriki.report.tables import Sheet, markdown

    table = markdown(Sheet("", ("name", "type", "meaning"), tuple(rows))) if rows else ""
    return f"{mark} {title}\n\n{_prose(value)}\n\n{table}"


def _fields(value: type) -> Iterator[tuple[str, str, str]]:
    """Yield name, type and the comment behind it of every public field."""
    source = textwrap.dedent(inspect.getsource(value))
    lines = source.splitlines()
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.ClassDef)
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and (name := ast.unparse(item.target))[0] != "_":
            comment = lines[item.lineno - 1].partition("  # ")[2]
            yield f"`{name}`", f"`{ast.unparse(item.annotation)}`", comment


def _members(value: type) -> Iterator[tuple[str, str, str]]:
    """Yield every public property and method with the first line of its docstring."""
    for name, member in vars(value).items():
        if name.startswith("_") or name in getattr(value, "__dataclass_fields__", {}):
            continue
        function = member.fget if isinstance(member, property) else member
        if not inspect.isfunction(function):
            continue
        call = "" if isinstance(member, property) else "()"
        result = inspect.getsource(function).partition("->")[2].partition(":\n")[0].strip()
        first = (inspect.getdoc(member) or "").partition("\n")[0]
        yield f"`{name}{call}`", f"`{result}`", first


def _prose(value: object) -> str:
    """Return a docstring as Markdown: its examples in fences."""
    text = inspect.getdoc(value) or ""
    fenced, inside = [], False
    for line in text.splitlines():
        if line.startswith(">>>") and not inside:
            fenced, inside = [*fenced, "```pycon"], True
        elif inside and not line:
            fenced, inside = [*fenced, "```"], False
        fenced.append(line)
    return "\n".join([*fenced, "```"] if inside else fenced)


def isa_page() -> str:
    """Return the manual of the instruction set, made from its classes."""
    from jiriki.isa.manual import manual

    return MADE + manual()


PAGES = {
    "reference/api.md": api_page,
    "reference/chips.md": chips_page,
    "reference/cli.md": cli_page,
    "reference/errors.md": errors_page,
    "reference/isa.md": isa_page,
    "reference/products.md": products_page,
    "index.md": index_page,
}


def main() -> int:
    """Write the pages, or compare them with --check; with --demo write the README's block."""
    if "--demo" in sys.argv:
        (ROOT / "README.md").write_text(readme_with(demo_block()), "utf-8")
        return 0
    stale = []
    for name, make in PAGES.items():
        path, text = DOCS / name, make()
        if "--check" not in sys.argv:
            path.write_text(text, "utf-8")
        elif not path.is_file() or path.read_text("utf-8") != text:
            stale.append(name)
    if stale:
        print(f"stale: {', '.join(stale)}; run `make docs`", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
