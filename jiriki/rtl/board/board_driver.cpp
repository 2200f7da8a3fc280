// Runs a board's design: its clock, the host's end of the serial line, the SDRAM on its pins.
//
// The SDRAM's clock is the inverse of the design's: it sees the pins in the middle of a cycle. The
// line is driven and read bit by bit at the host's own speed, cycles a bit in 1/65536.
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include "Vtop.h"
#include "verilated.h"
#include "sdram_model.h"

#define P(bundle, wire) bundle##___05F##wire  // as Verilator spells bundle__wire

struct Board {
  VerilatedContext context;
  Vtop *top;
  Sdram sdram;
  uint64_t cycle = 0, bit, send_at = 0, take_at = 0;  // times in 1/65536 cycle
  std::deque<uint8_t> to_send, taken;
  uint32_t sending = 0, send_left = 0, take_left = 0;
  uint8_t taking = 0;
  std::string fault;

  Board(uint64_t bit_times, const SdramTimes &times, double period_ns, uint32_t banks, uint32_t rows, uint32_t columns)
      : top(new Vtop(&context)), sdram(times, period_ns, banks, rows, columns), bit(bit_times) {
    top->rx = 1;
    top->button = 0;
  }
  ~Board() { delete top; }

  void line() {  // once a cycle: the host's transmitter and receiver
    uint64_t now = cycle << 16;
    if (send_left && now >= send_at) {
      send_at += bit; send_left--;
      sending >>= 1;
    }
    if (!send_left && !to_send.empty()) {
      sending = (uint32_t)to_send.front() << 1 | 0x200; to_send.pop_front();
      send_left = 10; send_at = now + bit;
    }
    top->rx = send_left ? sending & 1 : 1;
    if (!take_left && !top->tx) { take_left = 10; take_at = now + bit / 2; }
    else if (take_left && now >= take_at) {
      take_at += bit;
      if (take_left == 10 && top->tx) take_left = 1;  // a glitch
      else if (take_left > 1 && take_left < 10) taking = taking >> 1 | top->tx << 7;
      else if (take_left == 1) {
        if (!top->tx && fault.empty()) fault = "the board sent no stop bit";
        taken.push_back(taking);
      }
      take_left--;
    }
  }

  void tick() {
    Vtop &d = *top;
    d.clk = 1; d.eval();
    SdramPins pins = {d.P(sdram, ras), d.P(sdram, cas), d.P(sdram, we), d.P(sdram, ba),
                      d.P(sdram, a), d.P(sdram, dqm), d.P(sdram, dq_o), d.P(sdram, dq_oe)};
    sdram.rise(pins);
    int32_t word = sdram.driven();
    // nobody drives: the pins hold what is no use to anybody
    d.P(sdram, dq_i) = word >= 0 ? word : pins.driven ? pins.dq : 0xdead;
    line();
    d.clk = 0; d.eval();
    cycle++;
  }
};

extern "C" {
Board *board_new(uint64_t bit, const double *times, double period_ns, uint32_t banks, uint32_t rows, uint32_t columns) {
  SdramTimes t;
  memcpy(&t, times, sizeof t);
  return new Board(bit, t, period_ns, banks, rows, columns);
}
void board_free(Board *b) { delete b; }
void board_send(Board *b, const uint8_t *bytes, uint64_t n) { b->to_send.insert(b->to_send.end(), bytes, bytes + n); }
// Runs until `want` bytes wait to be taken, `most` cycles at most; returns how many wait.
uint64_t board_run(Board *b, uint64_t want, uint64_t most) {
  for (uint64_t end = b->cycle + most; b->cycle < end && b->taken.size() < want;) b->tick();
  return b->taken.size();
}
uint64_t board_take(Board *b, uint8_t *out, uint64_t n) {
  uint64_t i = 0;
  for (; i < n && !b->taken.empty(); i++) { out[i] = b->taken.front(); b->taken.pop_front(); }
  return i;
}
void board_button(Board *b, int pressed) { b->top->button = pressed; }
uint32_t board_lights(Board *b) { return b->top->lights; }
uint64_t board_cycle(Board *b) { return b->cycle; }
uint64_t board_refreshes(Board *b) { return b->sdram.refreshes; }
uint16_t *board_cells(Board *b) { return b->sdram.cells.data(); }
const char *board_fault(Board *b) { return (b->sdram.fault.empty() ? b->fault : b->sdram.fault).c_str(); }
}
