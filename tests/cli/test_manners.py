"""Help, completion and JSON: what every command has in common."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from jiriki import __version__
from jiriki.cli.app import app
from jiriki.frontend.zoo import list_models

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
QUICK = (
    ("chips",), ("chips", "nano"), ("models",), ("models", "digits"), ("coverage",), ("products",),
    ("products", "h20"), ("export-check", "h20"), ("cost", "nano"),
)  # fmt: skip


def completed(*words: str) -> list[str]:
    """Return what bash would be offered for the last of the words."""
    done = subprocess.run(
        [sys.executable, "-m", "jiriki.cli"],
        env={
            **os.environ, "_JIRIKI_COMPLETE": "complete_bash", "COMP_CWORD": str(len(words)),
            "COMP_WORDS": " ".join(("jiriki", *words)),
        },
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_help_shows_square_brackets(jiriki) -> None:
    words = " ".join(jiriki("run", "--help").out.replace("│", " ").split())
    assert "for each input an array [samples, ...]." in words


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_loses_no_word(jiriki, name: str) -> None:
    """Columns break lines between words, and words longer than a column."""
    shown = "".join(jiriki(name, "--help").out.replace("│", " ").split())
    texts = [COMMANDS[name].help, *(parameter.help for parameter in COMMANDS[name].params)]
    words = [word for text in texts if text for word in text.split()]
    assert words and [word for word in words if word not in shown] == []


def test_commands_are_listed_in_groups(jiriki) -> None:
    out = jiriki("--help").out
    groups = {command.rich_help_panel for command in COMMANDS.values()}
    assert len(groups) >= 4
    assert [group for group in groups if group not in out] == []


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (("run", "mob"), {"mobilenetv2"}),
        (("run", "x.onnx", "--chip", "na"), {"nano"}),
        (("run", "x.onnx", "--engine", ""), {"functional", "timing", "rtl", "board"}),
        (("cost", "h2"), {"h20", "h200"}),
        (("models", ""), {card.name for card in list_models()}),
        (("chi",), {"chips"}),
    ],
)
def test_the_shell_completes_names(words: tuple[str, ...], some: set[str]) -> None:
    assert set(completed(*words)) == some


def test_completion_can_be_shown() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jiriki.cli", "--show-completion", "bash"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.endswith("complete -o default -F _jiriki_completion jiriki\n")


@pytest.mark.parametrize("arguments", QUICK, ids=" ".join)
def test_json_says_version_and_schema(jiriki, arguments: tuple[str, ...]) -> None:
    payload = json.loads(jiriki(*arguments, "--json").out)
    assert (payload["jiriki"], payload["schema"]) == (__version__, f"{arguments[0]}/1")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("run",), "MODEL"),
        (("run", "x", "--colour"), "--colour"),
        (("run", "x", "--effort", "many"), "--effort"),
        (("runn", "x"), "runn"),
    ],
)
def test_wrong_usage_is_one_line_and_one_object(jiriki, arguments, word: str) -> None:
    done = jiriki(*arguments, "--json")
    payload = json.loads(done.out)
    assert done.code == 2
    assert (payload["schema"], payload["error"]["kind"]) == ("error/1", "UsageError")
    assert word in payload["error"]["message"]
    assert done.err == f"jiriki: {payload['error']['message']}\n"


def test_a_refusal_is_one_object_too(jiriki, tmp_path: Path) -> None:
    done = jiriki("disasm", tmp_path / "none.jprog", "--json")
    payload = json.loads(done.out)
    assert (done.code, payload["schema"], payload["jiriki"]) == (1, "error/1", __version__)


def test_without_arguments_the_help_is_shown(jiriki) -> None:
    done = jiriki()
    assert (done.code, done.err) == (2, "")
    assert "Usage: jiriki" in done.out


def test_a_home_that_cannot_be_written_is_no_error(
    jiriki, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("JIRIKI_HOME", str(tmp_path / "file" / "home"))
    done = jiriki(
        "run", folder / "floating.onnx", "--calibration", folder / "samples.npz",
        "--input", folder / "input.npz", "--json",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["differing_elements"] == 0
