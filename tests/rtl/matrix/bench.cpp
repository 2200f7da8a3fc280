// The matrix unit between a behavioural queue, front, scratchpad and reader of accumulators.
// Sizes come as -D; see bench.py for the meaning of the arguments.
#include <cstdint>
#include <cstring>
#include "Vtop.h"

static uint64_t field(const uint32_t *words, int low, int bits) {
    uint64_t value = words[low / 32];
    if (low % 32 + bits > 32) value |= (uint64_t)words[low / 32 + 1] << 32;
    return value >> (low % 32) & ((1ull << bits) - 1);
}

struct Port {
    uint64_t valid = 0;
    uint64_t place[COLUMNS];  // bank * COLUMNS + column of what is asked for
    uint64_t word[COLUMNS];
    void ask(uint64_t v, const uint32_t *lines) {
        valid = v;
        for (int c = 0; c < COLUMNS; c++) {
            word[c] = field(lines, c * LINE_BITS, LINE_BITS) * COLUMNS + c;
            place[c] = word[c] / BANK_WORDS;
        }
    }
    bool meets(const Port &other) const {
        for (int c = 0; c < COLUMNS; c++)
            if (valid >> c & other.valid >> c & 1 && place[c] == other.place[c]) return true;
        return false;
    }
    void answer(const uint8_t *sp, uint32_t *data) const {
        auto bytes = (uint8_t *)data;
        for (int c = 0; c < COLUMNS; c++)
            if (valid >> c & 1) memcpy(bytes + c * WORD_BYTES, sp + word[c] * WORD_BYTES, WORD_BYTES);
            else memset(bytes + c * WORD_BYTES, 0xA5, WORD_BYTES);
    }
};

extern "C" int64_t run(const uint8_t *sp, const uint32_t *words, int64_t count,
                       const int64_t *sent, const int64_t *gate, const uint8_t *refuse,
                       int64_t limit, int64_t tail, int64_t *start, int64_t *done, uint8_t *state,
                       int32_t *rows, int64_t n_rows, const int64_t *order) {
    auto context = new VerilatedContext;
    auto top = new Vtop(context);
    auto cycle_end = [&] { top->clk = 1; top->eval(); top->clk = 0; top->eval(); };
    top->rst = 1; cycle_end(); top->rst = 0; cycle_end();
    int64_t taken = 0, begun = 0, ended = 0, works = 0, works_begun = 0, t = 0, last = -1;
    int64_t reading = 0, read = -1;
    Port a, b;
    for (; t < limit; t++) {
        top->unit___05Fword___05Fvalid = taken < count && t > sent[taken];
        if (taken < count)
            memcpy(top->unit___05Fword___05Fpayload, words + 4 * taken, 16);
        top->unit___05Fgo = 0; top->a___05Fgrant = 1; top->b___05Fgrant = 0;
        top->acc___05Fenable = last >= 0 && reading < n_rows;
        if (reading < n_rows) top->acc___05Frow = order[reading];
        top->eval();
        bool go = top->unit___05Fwant && begun < count && t >= sent[begun] + 4 && t >= gate[begun];
        top->unit___05Fgo = go;
        top->eval();
        a.ask(top->a___05Fvalid, top->a___05Flines);
        b.ask(top->b___05Fvalid, top->b___05Flines);
        bool b_granted = b.valid && !refuse[t] && !b.meets(a);
        top->b___05Fgrant = b_granted;
        top->eval();
        if (read >= 0) memcpy(rows + LANES * read, top->acc___05Fdata, 4 * LANES), read = -1;
        if (top->acc___05Fenable) read = order[reading++];
        state[t] = top->unit___05Fstate;
        if (top->unit___05Fdone) { if (ended < count) done[ended] = t; ended++; }
        if (go) { start[begun++] = t; works_begun += top->unit___05Fwork; }
        if (top->unit___05Fword___05Fvalid && top->unit___05Fword___05Fready) taken++;
        if (begun == count && ended == works_begun && last < 0) last = t + tail;
        top->clk = 1; top->eval();  // then the data of what was granted
        if (a.valid) a.answer(sp, top->a___05Fdata);
        if (b_granted) b.answer(sp, top->b___05Fdata);
        top->clk = 0; top->eval();
        if (last >= 0 && reading == n_rows && read < 0) break;
    }
    top->final();
    delete top;
    delete context;
    return ended;
}
