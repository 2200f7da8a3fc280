// Runs a tile: the host's registers, the memory behind its AXI4 port, and a log of its trace.
//
// Memory: an AXI4 slave that is always ready; beat i of a read accepted in cycle c is offered from
// cycle c + latency + i on, a read sees what was written before it (docs/reference/timing.md; the
// latency here is the chip's less the cycles of its port, jiriki/rtl/dma/port.py). With stalls every
// handshake is held back at random.
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>
#include "Vtop.h"
#include "verilated.h"
#include "verilated_vcd_c.h"

#ifndef JIRIKI_BEAT
#define JIRIKI_BEAT 16  // bytes
#endif
#define UNITS 4
#define P(bundle, wire) bundle##___05F##wire  // as Verilator spells bundle__wire

struct Beat { uint64_t ready; bool last; uint8_t bytes[JIRIKI_BEAT]; };
struct Write { uint64_t address; uint32_t beats; };

// Ports of up to 64 bits are integers, wider ones arrays of 32-bit words.
template <class T> static inline void put(T &port, const uint8_t *from) { memcpy(&port, from, JIRIKI_BEAT); }
template <class T> static inline void get(const T &port, uint8_t *to) { memcpy(to, &port, JIRIKI_BEAT); }

struct Sim {
  VerilatedContext context;
  Vtop *top;
  uint8_t *dram = nullptr;
  uint64_t size = 0, cycle = 0, begin = 0;
  uint32_t latency = 100, stall = 0, random = 1;
  std::deque<Beat> reads;
  std::deque<Write> writes;
  uint32_t replies = 0;
  uint64_t outside = 0;  // 1 + the first address beyond memory
  bool trace_events = true;
  std::vector<uint32_t> events[3 * UNITS + 1];  // control; sent, started, completed of each unit
  uint64_t last_event = 0;
  VerilatedVcdC *vcd = nullptr;
  uint64_t vcd_from = 0, vcd_to = 0;
  bool dumps = false;  // this cycle
  Sim() : top(new Vtop(&context)) { context.traceEverOn(true); }
  ~Sim() {
    if (vcd) { vcd->close(); delete vcd; }
    delete top;
  }

  bool held() {  // xorshift: hold a handshake back with probability stall / 256
    if (!stall) return false;
    random ^= random << 13; random ^= random >> 17; random ^= random << 5;
    return (random >> 8 & 255) < stall;
  }

  void dump(int phase) {  // before and after the edge that ends a cycle of the run
    uint64_t t = cycle - begin;
    if (phase == 0) dumps = vcd && top->P(trace, running) && t >= vcd_from && t < vcd_to;
    if (dumps) vcd->dump(2 * t + phase);
  }

  void serve() {  // inputs of this cycle
    Vtop &d = *top;
    d.P(memory, arready) = !held();
    d.P(memory, awready) = !held();
    // a beat is taken once its address is known, at the earliest with it
    bool addressed = !writes.empty() || (d.P(memory, awvalid) && d.P(memory, awready));
    d.P(memory, wready) = !held() && addressed;
    bool offer = !reads.empty() && reads.front().ready <= cycle && !(d.P(memory, rvalid) == 0 && held());
    d.P(memory, rvalid) = offer;
    if (offer) {
      put(d.P(memory, rdata), reads.front().bytes);
      d.P(memory, rlast) = reads.front().last;
    }
    d.P(memory, bvalid) = replies > 0;
  }

  void accept() {  // handshakes of this cycle
    Vtop &d = *top;
    if (d.P(memory, rvalid) && d.P(memory, rready)) reads.pop_front();
    if (d.P(memory, bvalid) && d.P(memory, bready)) replies--;
    if (d.P(memory, awvalid) && d.P(memory, awready))
      writes.push_back({d.P(memory, awaddr), (uint32_t)d.P(memory, awlen) + 1});
    if (d.P(memory, wvalid) && d.P(memory, wready)) write_beat();
    if (d.P(memory, arvalid) && d.P(memory, arready)) {
      uint64_t address = d.P(memory, araddr) / JIRIKI_BEAT * JIRIKI_BEAT;
      uint32_t n = (uint32_t)d.P(memory, arlen) + 1;
      for (uint32_t i = 0; i < n; i++, address += JIRIKI_BEAT) {
        Beat beat = {cycle + latency + i, i + 1 == n, {}};
        if (address + JIRIKI_BEAT <= size) memcpy(beat.bytes, dram + address, JIRIKI_BEAT);
        else if (!outside) outside = 1 + address;
        reads.push_back(beat);
      }
    }
  }

  void write_beat() {
    Vtop &d = *top;
    Write &write = writes.front();
    uint64_t address = write.address / JIRIKI_BEAT * JIRIKI_BEAT;
    uint8_t bytes[JIRIKI_BEAT];
    get(d.P(memory, wdata), bytes);
    uint64_t strobes = d.P(memory, wstrb);
    for (int i = 0; i < JIRIKI_BEAT; i++)
      if (strobes >> i & 1) {
        if (address + i < size) dram[address + i] = bytes[i];
        else if (!outside) outside = 1 + address + i;
      }
    write.address = address + JIRIKI_BEAT;
    if (--write.beats == 0) { writes.pop_front(); replies++; }
  }

