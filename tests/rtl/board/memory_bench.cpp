// Random AXI4 bursts and single beats of a second port against the SDRAM model: every beat read is
// what was written last, no time of the data sheet is broken.
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include "Vtop.h"
#include "verilated.h"
#include "sdram_model.h"

#define P(bundle, wire) bundle##___05F##wire
#define BEAT JIRIKI_BEAT

struct Bench {
  VerilatedContext context;
  Vtop *top;
  Sdram sdram;
  std::map<uint64_t, uint8_t> cells;  // what memory must hold
  struct Beat { uint8_t bytes[BEAT]; bool last, beyond; uint32_t id; };
  std::deque<Beat> reads, answers;
  uint64_t random, size, write_at = 0, beats = 0;
  uint32_t write_left = 0, replies = 0, refused = 0, stall;
  bool beyond = false, reply_beyond = false, ar_held = false, aw_held = false, w_held = false, port_held = false;
  std::string fault;

  Bench(uint64_t seed, uint32_t stalls, const SdramTimes &t, double period, uint32_t b, uint32_t r, uint32_t c)
      : top(new Vtop(&context)), sdram(t, period, b, r, c), random(seed * 2654435769u + 1), size(2ull << (b + r + c)), stall(stalls) {}
  ~Bench() { delete top; }

  uint32_t draw(uint32_t n) { random ^= random << 13; random ^= random >> 7; random ^= random << 17; return (random >> 16) % n; }
  bool held() { return draw(256) < stall; }
  void wrong(const std::string &what) { if (fault.empty()) fault = what; }
  // Few rows of few banks, the second port's below, so that bursts meet; now and then past the end.
  uint64_t place(bool port) {
    uint64_t row = draw(3), bank = draw(4), column = draw(24);
    if (!port && draw(64) == 0) return size - BEAT * draw(3) + (draw(2) ? BEAT : 0);
    return ((row << 2 | bank) << 10) + column * BEAT + (port ? 512 : 0);
  }

