"""`jiriki chips`, `jiriki models` and `jiriki coverage`: what there is.

In: at most one name. Out: tables or JSON of the chip catalogue, the zoo, the operator registry.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from jiriki.chip import ChipConfig, chip_names, chip_toml, load_chip
from jiriki.cli.errors import CliError
from jiriki.cli.screen import Screen
from jiriki.report.quantities import count, data, rate
from jiriki.report.tables import Sheet, rich_table

if TYPE_CHECKING:
    from jiriki.frontend.onnx.registry import Handler
    from jiriki.frontend.zoo import ModelCard


def chips(name: str | None, as_json: bool, as_toml: bool = False) -> None:
    """List the chips, or every size of one; as TOML it is the start of a chip of one's own."""
    if as_toml:
        _print_toml(name, as_json)
        return
    screen = Screen("chips", as_json)
    listed = [load_chip(chip) for chip in ([name] if name else chip_names())]
    payload = {"chips": [_chip_payload(chip) for chip in listed]}
    sheet = _chip_sheet(listed[0]) if name else chips_sheet(listed)
    screen.result(payload, lambda: [rich_table(sheet)])


def _print_toml(name: str | None, as_json: bool) -> None:
    if name is None:
        raise CliError(f"--toml prints one chip; name it, such as {chip_names()[0]}")
    if as_json:
        raise CliError("--toml and --json are two forms of one chip; leave one of them out")
    print(chip_toml(load_chip(name)), end="")


def _chip_payload(chip: ChipConfig) -> dict[str, Any]:
    return {**asdict(chip), "macs_per_cycle": chip.macs_per_cycle, "hash": chip.content_hash()}


def chips_sheet(listed: Iterable[ChipConfig]) -> Sheet:
    """Return one row a chip."""
    heads = ("chip", ">MAC/cycle", ">array", ">scratchpad", ">DRAM B/cycle", ">clock", "what it is")
    rows = tuple(
        (
            chip.name, str(chip.macs_per_cycle), f"{chip.mu}x{chip.nu}x{chip.ku}",
            f"{chip.scratchpad_bytes // 1024} KiB", str(chip.dram_bytes_per_cycle),
            rate(chip.clock_hz), chip.summary,
        )
        for chip in listed
    )  # fmt: skip
    return Sheet("chips", heads, rows)


def _chip_sheet(chip: ChipConfig) -> Sheet:
    rows = tuple((key, f"{value}") for key, value in _chip_payload(chip).items())
    return Sheet(chip.name, ("field", "value"), rows)


def models(name: str | None, fetch: bool, as_json: bool) -> None:
    """List the zoo, or one model; with `fetch` make sure that the packages are here."""
    from jiriki.frontend import zoo

    screen = Screen("models", as_json)
    cards = {card.name: card for card in zoo.list_models()}
    if name is not None and name not in cards:
        raise CliError(f"model {name!r} is not in the zoo; choose one of {', '.join(cards)}")
    chosen = [cards[name]] if name else list(cards.values())
    if fetch:
        for card in screen.each("fetching", chosen):
            zoo.load(card.name).calibration()
    payload = {"models": [_model_payload(card) for card in chosen]}
    screen.result(payload, lambda: _model_tables(payload["models"], name is not None))


def _model_payload(card: "ModelCard") -> dict[str, Any]:
    from jiriki.frontend import zoo

    fetched = card.package is None or zoo.is_fetched(card.package)
    return {**card.model_dump(mode="json"), "fetched": fetched}


def _model_tables(listed: Iterable[Mapping[str, Any]], in_full: bool) -> Iterable[RenderableType]:
    if in_full:
        for card in listed:
            package = card["package"] or {}
            flat = {**card, "macs": count(card["macs"]), "inputs": _inputs(card)}
            flat["package"] = " ".join(package.get(key, "") for key in ("name", "version"))
            flat["sha256"] = package.get("sha256", "")
            rows = tuple((key, f"{value}") for key, value in flat.items())
            yield rich_table(Sheet(card["name"], ("field", "value"), rows))
        return
    heads = ("model", ">MAC", "weights", "input", ">package", "here", "what it is")
    rows = tuple(
        (
            card["name"], count(card["macs"]), card["weights"], _inputs(card),
            data(card["package"]["size_bytes"]) if card["package"] else "none",
            "yes" if card["fetched"] else "no", card["summary"],
        )
        for card in listed
    )  # fmt: skip
    yield rich_table(Sheet("models", heads, rows))


def _inputs(card: Mapping[str, Any]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in card["inputs"].values())


def coverage(as_json: bool) -> None:
    """List every ONNX operator that is taken, with the way it is taken."""
    rows = operator_rows()
    payload = {"operators": [{"operator": name, "taken": how} for name, how in rows]}
    sheet = Sheet(f"{len(rows)} ONNX operators", ("operator", "how it is taken"), tuple(rows))
    Screen("coverage", as_json).result(payload, lambda: [rich_table(sheet)])


def operator_rows() -> list[tuple[str, str]]:
    """Return (operator, the first sentence of what takes it), in alphabetical order."""
    from jiriki.frontend.onnx.registry import HANDLERS, supported_operators

    handlers = {f"{domain}.{op}" if domain else op: h for (domain, op), h in HANDLERS.items()}
    return [(name, _way(handlers[name])) for name in supported_operators()]


def _way(handler: "Handler") -> str:
    """Say what a handler does in its own words, or else where to read it."""
    text = (handler.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ").rstrip(".")
    return text or f"see {handler.__module__}"
