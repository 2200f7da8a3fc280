// LD, ST and the DRAM port between a front, a scratchpad and an AXI memory that are plain C++.
// Sizes are defined by the caller: COLUMNS KU LINE_BITS BANK_WORDS SP_BYTES BEAT BURST LATENCY
// DEPTH.
#include "Vtop.h"
#include "verilated.h"
#ifdef JIRIKI_TRACE
#include "verilated_vcd_c.h"
#endif
#include <cstdint>
#include <cstring>
#include <deque>
#include <random>
#include <set>
#include <vector>

template <class T> static bool bit(const T& port, int at) {
  if constexpr (std::is_integral_v<T>) return port >> at & 1;
  else return port[at / 32] >> (at % 32) & 1;
}
template <class T> static uint64_t bits(const T& port, int low, int n) {
  uint64_t value = 0;
  for (int i = 0; i < n; i++) value |= uint64_t(bit(port, low + i)) << i;
  return value;
}
template <class T> static void put(T& port, int low, int n, uint64_t value) {
  for (int i = 0; i < n; i++) {
    int at = low + i;
    if constexpr (std::is_integral_v<T>) {
      port = (port & ~(T(1) << at)) | T(value >> i & 1) << at;
    } else {
      port[at / 32] = (port[at / 32] & ~(1u << at % 32)) | uint32_t(value >> i & 1) << at % 32;
    }
  }
}

struct Stream {  // one queue: its words, when they are sent, and their lives
  const uint64_t* words;
  const int64_t* issue;
  int64_t count;
  int64_t *start, *own;
  int64_t handed = 0, started = 0, done = 0, works = 0, last_end = -1;
  std::vector<int64_t> working;  // instructions that are work, in order
  std::deque<int64_t> ends;
};

struct Bench {
  VerilatedContext context;
  Vtop top{&context};
  uint8_t *sp, *dram;
  std::set<std::pair<int, int>> taken;
#ifdef JIRIKI_TRACE
  VerilatedVcdC vcd;
  uint64_t time = 0;
#endif
  template <class V, class L>
  bool grant(const V& valid, const L& lines, bool refuse) {
    std::vector<std::pair<int, int>> cells;
    for (int c = 0; c < COLUMNS; c++) {
      if (!bit(valid, c)) continue;
      int word = int(bits(lines, c * LINE_BITS, LINE_BITS)) * COLUMNS + c;
      cells.push_back({word / BANK_WORDS, c});
      if (refuse || taken.count(cells.back())) return false;
    }
    for (auto& cell : cells) taken.insert(cell);
    return true;
  }
  template <class V, class L, class D>
  void read(const V& valid, const L& lines, D& out, std::mt19937& rng) {
    for (int c = 0; c < COLUMNS; c++) {
      uint64_t line = bits(lines, c * LINE_BITS, LINE_BITS);
      for (int b = 0; b < KU; b++) {
        uint64_t byte = bit(valid, c) ? sp[(line * COLUMNS + c) * KU + b] : rng() & 255;
        put(out, (c * KU + b) * 8, 8, byte);
      }
    }
  }
};

struct Unit {  // the ports of a unit's front
  Stream* stream;
  CData *valid, *ready, *want, *work, *go, *done, *state;
  VlWide<4>* payload;
};