  void drive() {
    Vtop &d = *top;
    if (!ar_held && !aw_held) {  // one address at a time: the order is what the slave takes
      d.P(axi, arvalid) = d.P(axi, awvalid) = 0;
      uint64_t at = place(false);
      uint32_t len = draw(8);
      if (held()) {}
      else if (draw(2)) { d.P(axi, arvalid) = ar_held = 1; d.P(axi, araddr) = at; d.P(axi, arlen) = len; d.P(axi, arid) = draw(2); }
      else if (!write_left) { d.P(axi, awvalid) = aw_held = 1; d.P(axi, awaddr) = at; d.P(axi, awlen) = len; d.P(axi, awid) = draw(2); }
    }
    if (!w_held) {
      d.P(axi, wvalid) = w_held = write_left && !held();
      uint8_t bytes[BEAT];
      for (auto &byte : bytes) byte = draw(256);
      memcpy(&d.P(axi, wdata), bytes, BEAT);
      d.P(axi, wstrb) = draw(3) ? (1u << BEAT) - 1 : draw(1u << BEAT);
      d.P(axi, wlast) = write_left == 1;
    }
    d.P(axi, rready) = !held();
    d.P(axi, bready) = !held();
    if (!port_held) {
      d.P(port, valid) = port_held = draw(4) == 0;
      d.P(port, write) = draw(2);
      d.P(port, beat) = place(true) / BEAT;
      d.P(port, strobe) = (1u << BEAT) - 1;
      uint8_t bytes[BEAT];
      for (auto &byte : bytes) byte = draw(256);
      memcpy(&d.P(port, data), bytes, BEAT);
    }
  }
  Beat expected(uint64_t at, bool last, uint32_t id) {
    Beat beat = {{}, last, at >= size, id};
    for (int i = 0; i < BEAT; i++) beat.bytes[i] = cells[at + i];
    return beat;
  }
  void put(uint64_t at, const void *from, uint64_t strobe) {
    for (int i = 0; i < BEAT; i++) if (strobe >> i & 1) cells[at + i] = ((const uint8_t *)from)[i];
  }
  void sample() {
    Vtop &d = *top;
    if (d.P(axi, arvalid) && d.P(axi, arready)) {
      ar_held = false;
      for (uint32_t i = 0; i <= d.P(axi, arlen); i++)
        reads.push_back(expected(d.P(axi, araddr) + i * BEAT, i == d.P(axi, arlen), d.P(axi, arid)));
    }
    if (d.P(axi, wvalid) && d.P(axi, wready)) {
      w_held = false; beats++;
      if (write_at < size) put(write_at, &d.P(axi, wdata), d.P(axi, wstrb)); else beyond = true;
      write_at += BEAT;
      if (--write_left == 0) { replies++; reply_beyond = beyond; }
    }
    if (d.P(axi, bvalid) && d.P(axi, bready)) {
      if (!replies || d.P(axi, bresp) != (reply_beyond ? 3 : 0)) wrong("a write's answer is wrong");
      replies--; refused += reply_beyond;
    }
    if (d.P(axi, awvalid) && d.P(axi, awready)) {
      aw_held = false; beyond = false;
      write_at = d.P(axi, awaddr); write_left = d.P(axi, awlen) + 1;
    }
    if (d.P(axi, rvalid) && d.P(axi, rready)) {
      if (reads.empty()) { wrong("a beat that nobody asked for"); return; }
      Beat e = reads.front(); reads.pop_front(); beats++; refused += e.beyond;
      if (!e.beyond && memcmp(&d.P(axi, rdata), e.bytes, BEAT)) wrong("AXI reads a wrong beat");
      if (d.P(axi, rlast) != e.last || d.P(axi, rid) != e.id || d.P(axi, rresp) != (e.beyond ? 3 : 0)) wrong("rlast, rid or rresp is wrong");
    }
    if (d.P(port, answer_valid)) {
      if (answers.empty()) { wrong("an answer that nobody asked for"); return; }
      if (memcmp(&d.P(port, answer), answers.front().bytes, BEAT)) wrong("the port reads a wrong beat");
      answers.pop_front(); beats++;
    }
    if (d.P(port, valid) && d.P(port, ready)) {
      port_held = false; beats++;
      uint64_t at = (uint64_t)d.P(port, beat) * BEAT;
      if (d.P(port, write)) put(at, &d.P(port, data), (1u << BEAT) - 1);
      else answers.push_back(expected(at, false, 0));
    }
  }
  void tick(bool traffic) {
    Vtop &d = *top;
    d.clk = 1; d.eval();
    SdramPins pins = {d.P(pins, ras), d.P(pins, cas), d.P(pins, we), d.P(pins, ba), d.P(pins, a),
                      d.P(pins, dqm), d.P(pins, dq_o), d.P(pins, dq_oe)};
    sdram.rise(pins);
    int32_t word = sdram.driven();
    d.P(pins, dq_i) = word >= 0 ? word : pins.driven ? pins.dq : 0xdead;
    if (traffic) drive();
    d.clk = 0; d.eval();
    if (traffic) sample();
  }
};

extern "C" const char *bench_run(uint64_t seed, uint32_t stall, uint64_t cycles, const double *times, double period,
                                 uint32_t banks, uint32_t rows, uint32_t columns, uint64_t *out) {
  static std::string said;
  SdramTimes t;
  memcpy(&t, times, sizeof t);
  Bench b(seed, stall, t, period, banks, rows, columns);
  b.top->rst = 1;
  for (int i = 0; i < 4; i++) b.tick(false);
  b.top->rst = 0;
  while (!b.top->initialised && b.sdram.fault.empty()) b.tick(false);
  for (uint64_t i = 0; i < b.size && i < 65536; i++) b.cells[i] = 0;
  for (uint64_t i = 0; i < cycles && b.fault.empty() && b.sdram.fault.empty(); i++) b.tick(true);
  out[0] = b.beats; out[1] = b.refused; out[2] = b.sdram.refreshes;
  said = b.sdram.fault.empty() ? b.fault : b.sdram.fault;
  return said.c_str();
}
