// An SDR SDRAM as its users see it: commands at the rising edge of its own clock, words on its pins,
// and a complaint when a time or a rule of the data sheet is broken. Not derived from the controller:
// it decodes pins, and knows times in nanoseconds.
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

struct SdramTimes {  // nanoseconds
  double power_up, rcd, rp, ras, rc, rfc, wr, rrd, refresh;
};

struct SdramPins {  // active high, as they are for one rising edge
  uint32_t ras, cas, we, ba, a, dqm, dq, driven;
};

struct Sdram {
  SdramTimes t;
  double period;  // ns of a clock
  uint32_t banks, row_bits, column_bits;
  std::vector<uint16_t> cells;
  std::string fault;
  uint64_t edge = 0;
  bool moded = false;
  uint32_t latency = 0, burst = 0, refreshes = 0, first_refreshes = 0;
  struct Bank { bool open = false; uint32_t row = 0; double active = -1e18, closed = -1e18, written = -1e18; };
  std::vector<Bank> bank;
  double refreshed = -1e18, moded_at = -1e18, last_refresh = 0, any_active = -1e18;
  struct Burst { bool on = false, write = false; uint32_t bank = 0, row = 0, column = 0, done = 0; uint64_t from = 0; } now;
  std::vector<int32_t> output;  // words to come, -1: none; [0] is what is driven after this edge
  uint32_t mask_delay[2] = {0, 0};

  Sdram(SdramTimes times, double period_ns, uint32_t bank_bits, uint32_t rows, uint32_t columns)
      : t(times), period(period_ns), banks(1u << bank_bits), row_bits(rows), column_bits(columns),
        cells(size_t(1) << (bank_bits + rows + columns)), bank(banks), output(32, -1) {}

  void complain(const char *what, double is, double least) {
    if (!fault.empty()) return;
    char text[200];
    snprintf(text, sizeof text, "SDRAM, clock %llu: %s after %.1f ns, at least %.1f are needed",
             (unsigned long long)edge, what, is, least);
    fault = text;
  }
  void complain(const char *what) {
    if (fault.empty()) fault = "SDRAM, clock " + std::to_string(edge) + ": " + what;
  }
  void need(const char *what, double since, double least) {
    double is = edge * period - since;
    if (is < least - 1e-6) complain(what, is, least);
  }
  uint16_t &cell(uint32_t b, uint32_t row, uint32_t column) {
    return cells[((size_t(row) * banks + b) << column_bits) + column];
  }

  // What it drives between this edge and the next: -1 nothing.
  int32_t driven() const { return output[0]; }

  void rise(const SdramPins &p) {
    double at = edge * period;
    output.erase(output.begin());
    output.push_back(-1);
    if (p.driven && (output[0] >= 0 || driven_before)) complain("both sides drive the data pins");
    driven_before = output[0] >= 0;
    command(p, at);
    move(p, at);
    if (moded && at - last_refresh > 9 * t.refresh) complain("no refresh for nine intervals");
    edge++;
  }
  bool driven_before = false;

 private:
  void command(const SdramPins &p, double at) {
    uint32_t c = p.ras | p.cas << 1 | p.we << 2;
    if (!c) return;
    if (at < t.power_up) complain("a command", at, t.power_up);
    need("a command behind REFRESH", refreshed, t.rfc);
    need("a command behind MODE", moded_at, 2 * period);
    Bank &b = bank[p.ba];
    switch (c) {
      case 1: active(p, b, at); break;
      case 2: case 6: access(p, b, c == 6); break;
      case 3: refresh(at); break;
      case 5: precharge(p, at); break;
      case 7: mode(p, at); break;
      default: complain("BURST TERMINATE is not used here");
    }
  }
  void active(const SdramPins &p, Bank &b, double at) {
    if (!moded) complain("ACTIVE before MODE");
    if (b.open) complain("ACTIVE of an open bank");
    need("ACTIVE behind PRECHARGE", b.closed, t.rp);
    need("ACTIVE behind ACTIVE of the bank", b.active, t.rc);
    need("ACTIVE behind ACTIVE", any_active, t.rrd);
    b.open = true; b.row = p.a; b.active = any_active = at;
  }
  void access(const SdramPins &p, Bank &b, bool write) {
    if (!b.open) { complain("access of a closed bank"); return; }
    if (p.a >> 10 & 1) complain("automatic PRECHARGE is not used here");
    need("access behind ACTIVE", b.active, t.rcd);
    if (now.on && now.done < burst) complain("a burst is cut short");
    now = {true, write, p.ba, b.row, p.a & ((1u << column_bits) - 1), 0, edge};
  }
  void refresh(double at) {
    for (Bank &b : bank) {
      if (b.open) complain("REFRESH with an open bank");
      need("REFRESH behind PRECHARGE", b.closed, t.rp);
    }
    refreshed = last_refresh = at;
    refreshes++;
    if (!moded) first_refreshes++;
  }
  void precharge(const SdramPins &p, double at) {
    bool all = p.a >> 10 & 1;
    for (uint32_t i = 0; i < banks; i++) {
      if (!all && i != p.ba) continue;
      Bank &b = bank[i];
      if (b.open) {
        need("PRECHARGE behind ACTIVE", b.active, t.ras);
        need("PRECHARGE behind a word written", b.written, t.wr);
        if (now.on && now.bank == i && now.done < burst) complain("PRECHARGE within a burst");
      }
      b.open = false; b.closed = at;
    }
  }
  void mode(const SdramPins &p, double at) {
    for (Bank &b : bank) if (b.open) complain("MODE with an open bank");
    if (first_refreshes < 2) complain("MODE before two refreshes");
    uint32_t code = p.a & 7;
    if (code > 3 || (p.a >> 3 & 1) || (p.a >> 7)) complain("a mode that is not modelled");
    burst = 1u << code; latency = p.a >> 4 & 7;
    if (latency < 2 || latency > 3) complain("CAS latency is not 2 or 3");
    moded = true; moded_at = at;
  }
  // Words of the burst at this edge; the column wraps within the burst's aligned block.
  void move(const SdramPins &p, double at) {
    if (!now.on || now.done == burst) {
      return;
    }
    uint32_t column = (now.column & ~(burst - 1)) | ((now.column + now.done) & (burst - 1));
    uint16_t &word = cell(now.bank, now.row, column);
    if (now.write) {
      if (!p.driven) complain("a word to write is not driven");
      if (!(p.dqm & 1)) word = (word & 0xff00) | (p.dq & 0xff);
      if (!(p.dqm & 2)) word = (word & 0x00ff) | (p.dq & 0xff00);
      bank[now.bank].written = at;
    } else {
      if (p.dqm) complain("a read is masked");
      output[latency - 1] = word;
    }
    now.done++;
  }
};