static void hand(Unit& unit, int64_t t) {
  Stream& s = *unit.stream;
  *unit.valid = s.handed < s.count && s.issue[s.handed] < t;
  for (int i = 0; i < 4 && *unit.valid; i++)
    (*unit.payload)[i] = uint32_t(s.words[2 * s.handed + i / 2] >> 32 * (i % 2));
  *unit.go = 0;
}
static void start(Unit& unit, int64_t t) {
  Stream& s = *unit.stream;
  while (!s.ends.empty() && s.ends.front() < t) s.ends.pop_front();
  bool eligible = s.started < s.count && s.issue[s.started] + 4 <= t;
  bool place = !*unit.work || (s.works - s.done) + int64_t(s.ends.size()) < DEPTH;
  *unit.go = *unit.want && eligible && place;
}
static void finish(Unit& unit, int64_t t) {
  Stream& s = *unit.stream;
  if (*unit.valid && *unit.ready) s.handed++;
  if (*unit.go) {
    s.start[s.started] = t;
    s.own[s.started] = *unit.work ? -1 : t;
    if (*unit.work) { s.working.push_back(s.started); s.works++; }
    s.started++;
  }
  if (*unit.done) {
    s.own[s.working.at(s.done)] = t;
    s.done++;
    s.last_end = t > s.last_end ? t : s.last_end + 1;
    s.ends.push_back(s.last_end);
  }
}

