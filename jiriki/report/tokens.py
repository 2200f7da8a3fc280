"""Whose tokens each instruction waited for: semaphores replayed from the events of a run.

In: a Program and its events, in the order of the sequencer. Out: for each event the events that
signalled the tokens which its wait took. Tokens of a semaphore are taken first in, first out; one
given at the end of cycle e is there from e + 1 on (docs/reference/timing.md).
"""

from collections import deque
from collections.abc import Iterator, Sequence

from jiriki.program import Event, Program


def signallers(program: Program, events: Sequence[Event]) -> list[tuple[int, ...]]:
    """Return, for each event, the places in `events` of those it waited for, oldest first."""
    tokens: dict[int, deque[list[int]]] = {}  # semaphore -> [place of the signaller, tokens left]
    taken: list[tuple[int, ...]] = [() for _ in events]
    for _, is_wait, place in sorted(_actions(program, events)):
        instruction = program.instructions[events[place].index]
        sync = instruction.wait if is_wait else instruction.signal
        assert sync is not None, "only waits and signals are actions"
        queue = tokens.setdefault(sync.semaphore, deque())
        if is_wait:
            taken[place] = tuple(_take(queue, sync.count))
        else:
            queue.append([place, sync.count])
    return taken


def _actions(program: Program, events: Sequence[Event]) -> Iterator[tuple[int, bool, int]]:
    """Yield (cycle, is it a wait, place of the event) of every signal and every wait."""
    for place, event in enumerate(events):
        instruction = program.instructions[event.index]
        if instruction.signal is not None:
            yield event.end + 1, False, place
        if instruction.wait is not None:
            yield event.start, True, place


def _take(queue: deque[list[int]], count: int) -> Iterator[int]:
    while count:
        assert queue, "an instruction started without its tokens"
        place, left = queue[0]
        used = min(left, count)
        queue[0][1] -= used
        count -= used
        if not queue[0][1]:
            queue.popleft()
        yield place
