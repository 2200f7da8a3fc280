"""Allocation of one memory (scratchpad or accumulators) while operations are put in order.

In: buffers as they come to life and end. Out: addresses, and for each new buffer the last
operation of each unit that used the memory it now takes: what it must wait for.
"""

from dataclasses import dataclass

from jiriki.tiling.tile_program import Buffer

AGES = (96, 48, 24, 12, 6, 3, 0)  # operations that freed memory rests, most wished first

NEVER_USED = -(1 << 40)
CROWDED = 24  # spans above which old free ones are joined

Users = dict[int, int]  # unit -> position of its last operation


@dataclass(slots=True)
class Span:
    """A piece of memory [start, end): free, with its past users, or a living buffer's."""

    start: int
    end: int
    buffer: Buffer | None
    users: Users
    freed: int = NEVER_USED  # position of the operation after which it became free


class Memory:
    """First-fit from either end over spans that cover the whole memory.

    Memory freed a while ago is preferred to memory freed just now, so that a new buffer rarely
    waits for the old one's users: double buffering comes from this rule.
    """

    def __init__(self, size: int, align: int) -> None:
        self.size = size
        self.align = align
        self.spans = [Span(0, size, None, {})]

    def allocate(self, buffer: Buffer, now: int, dense: bool) -> tuple[int, Users] | None:
        """Place a buffer; return (address, past users), or None when no free run is large enough.

        now: position of the operation that needs it. dense: pack tightly, for buffers that live
        long; else prefer memory that has rested.
        """
        need = -(-max(buffer.size, 1) // self.align) * self.align
        if len(self.spans) > CROWDED:
            self._coalesce(now - AGES[0])
        for age in (0,) if dense else AGES:
            runs = [
                (first, last)
                for first, last in self._free_runs(now - age)
                if self.spans[last].end - self.spans[first].start >= need
            ]
            if runs:
                first, last = runs[-1] if buffer.high else runs[0]
                return self._take(first, last, need, buffer)
        return None

    def release(self, buffer: Buffer, users: Users, position: int) -> None:
        """End a buffer's life."""
        for span in self.spans:
            if span.buffer is buffer:
                span.buffer, span.users, span.freed = None, users, position
                return
        raise AssertionError(f"{buffer.name} is not allocated")

    def largest_free(self) -> int:
        return max(
            (self.spans[b].end - self.spans[a].start for a, b in self._free_runs()), default=0
        )

    def _coalesce(self, freed_by: int) -> None:
        """Join neighbouring spans that have been free since `freed_by`."""
        joined: list[Span] = []
        for span in self.spans:
            last = joined[-1] if joined else None
            old = span.buffer is None and span.freed <= freed_by
            if last and old and last.buffer is None and last.freed <= freed_by:
                users = dict(last.users)
                for unit, position in span.users.items():
                    users[unit] = max(users.get(unit, -1), position)
                joined[-1] = Span(last.start, span.end, None, users, max(last.freed, span.freed))
            else:
                joined.append(span)
        self.spans = joined

    def _free_runs(self, freed_by: int = 1 << 60) -> list[tuple[int, int]]:
        """Return (first, last) indices of maximal runs of spans free since `freed_by`."""
        runs, start = [], None
        for i, span in enumerate(self.spans):
            if span.buffer is None and span.freed <= freed_by:
                start = i if start is None else start
            elif start is not None:
                runs.append((start, i - 1))
                start = None
        if start is not None:
            runs.append((start, len(self.spans) - 1))
        return runs

    def _take(self, first: int, last: int, need: int, buffer: Buffer) -> tuple[int, Users]:
        low, high = self.spans[first].start, self.spans[last].end
        start = high - need if buffer.high else low
        end = start + need
        users: Users = {}
        pieces: list[Span] = []
        for span in self.spans[first : last + 1]:
            if span.start < end and start < span.end:
                for unit, position in span.users.items():
                    users[unit] = max(users.get(unit, -1), position)
            for a, b in ((span.start, min(span.end, start)), (max(span.start, end), span.end)):
                if a < b:
                    pieces.append(Span(a, b, None, dict(span.users), span.freed))
        pieces.append(Span(start, end, buffer, {}))
        pieces.sort(key=lambda s: s.start)
        self.spans[first : last + 1] = pieces
        return start, users