extern "C" int64_t bench_run(
    uint8_t* sp, uint8_t* dram, uint64_t dram_bytes, const uint64_t* ld_words,
    const int64_t* ld_issue, int64_t ld_count, const uint64_t* st_words, const int64_t* st_issue,
    int64_t st_count, int64_t* ld_start, int64_t* ld_own, int64_t* st_start, int64_t* st_own,
    const uint8_t* refuse, const uint8_t* fetch, uint8_t* ld_state, uint8_t* st_state,
    int64_t limit, uint32_t stall, uint64_t* beats) {
  Bench bench{};
  Vtop& top = bench.top;
  bench.sp = sp, bench.dram = dram;
#ifdef JIRIKI_TRACE
  bench.context.traceEverOn(true);
  top.trace(&bench.vcd, 99);
  bench.vcd.open("dma.vcd");
#endif
  std::mt19937 rng(stall), noise(1);
  auto ready = [&] { return !stall || rng() % 100 < 60; };
  Stream ld{ld_words, ld_issue, ld_count, ld_start, ld_own};
  Stream st{st_words, st_issue, st_count, st_start, st_own};
#define UNIT(n, s) {s, &top.n##_unit___05Fword___05Fvalid, &top.n##_unit___05Fword___05Fready, \
    &top.n##_unit___05Fwant, &top.n##_unit___05Fwork, &top.n##_unit___05Fgo, \
    &top.n##_unit___05Fdone, &top.n##_unit___05Fstate, &top.n##_unit___05Fword___05Fpayload}
  Unit units[2] = {UNIT(ld, &ld), UNIT(st, &st)};
  struct Beat { int64_t at; uint64_t address; bool last; };
  struct Burst { uint64_t address; int beats; };
  std::deque<Beat> reads;
  std::deque<Burst> writes;
  std::deque<std::pair<std::vector<uint8_t>, uint64_t>> data;  // W beats: bytes and strobe
  int64_t answers = 0, t = 0, r_free = 0;
  top.rst = 1;
  for (int i = 0; i < 4; i++) { top.clk = i & 1; top.eval(); }
  top.rst = 0, top.clk = 0;
  for (; t < limit; t++) {
    if (ld.done == ld.works && st.done == st.works && ld.started == ld.count &&
        st.started == st.count && writes.empty() && !top.outstanding && t > 8 && !answers &&
        data.empty()) break;
    for (auto& unit : units) hand(unit, t);
    top.fetch___05Fvalid = fetch[t], top.fetch___05Fbytes = BURST;
    top.axi___05Fawready = ready(), top.axi___05Fwready = ready(), top.axi___05Farready = ready();
    if (stall % 2 && writes.empty()) top.axi___05Fwready = 0;  // some wait for the address
    bool beat = !reads.empty() && reads.front().at <= t && ready();
    top.axi___05Frvalid = beat;
    if (beat) {
      top.axi___05Frlast = reads.front().last;
      for (int i = 0; i < BEAT; i++)
        put(top.axi___05Frdata, 8 * i, 8, dram[(reads.front().address + i) % dram_bytes]);
      reads.pop_front();
    }
    top.axi___05Fbvalid = answers && ready();
    if (top.axi___05Fbvalid) answers--;
    top.ld_index___05Fgrant = top.st_index___05Fgrant = top.st_r___05Fgrant = 0;
    top.ld_w___05Fgrant = 1;
    top.eval();
    for (auto& unit : units) start(unit, t);
    top.eval();
    bench.taken.clear();
    top.st_r___05Fgrant = bench.grant(top.st_r___05Fvalid, top.st_r___05Flines, refuse[t]);
    bool ld_index = bench.grant(top.ld_index___05Fvalid, top.ld_index___05Flines, refuse[t]);
    bool st_index = bench.grant(top.st_index___05Fvalid, top.st_index___05Flines, refuse[t]);
    top.ld_index___05Fgrant = ld_index, top.st_index___05Fgrant = st_index;
    top.eval();
    for (int u = 0; u < 2; u++) {
      finish(units[u], t);
      (u ? st_state : ld_state)[t] = *units[u].state;
    }
    beats[0] += top.fetch_beats, beats[1] += top.load_beats, beats[2] += top.store_beats;
    // What the registers of scratchpad and memory take at the end of this cycle.
    std::vector<std::pair<uint64_t, uint8_t>> written;
    for (int c = 0; c < COLUMNS; c++) {
      if (!bit(top.ld_w___05Fvalid, c)) continue;
      uint64_t word = bits(top.ld_w___05Flines, c * LINE_BITS, LINE_BITS) * COLUMNS + c;
      for (int b = 0; b < KU; b++)
        if (bit(top.ld_w___05Fbytes, c * KU + b))
          written.push_back({word * KU + b, bits(top.ld_w___05Fdata, (c * KU + b) * 8, 8)});
    }
    auto st_data = top.st_r___05Fdata;
    auto ld_data = top.ld_index___05Fdata, sti_data = top.st_index___05Fdata;
    bench.read(top.st_r___05Fvalid, top.st_r___05Flines, st_data, noise);
    bench.read(top.ld_index___05Fvalid, top.ld_index___05Flines, ld_data, noise);
    bench.read(top.st_index___05Fvalid, top.st_index___05Flines, sti_data, noise);
    for (auto& [at, byte] : written) if (at < SP_BYTES) sp[at] = byte;
    if (top.axi___05Fawvalid && top.axi___05Fawready)
      writes.push_back({top.axi___05Fawaddr, top.axi___05Fawlen + 1});
    if (top.axi___05Fwvalid && top.axi___05Fwready) {
      std::vector<uint8_t> bytes(BEAT);
      for (int i = 0; i < BEAT; i++) bytes[i] = bits(top.axi___05Fwdata, 8 * i, 8);
      data.push_back({bytes, bits(top.axi___05Fwstrb, 0, BEAT)});
    }
    while (!writes.empty() && !data.empty()) {
      for (int i = 0; i < BEAT; i++)
        if (data.front().second >> i & 1)
          dram[(writes.front().address + i) % dram_bytes] = data.front().first[i];
      data.pop_front();
      writes.front().address += BEAT;
      if (!--writes.front().beats) writes.pop_front(), answers++;
    }
    if (top.axi___05Farvalid && top.axi___05Farready)
      for (int i = 0; i <= top.axi___05Farlen; i++) {
        int64_t at = t + LATENCY + i;
        reads.push_back({at, top.axi___05Faraddr + uint64_t(i) * BEAT, i == top.axi___05Farlen});
      }
    top.clk = 1;
    top.eval();
#ifdef JIRIKI_TRACE
    bench.vcd.dump(bench.time++);
#endif
    top.clk = 0;
    top.st_r___05Fdata = st_data, top.ld_index___05Fdata = ld_data;
    top.st_index___05Fdata = sti_data;
    top.eval();
#ifdef JIRIKI_TRACE
    bench.vcd.dump(bench.time++);
#endif
  }
  return t;
}
