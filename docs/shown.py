"""Puts into a page what its commands print: `python docs/shown.py docs/tutorial-fleet.md`.

In: a page whose `sh` and `python` blocks work in its order, in a folder with `examples/`. Out: the
page with every `text` block made anew: the output of the block before it, or of it the lines from
the first that holds START to the next that holds END, where the block is opened with
"text START .. END". Tests hold the page fresh.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(sh|python|text)([^\n]*)\n(.*?)^```$", re.M | re.S)


def refreshed(page: str, folder: Path) -> str:
    """Return the page with the output of its commands, run in `folder`.

    Raises ValueError for a command that fails, prints to standard error, or lacks a marked line.
    """
    shutil.copytree(ROOT / "examples", folder / "examples")
    printed = ""

    def renew(match: re.Match[str]) -> str:
        nonlocal printed
        language, marks, body = match[1], match[2].strip(), match[3]
        if language == "text":
            return f"```text{match[2]}\n{cut(printed, marks)}```"
        printed = "".join(run(command, folder) for command in commands(language, body))
        return match[0]

    return BLOCK.sub(renew, page)


def commands(language: str, body: str) -> list[list[str]]:
    if language == "python":
        return [["-c", body]]
    split = [shlex.split(line) for line in body.replace("\\\n", " ").splitlines()]
    for name, *_ in split:
        if name != "jiriki":
            raise ValueError(f"{name}: pages run only jiriki")
    return [["-m", "jiriki.cli", *arguments] for _, *arguments in split]


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode or done.stderr:
        raise ValueError(f"{command}: exit code {done.returncode}, {done.stderr}")
    return done.stdout


def cut(printed: str, marks: str) -> str:
    """Return the marked lines without spaces at their ends and without empty ones around."""
    lines = [line.rstrip() for line in printed.splitlines()]
    if marks:
        start, end = (mark.strip() for mark in marks.split(".."))
        first = _place(lines, start, 0)
        lines = lines[first : _place(lines, end, first) + 1]
    return "\n".join(lines).strip("\n") + "\n"


def _place(lines: list[str], mark: str, since: int) -> int:
    place = next((n for n in range(since, len(lines)) if mark in lines[n]), None)
    if place is None:
        raise ValueError(f"no printed line holds {mark!r}")
    return place


def main() -> None:
    for name in sys.argv[1:]:
        page = Path(name)
        with tempfile.TemporaryDirectory() as folder:
            page.write_text(refreshed(page.read_text("utf-8"), Path(folder)), "utf-8")


if __name__ == "__main__":
    main()