  void log() {
    Vtop &d = *top;
    if (!d.P(trace, running)) return;
    uint32_t t = (uint32_t)(cycle - begin);
    uint32_t bits = d.P(trace, control) | d.P(trace, sent) << 1 | d.P(trace, started) << (1 + UNITS) |
                    d.P(trace, completed) << (1 + 2 * UNITS);
    if (!bits) return;
    last_event = cycle;
    if (trace_events)
      for (; bits; bits &= bits - 1) events[__builtin_ctz(bits)].push_back(t);
  }

  void tick() {
    Vtop &d = *top;
    serve();
    d.clk = 0; d.eval(); dump(0);
    accept(); log();
    d.clk = 1; d.eval(); dump(1);
    cycle++;
  }
};

extern "C" {
Sim *sim_new() {
  Sim *s = new Sim();
  s->top->rst = 1;
  for (int i = 0; i < 4; i++) s->tick();
  s->top->rst = 0;
  s->tick();
  return s;
}
void sim_free(Sim *s) { delete s; }
void sim_memory(Sim *s, uint8_t *dram, uint64_t size, uint32_t latency) {
  s->dram = dram; s->size = size; s->latency = latency;
}
void sim_stall(Sim *s, uint32_t stall, uint32_t seed) { s->stall = stall; s->random = seed | 1; }
void sim_events_on(Sim *s, int on) { s->trace_events = on; }
void sim_write(Sim *s, uint32_t address, uint32_t value) {
  Vtop &d = *s->top;
  d.P(control, awvalid) = 1; d.P(control, awaddr) = address;
  d.P(control, wvalid) = 1; d.P(control, wdata) = value;
  d.P(control, wstrb) = 15;
  d.P(control, bready) = 1;
  bool done = false;
  while (!done) {
    s->serve(); d.clk = 0; d.eval();
    done = d.P(control, awready) && d.P(control, wready);
    s->tick();
  }
  d.P(control, awvalid) = 0; d.P(control, wvalid) = 0;
  s->begin = s->last_event = s->cycle;
}
uint32_t sim_read(Sim *s, uint32_t address) {
  Vtop &d = *s->top;
  d.P(control, arvalid) = 1; d.P(control, araddr) = address;
  d.P(control, rready) = 1;
  bool done = false;
  while (!done) {
    s->serve(); d.clk = 0; d.eval();
    done = d.P(control, arready);
    s->tick();
  }
  d.P(control, arvalid) = 0;
  d.clk = 0; d.eval();
  uint32_t value = d.P(control, rdata);
  s->tick();
  return value;
}
// Runs until HALT, or `most` cycles, or `quiet` cycles without an event (of this call and those
// before it, since the start). Returns 0 halted, 1 most reached, 2 quiet, 3 memory exceeded.
int sim_run(Sim *s, uint64_t most, uint64_t quiet) {
  uint64_t end = s->cycle + most;
  while (s->cycle < end) {
    s->tick();
    if (!s->top->P(trace, running) && !s->top->P(trace, pending)) return 0;
    if (s->outside) return 3;
    if (s->cycle - s->last_event > quiet) return 2;
  }
  return 1;
}
void sim_reset(Sim *s) {
  s->top->rst = 1;
  for (int i = 0; i < 4; i++) s->tick();
  s->top->rst = 0;
  s->reads.clear(); s->writes.clear(); s->replies = 0; s->outside = 0;
  for (auto &list : s->events) list.clear();
  s->tick();
}
uint64_t sim_cycle(Sim *s) { return s->cycle - s->begin; }
uint64_t sim_outside(Sim *s) { return s->outside; }
uint32_t sim_at(Sim *s) { return s->top->P(trace, at); }
uint32_t sim_waits(Sim *s) { return s->top->P(trace, waits); }
void sim_semaphores(Sim *s, uint8_t *out, uint32_t bytes) { memcpy(out, &s->top->P(trace, semaphores), bytes); }
uint64_t sim_event_count(Sim *s, uint32_t list) { return s->events[list].size(); }
const uint32_t *sim_event_list(Sim *s, uint32_t list) { return s->events[list].data(); }
void sim_trace_end(Sim *s) {
  if (s->vcd) { s->vcd->close(); delete s->vcd; }
  s->vcd = nullptr;
}
int sim_trace(Sim *s, const char *path, uint64_t from, uint64_t to) {
  sim_trace_end(s);
  s->vcd = new VerilatedVcdC;
  s->top->trace(s->vcd, 99);
  s->vcd->open(path);
  s->vcd_from = from; s->vcd_to = to;
  return s->vcd->isOpen();
}
}
