// The test bench of an exported tile: runs one program and compares memory with what is expected.
//
//   bench FOLDER [WAVEFORM.vcd FIRST END]
//
// FOLDER holds memory.bin (the image, program included), expected.bin (the output's bytes) and
// stimulus.txt (address and words of the program; output and its bytes; cycles that are predicted).
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

struct Sim;
extern "C" {
Sim *sim_new();
void sim_free(Sim *);
void sim_memory(Sim *, uint8_t *, uint64_t, uint32_t);
void sim_write(Sim *, uint32_t, uint32_t);
uint32_t sim_read(Sim *, uint32_t);
int sim_run(Sim *, uint64_t, uint64_t);
int sim_trace(Sim *, const char *, uint64_t, uint64_t);
}

// Registers of the mailbox (jiriki/rtl/control/mailbox.py).
enum { CONTROL = 0x000, PROGRAM = 0x008, WORDS = 0x00c, CYCLES = 0x010 };

static std::vector<uint8_t> bytes(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) { fprintf(stderr, "bench: %s cannot be read\n", path.c_str()); exit(2); }
  return {std::istreambuf_iterator<char>(file), {}};
}

int main(int count, char **given) {
  if (count != 2 && count != 5) { fprintf(stderr, "bench FOLDER [WAVEFORM.vcd FIRST END]\n"); return 2; }
  std::string folder = given[1];
  std::vector<uint8_t> memory = bytes(folder + "/memory.bin"), expected = bytes(folder + "/expected.bin");
  std::map<std::string, uint64_t> numbers;
  std::ifstream text(folder + "/stimulus.txt");
  std::string name;
  for (uint64_t value; text >> name >> value;) numbers[name] = value;
  uint64_t output = numbers["output"];
  if (!numbers.count("output") || output + expected.size() > memory.size()) {
    fprintf(stderr, "bench: %s/stimulus.txt does not fit the other files\n", folder.c_str());
    return 2;
  }
  Sim *sim = sim_new();
  sim_memory(sim, memory.data(), memory.size(), (uint32_t)numbers["latency"]);
  if (count == 5 && !sim_trace(sim, given[2], strtoull(given[3], 0, 10), strtoull(given[4], 0, 10))) {
    fprintf(stderr, "bench: %s cannot be written\n", given[2]);
    return 2;
  }
  sim_write(sim, PROGRAM, (uint32_t)numbers["address"]);
  sim_write(sim, WORDS, (uint32_t)numbers["words"]);
  sim_write(sim, CONTROL, 1);
  int outcome = sim_run(sim, 100 * numbers["cycles"] + 100000, 100000);
  if (outcome) { printf("FAIL: the program does not reach HALT (%d)\n", outcome); return 1; }
  uint64_t wrong = 0, cycles = sim_read(sim, CYCLES);
  cycles |= (uint64_t)sim_read(sim, CYCLES + 4) << 32;
  for (uint64_t i = 0; i < expected.size(); i++) wrong += memory[output + i] != expected[i];
  bool good = !wrong && cycles == numbers["cycles"];
  printf("%s: %llu of %zu bytes differ; %llu cycles, %llu predicted\n", good ? "PASS" : "FAIL",
         (unsigned long long)wrong, expected.size(), (unsigned long long)cycles,
         (unsigned long long)numbers["cycles"]);
  sim_free(sim);
  return good ? 0 : 1;
}
