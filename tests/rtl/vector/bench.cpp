// The vector unit between a behavioural front, scratchpad and accumulators.
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
    bool column[COLUMNS], any = false;
    uint64_t place[COLUMNS], word[COLUMNS];
    template <class V, class L> void ask(const V &valid, const L &lines) {
        any = false;
        for (int c = 0; c < COLUMNS; c++) {
            column[c] = field((const uint32_t *)&valid, c, 1);
            any |= column[c];
            word[c] = field((const uint32_t *)&lines, c * LINE_BITS, LINE_BITS) * COLUMNS + c;
            place[c] = word[c] / BANK_WORDS;
        }
    }
    bool meets(const Port &other) const {
        for (int c = 0; c < COLUMNS; c++)
            if (column[c] && other.column[c] && place[c] == other.place[c]) return true;
        return false;
    }
    template <class D> void answer(const uint8_t *sp, D &data) const {
        auto bytes = (uint8_t *)&data;
        for (int c = 0; c < COLUMNS; c++)
            if (column[c]) memcpy(bytes + c * WORD_BYTES, sp + word[c] * WORD_BYTES, WORD_BYTES);
            else memset(bytes + c * WORD_BYTES, 0xA5, WORD_BYTES);
    }
};

extern "C" int64_t run(uint8_t *sp, const int32_t *acc, const uint32_t *words, int64_t count,
                       const int64_t *sent, const int64_t *gate, const uint8_t *refuse,
                       int64_t limit, int64_t *start, int64_t *done, uint8_t *state) {
    auto context = new VerilatedContext;
    auto top = new Vtop(context);
    auto cycle_end = [&] { top->clk = 1; top->eval(); top->clk = 0; top->eval(); };
    top->rst = 1; cycle_end(); top->rst = 0; cycle_end();
    int64_t taken = 0, begun = 0, ended = 0, works = 0, idle = 0, t = 0;
    Port r[3], w;
    for (; t < limit && idle < 200; t++) {
        top->unit___05Fword___05Fvalid = taken < count && t > sent[taken];
        if (taken < count) memcpy(&top->unit___05Fword___05Fpayload, words + 4 * taken, 16);
        top->unit___05Fgo = 0;
        top->r0___05Fgrant = top->r1___05Fgrant = top->r2___05Fgrant = top->w___05Fgrant = 0;
        top->eval();
        bool go = top->unit___05Fwant && begun < count && t >= sent[begun] + 4 &&
                  t >= gate[begun] && (!top->unit___05Fwork || works - ended < CONTEXTS);
        top->unit___05Fgo = go;
        top->eval();
        r[0].ask(top->r0___05Fvalid, top->r0___05Flines);
        r[1].ask(top->r1___05Fvalid, top->r1___05Flines);
        r[2].ask(top->r2___05Fvalid, top->r2___05Flines);
        w.ask(top->w___05Fvalid, top->w___05Flines);
        bool granted[4];
        for (int i = 0; i < 3; i++) {
            granted[i] = r[i].any && !(refuse[t] >> i & 1);
            for (int j = 0; j < i; j++) granted[i] &= !(granted[j] && r[j].meets(r[i]));
        }
        granted[3] = w.any && !(refuse[t] >> 3 & 1);
        top->r0___05Fgrant = granted[0]; top->r1___05Fgrant = granted[1];
        top->r2___05Fgrant = granted[2]; top->w___05Fgrant = granted[3];
        top->eval();
        state[t] = top->unit___05Fstate;
        if (top->unit___05Fdone) { if (ended < count) done[ended] = t; ended++; }
        if (go) { start[begun++] = t; works += top->unit___05Fwork; }
        if (top->unit___05Fword___05Fvalid && top->unit___05Fword___05Fready) taken++;
        idle = begun == count && ended >= works ? idle + 1 : 0;
        bool row = top->acc___05Fenable;
        int64_t which = top->acc___05Frow;
        if (granted[3])
            for (int c = 0; c < COLUMNS; c++)
                for (int k = 0; k < WORD_BYTES; k++)
                    if (w.column[c] && field((const uint32_t *)&top->w___05Fbytes, c * WORD_BYTES + k, 1))
                        sp[w.word[c] * WORD_BYTES + k] =
                            ((const uint8_t *)&top->w___05Fdata)[c * WORD_BYTES + k];
        top->clk = 1; top->eval();  // then the data of what was granted
        if (granted[0]) r[0].answer(sp, top->r0___05Fdata);
        if (granted[1]) r[1].answer(sp, top->r1___05Fdata);
        if (granted[2]) r[2].answer(sp, top->r2___05Fdata);
        if (row) memcpy(&top->acc___05Fdata, acc + which * LANES, 4 * LANES);
        top->clk = 0; top->eval();
    }
    top->final();
    delete top;
    delete context;
    return ended;
}
