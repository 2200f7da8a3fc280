"""Mutants: one bad, odd or damaged file and a command that reads it, drawn by a seed.

In: good files and a seed. Out: a `Mutant` whose file is written. What it may do to a command is to
be taken, to be refused (exit code 1) or to be called wrong usage (2); never a traceback.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from jiriki.isa.encoding import WORD_BYTES
from jiriki.program.file import ALIGNMENT, NOTE_BYTES, PREFIX
from tests.house.changes import DTYPES, FLOATS, HUGE, Rng, change_model, damage, pick
from tests.house.good_files import CHIP, GoodFiles


@dataclass(frozen=True)
class Mutant:
    """A command line, and in words what was done to which file."""

    arguments: tuple[str, ...]
    change: str


def make_mutant(good: GoodFiles, folder: Path, seed: int) -> Mutant:
    """Draw a kind of file, damage one of it, and name a command that reads it."""
    rng = np.random.default_rng([9, seed])
    kind = KINDS[int(rng.choice(len(KINDS), p=WEIGHTS))]
    return kind(good, folder, rng)


# -- models --------------------------------------------------------------------------------


def _model_file(good: GoodFiles, folder: Path, rng: Rng) -> Mutant:
    calibrated = bool(rng.random() < 0.4)
    source = Path(str(rng.choice([*map(str, good.floats if calibrated else good.models)])))
    path = folder / "mutant.onnx"
    if rng.random() < 0.25:
        data, change = damage(source.read_bytes(), rng)
        path.write_bytes(data)
    else:
        model = onnx.load(source)
        changes = [change_model(model, rng) for _ in range(int(rng.choice([1, 1, 1, 2, 4])))]
        change = ", ".join(changes)
        path.write_bytes(model.SerializeToString())
    options = ["--calibration", str(good.calibration)] if calibrated else []
    return Mutant(_on_model(str(path), good, folder, rng, options), f"{source.name}: {change}")


def _on_model(
    path: str, good: GoodFiles, folder: Path, rng: Rng, options: list[str]
) -> tuple[str, ...]:
    options = [*options, "--chip", CHIP]
    if rng.random() < 0.2:
        options += ["--json"]
    if rng.random() < 0.1:
        shape = str(rng.choice(["x=1,3,9,11", "x=1,3,9", "x=0,3,9,11", "z=1", "x=1,3,9999999,11"]))
        options += ["--shape", shape]
    command = str(rng.choice(["compile", "run", "profile"], p=[0.3, 0.5, 0.2]))
    match command:
        case "compile":
            return ("compile", path, "-o", str(folder / "out.jprog"), *options)
        case "run":
            engine = ["--engine", "timing"] if rng.random() < 0.1 else []
            return ("run", path, "--input", str(good.input), *engine, *options)
        case _:
            return ("profile", path, "--out", str(folder / "pages"), *options)


# -- arrays --------------------------------------------------------------------------------


def _array_file(good: GoodFiles, folder: Path, rng: Rng) -> Mutant:
    calibration = bool(rng.random() < 0.5)
    source = good.calibration if calibration else good.input
    path = folder / str(rng.choice(["mutant.npz", "mutant.npz", "mutant.npy", "mutant.png"]))
    if rng.random() < 0.3:
        data, change = damage(source.read_bytes(), rng)
        path.write_bytes(data)
    else:
        change = write_arrays(path, dict(np.load(source)), rng)
    if calibration:
        model = str(pick(rng, good.floats))
        command = _on_model(model, good, folder, rng, ["--calibration", str(path)])
    else:
        command = ("run", str(pick(rng, [*good.models, good.program])), "--input", str(path))
        command += ("--chip", CHIP)
    return Mutant(command, f"{source.name}: {change}")


def write_arrays(path: Path, arrays: dict[str, np.ndarray], rng: Rng) -> str:
    """Write arrays of a wrong rank, size, name, type or value, or too many or few of them."""
    x = arrays["x"]
    kinds: dict[str, Callable[[], dict[str, Any]]] = {
        "rank less": lambda: {"x": x[0]},
        "rank more": lambda: {"x": x[None]},
        "size": lambda: {"x": np.repeat(x, 2, int(rng.integers(x.ndim)))},
        "none of it": lambda: {"x": x[:0]},
        "no arrays": dict,
        "name": lambda: {"z": x},
        "more": lambda: {"x": x, "y": x},
        "empty name": lambda: {"": x},
        "odd name": lambda: {"../x": x},
        "type": lambda: {"x": x.astype(str(pick(rng, DTYPES)))},
        "text": lambda: {"x": x.astype("U8")},
        "complex": lambda: {"x": x.astype(complex)},
        "objects": lambda: {"x": np.array([{}, None], dtype=object)},
        "times": lambda: {"x": np.zeros(x.shape, "datetime64[s]")},
        "fields": lambda: {"x": np.zeros(x.shape, [("a", "f4"), ("b", "i4")])},
        "byte order": lambda: {"x": x.astype(">f4")},
        "Fortran order": lambda: {"x": np.asfortranarray(x)},
        "scalar": lambda: {"x": np.float32(3)},
        "one value": lambda: {"x": _with_value(x, pick(rng, FLOATS), rng)},
        "all values": lambda: {"x": np.full_like(x, pick(rng, FLOATS))},
    }
    kind = str(pick(rng, [*kinds, "header", "header", "bomb"]))
    if kind in kinds:
        with path.open("wb") as file:
            np.savez(file, **kinds[kind]())
    else:
        _write_header(path, kind, rng)
    return kind


def _with_value(x: np.ndarray, value: float, rng: Rng) -> np.ndarray:
    x = x.copy()
    x.reshape(-1)[int(rng.integers(x.size))] = value
    return x


def _write_header(path: Path, kind: str, rng: Rng) -> None:
    """Write an .npz whose header claims more than there is, or zeros that unpack to 4 GiB."""
    shape = str(pick(rng, ["(1000000000000,)", "(-1, 3)", "(65536, 16384)", "()", "(1, 3, 9, 11"]))
    words = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    if kind == "bomb":
        words = "{'descr': '<f4', 'fortran_order': False, 'shape': (32768, 32768), }"
    header = words.encode().ljust(117) + b"\n"
    buffer = io.BytesIO()
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", start + bytes(1 << 16))
    path.write_bytes(buffer.getvalue())


# -- programs and text ---------------------------------------------------------------------


def _program_file(good: GoodFiles, folder: Path, rng: Rng) -> Mutant:
    source = good.program if rng.random() < 0.6 else good.text
    path = folder / f"mutant{source.suffix}"
    if source is good.text and rng.random() < 0.8:
        text, change = change_text(source.read_text("utf-8"), rng)
        path.write_text(text, "utf-8")
    elif source is good.program and rng.random() < 0.8:
        data, change = reseal(source.read_bytes(), rng)
        path.write_bytes(data)
    else:
        data, change = damage(source.read_bytes(), rng)
        path.write_bytes(data)
    inputs = good.input if source is good.program else good.matrices
    command = str(rng.choice(["disasm", "run", "profile", "compile"], p=[0.15, 0.5, 0.25, 0.1]))
    options = {
        "disasm": (), "run": ("--input", str(inputs)),
        "profile": ("--out", str(folder / "pages")), "compile": ("-o", str(folder / "o.jprog")),
    }  # fmt: skip
    return Mutant((command, str(path), *options[command]), f"{source.name}: {change}")


def reseal(data: bytes, rng: Rng) -> tuple[bytes, str]:
    """Change the header or an instruction of a program file, and its hash to match."""
    magic, version, length, _ = PREFIX.unpack_from(data)
    header = json.loads(data[PREFIX.size : PREFIX.size + length])
    begin = -(-(PREFIX.size + length) // ALIGNMENT) * ALIGNMENT
    body = bytearray(data[begin:])
    if rng.random() < 0.5:
        words = header["instructions"] * WORD_BYTES
        at = int(rng.integers(0, words))
        body[at] ^= 1 << int(rng.integers(0, 8))
        code = body[: header["instructions"] * (WORD_BYTES + NOTE_BYTES)]
        header["code"] = hashlib.sha256(code).hexdigest()
        change = f"a bit of byte {at} of the instructions"
    else:
        change = _change_json(header, rng)
    head = json.dumps(header).encode()
    sealed = PREFIX.pack(magic, version, len(head), hashlib.sha256(head).digest()) + head
    return sealed + bytes(-len(sealed) % ALIGNMENT) + bytes(body), f"resealed, {change}"


def _change_json(header: dict[str, Any], rng: Rng) -> str:
    """Change one value of a header, mostly of an entry or a binding."""
    key = str(pick(rng, ["entries", "entries", "entries", "entries", *header]))
    target: Any = header
    value = header[key]
    while isinstance(value, list) and value and isinstance(value[0], dict):
        target = value[0]
        key = str(pick(rng, [*("inputs", "outputs") * (key == "entries"), *target]))
        value = target[key]
    values = [*HUGE, *FLOATS[:6], "", "text", None, [], {}, True, [1], [-3, 2], "float32", "int64",
              "object", "U8", [1, 3, 2**40, 2**40], [0, 3, 9, 11]]  # fmt: skip
    target[key] = pick(rng, values)
    return f"{key} = {target[key]!r}"


NUMBERS_AS_TEXT = (
    "0", "-1", "1", "3", "4096", "1e400", "inf", "-inf", "nan", "1e-400", "0.5", '""', '"text"',
    "true", "[]", "{}", "99999999999999999999999", "2026-01-01", "[[]]", "0x10", "'a\tb'",
)  # fmt: skip


def change_text(text: str, rng: Rng) -> tuple[str, str]:
    """Change a value, repeat, drop or exchange lines of a text."""
    lines = text.split("\n")
    kind = str(rng.choice(["value", "value", "value", "twice", "drop", "swap", "half", "odd"]))
    at = int(rng.integers(len(lines)))
    match kind:
        case "value":
            valued = [i for i, line in enumerate(lines) if "=" in line and line[:1] != "#"]
            at = int(pick(rng, valued)) if valued else at
            _change_value(lines, at, rng)
        case "twice":
            lines.insert(at, lines[at])
        case "drop":
            del lines[at]
        case "swap":
            other = int(rng.integers(len(lines)))
            lines[at], lines[other] = lines[other], lines[at]
        case "half":
            lines[at] = lines[at][: len(lines[at]) // 2]
        case _:
            lines[at] = str(pick(rng, ["[", "= 3", "[[x]]", "x.y.z = 1", "\x00", "é = 1", "[a]"]))
    return "\n".join(lines), f"{kind} at line {at + 1}"


def _change_value(lines: list[str], at: int, rng: Rng) -> None:
    """Replace one number, text or whole value of a line."""
    parts = lines[at].split("=")
    place = int(rng.integers(1, len(parts))) if len(parts) > 1 else 0
    new = str(pick(rng, NUMBERS_AS_TEXT))
    _, mark, tail = parts[place].partition(",")
    if not mark:
        _, mark, tail = parts[place].partition("}")
    parts[place] = f" {new}{mark}{tail}" if mark else f" {new}"
    lines[at] = "=".join(parts)


def _toml(source: Path, folder: Path, rng: Rng) -> tuple[str, str]:
    """Write a mutant of a TOML file; return its path and the change."""
    path = folder / f"mutant-{source.name}"
    data = source.read_bytes()
    if rng.random() < 0.15:
        data, change = damage(data, rng)
    elif rng.random() < 0.15:
        data, change = data.decode().encode("utf-16"), "UTF-16"
    else:
        text, change = change_text(data.decode(), rng)
        data = text.encode()
    path.write_bytes(data)
    return str(path), f"{source.name}: {change}"


def _chip_file(good: GoodFiles, folder: Path, rng: Rng) -> Mutant:
    path, change = _toml(good.chip, folder, rng)
    commands = (
        ("chips", path),
        ("compile", str(good.models[0]), "-o", str(folder / "o.jprog"), "--chip", path),
        ("run", str(good.models[0]), "--input", str(good.input), "--chip", path),
        ("profile", str(good.models[0]), "--out", str(folder / "pages"), "--chip", path),
        ("cost", path),
        ("run", str(good.program), "--input", str(good.input), "--chip", path),
    )
    return Mutant(pick(rng, commands), change)


def _product_file(good: GoodFiles, folder: Path, rng: Rng) -> Mutant:
    path, change = _toml(good.product, folder, rng)
    commands = (("products", path), ("export-check", path), ("cost", path))
    return Mutant(pick(rng, commands), change)


def _assumptions_file(good: GoodFiles, folder: Path, rng: Rng) -> Mutant:
    path, change = _toml(good.assumptions, folder, rng)
    return Mutant(("cost", str(pick(rng, ["h100", "nano"])), "--assumptions", path), change)


def _demand_file(good: GoodFiles, folder: Path, rng: Rng) -> Mutant:
    path, change = _toml(good.demand, folder, rng)
    return Mutant(("plan", path), change)


def _file_for_gates(good: GoodFiles, folder: Path, rng: Rng) -> Mutant:
    """Cut a file short, for the commands that would build gates from a whole one."""
    model = bool(rng.random() < 0.5)
    source = good.models[0] if model else good.chip
    data = source.read_bytes()
    at = int(rng.integers(0, len(data) * 4 // 5))
    path, out = folder / f"cut{source.suffix}", str(folder / "out")
    path.write_bytes(data[:at])
    commands = (
        ("verify", str(path), "--input", str(good.input)), ("verify", str(path), "--layers"),
    ) if model else (
        ("rtl", "-o", out, "--chip", str(path)), ("synth", "--chip", str(path)),
        ("board", "-o", out, "--chip", str(path)),
    )  # fmt: skip
    return Mutant(pick(rng, commands), f"{source.name}: cut at byte {at}")


WORDS = ("", "x", "-1", "0", "nan", "1e999", "99999999999999999999", "ä", "a,b", "2026-13-45",
         "1:2", "../..", "/dev/null", "x=1", "digits", "h100", "nano",
         "14nm", "offline")  # fmt: skip
OPTIONS = {
    "run": ("--chip", "--engine", "--input", "--output", "--calibration", "--shape", "--effort",
            "--process", "--port"),
    "compile": ("--chip", "-o", "--calibration", "--shape", "--effort"),
    "profile": ("--chip", "--calibration", "--shape", "--effort", "--process"),
    "disasm": (), "chips": (), "products": (), "models": (), "coverage": (),
    "export-check": ("--on", "--to"), "cost": ("--process", "--scaling", "--assumptions"),
    "compare": ("--chips", "--on", "--mode", "--batch", "--context"), "plan": (),
    "demo": ("--chip", "--photo"), "synth": ("--target", "--chip", "--liberty", "--unit"),
    "verify": ("--window", "--vcd", "--input"), "rtl": ("--chip",), "board": ("--limit",),
}  # fmt: skip


def _bad_words(good: GoodFiles, folder: Path, rng: Rng) -> Mutant:
    """Give a command words that are no model, number, date, path or option of its own."""
    del good
    command = str(pick(rng, list(OPTIONS)))
    words = [str(pick(rng, WORDS))] if rng.random() < 0.9 else []
    options = OPTIONS[command]
    for _ in range(int(rng.integers(1, 3))):
        if options:
            words += [str(pick(rng, options)), str(pick(rng, WORDS))]
    slow = {"digits", "nano", "/dev/null"} & {*words}  # would be taken, and do real work
    words = ["nothing" if word in slow else word for word in words]
    words = [str(folder / "out") if word in ("x", "../..") else word for word in words]
    return Mutant((command, *words), "words")


KINDS = (
    _model_file, _array_file, _program_file, _chip_file, _product_file, _assumptions_file,
    _demand_file, _file_for_gates, _bad_words,
)  # fmt: skip
WEIGHTS = (0.42, 0.13, 0.13, 0.1, 0.05, 0.04, 0.05, 0.02, 0.06)
