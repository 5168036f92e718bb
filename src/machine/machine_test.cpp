// The machines that come along, what follows from their numbers, and every way in which a file is refused.
#include "machine/machine.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "machine/figures.h"
#include "machine/machine_texts.h"

namespace lockstep::machine {
namespace {

std::string text_of(std::string_view name) {
  for (const MachineText& machine : machine_texts()) {
    if (machine.name == name) return std::string(machine.text);
  }
  return "";
}

template <class Function>
std::string refusal(Function function) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User) << error.what();
    return error.what();
  }
  return "";
}

TEST(Machines, AreReadUnderTheirNames) {
  EXPECT_EQ(machine_names(), (std::vector<std::string>{"lp30", "lpu-mini", "lpu-v1"}));
  for (const std::string& name : machine_names()) {
    const Machine machine = find_machine(name);
    EXPECT_EQ(machine.name, name);
    EXPECT_FALSE(machine.title.empty());
    for (const Datum& datum : machine.data) {
      EXPECT_FALSE(datum.source.empty()) << datum.key;
      EXPECT_EQ(machine.find(datum.key), &datum);
    }
  }
  EXPECT_EQ(
      refusal([] { find_machine("tsp"); }),
      "no machine is named tsp; lp30, lpu-mini, lpu-v1 are, and the path of a file that ends in .toml is "
      "possible");
  EXPECT_NE(refusal([] { find_machine("/nowhere/x.toml"); }).find("/nowhere/x.toml"), std::string::npos);
}

// One number of every section, in the unit of the structure.
TEST(Machines, NumbersArriveWhereTheyBelong) {
  const Machine machine = find_machine("lpu-v1");
  EXPECT_EQ(machine.clock_hz, 900e6);
  EXPECT_EQ(machine.link_bytes_per_second, 12.5e9);
  EXPECT_EQ(machine.packet_bytes, 328u);
  EXPECT_EQ(machine.packet_cycles(), 24u);  // 23.6
  EXPECT_EQ(machine.rsqrt_bits, 14u);
  EXPECT_EQ(machine.geometry.lanes(), 320u);
  EXPECT_EQ(machine.geometry.groups(), 11u);
  EXPECT_EQ(machine.mem_hop(0), 1u);
  EXPECT_EQ(machine.mem_hop(43), 11u);
  EXPECT_EQ(machine.hops.mxm, 16u);
  EXPECT_EQ(machine.latency.mxm_product, 28u);
  EXPECT_EQ(machine.energy.mem_read_pj.low, 70);
  EXPECT_EQ(machine.energy.mem_read_pj.value, 137);
  EXPECT_EQ(machine.energy.mem_read_pj.high, 550);
  EXPECT_EQ(machine.find("energy.mem_read.high")->value, 550);
  EXPECT_EQ(machine.find("latency.vxm_entry")->unit, "cycles");
  EXPECT_EQ(machine.find("latency.vxm_fma")->standing, "assumed");
  EXPECT_EQ(machine.find("latency"), nullptr);
  EXPECT_EQ(find_machine("lpu-mini").geometry.slice_rows, 64u);
}

double figure(const Machine& machine, std::string_view name) {
  for (const Figure& candidate : figures()) {
    if (candidate.name == name) return candidate.predict(machine);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

TEST(Figures, FollowFromTheNumbersOfLpuV1) {
  const Machine machine = find_machine("lpu-v1");
  EXPECT_NEAR(figure(machine, "sram"), 230.7, 0.05);
  EXPECT_EQ(figure(machine, "stream_bandwidth"), 20);
  EXPECT_NEAR(figure(machine, "stream_rate"), 18.432, 1e-9);
  EXPECT_EQ(figure(machine, "sram_bandwidth"), 55);
  EXPECT_NEAR(figure(machine, "peak"), 737.3, 0.05);
  EXPECT_EQ(chain_cycles(machine), 50u);
  // Read 1, 12 hops, 20 loads, 1 and 2 until activations may follow.
  EXPECT_EQ(weights_cycles(machine), 35u);
  EXPECT_LT(weights_cycles(machine), 40u);
  EXPECT_EQ(hop_cycles(machine), 1u + 9 + 217 + 9 + 1);
  EXPECT_EQ(all_reduce_cycles(machine, 8), 1u + 9 + (217 + 15 + 5 + 3 * 3) + 6 + 1);
  EXPECT_EQ(all_reduce_cycles(machine, 256), 1u + 9 + 3 * (217 + 15 + 5 + 3 * 3) + 2 * 15 + 6 + 1);
  EXPECT_NEAR(figure(machine, "all_reduce_256"), 872.2, 0.1);
}

TEST(Figures, FollowFromTheNumbersOfLp30) {
  const Machine machine = find_machine("lp30");
  EXPECT_NEAR(figure(machine, "sram"), 503.3, 0.05);
  EXPECT_NEAR(figure(machine, "hop"), 350, 1e-9);
  EXPECT_NEAR(figure(machine, "peak"), 1228.8, 0.05);
  EXPECT_EQ(machine.packet_cycles(), 36u);  // 35.1
}

// Published figures are of those that can be predicted; where the prediction is off, the file says why.
TEST(Figures, DifferencesHaveASentence) {
  for (const std::string& name : machine_names()) {
    const Machine machine = find_machine(name);
    for (const Figure& one : figures()) {
      const double predicted = one.predict(machine);
      EXPECT_TRUE(predicted >= 0 && predicted < 1e9) << name << " " << one.name;
      const Datum* published = machine.find(std::string("published.") + one.name);
      if (published == nullptr) continue;
      const double ratio = predicted / published->value;
      EXPECT_TRUE(!published->note.empty() || (ratio > 0.99 && ratio < 1.01)) << name << " " << one.name;
    }
  }
}

TEST(WithValue, ReplacesAndChecksAgain) {
  const Machine machine = find_machine("lpu-v1");
  const Machine slower = with_value(machine, "latency.vxm_operation", 5);
  EXPECT_EQ(slower.latency.vxm_operation, 5u);
  EXPECT_EQ(slower.find("latency.vxm_operation")->value, 5);
  EXPECT_EQ(chain_cycles(slower), chain_cycles(machine) + 6);
  EXPECT_EQ(machine.latency.vxm_operation, 3u);
  EXPECT_EQ(with_value(machine, "energy.mem_read.low", 100).energy.mem_read_pj.low, 100);
  EXPECT_EQ(with_value(machine, "clock.rate", 1000).clock_hz, 1e9);
  EXPECT_EQ(refusal([&] { with_value(machine, "latency.vxm", 5); }),
            "the machine lpu-v1 has no number latency.vxm; latency.vxm_entry is one");
  EXPECT_EQ(refusal([&] { with_value(machine, "latency.vxm_operation", 2.5); }),
            "lpu-v1: latency.vxm_operation is 2.5; a whole number from 1 to 10000 is wanted");
  EXPECT_EQ(refusal([&] { with_value(machine, "energy.mem_read.low", 138); }),
            "lpu-v1: energy.mem_read is 137, which does not lie between its low 138 and its high 550");
}

// Every key is needed, and no number may be absurd.
TEST(MachineFile, NoKeyMayBeMissingOrAbsurd) {
  const std::string text = text_of("lpu-v1");
  const Machine machine = find_machine("lpu-v1");
  for (const Datum& datum : machine.data) {
    const bool published = datum.key.starts_with("published.");
    for (double value : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                         -1.0, 1e9 * 1e9}) {
      const std::string message = refusal([&] { with_value(machine, datum.key, value); });
      EXPECT_NE(message.find(datum.key), std::string::npos) << datum.key << " " << value << ": " << message;
    }
    const size_t dot = datum.key.find('.');
    if (published || datum.key.find('.', dot + 1) != std::string::npos) continue;
    const size_t section = text.find("[" + datum.key.substr(0, dot) + "]");
    const size_t line = text.find("\n" + datum.key.substr(dot + 1) + " = ", section) + 1;
    ASSERT_NE(line, 0u) << datum.key;
    const std::string cut = text.substr(0, line) + text.substr(text.find('\n', line) + 1);
    const std::string message = refusal([&] { parse_machine(cut, "cut.toml"); });
    EXPECT_TRUE(message.starts_with("cut.toml: " + datum.key + " is missing")) << message;
  }
}

struct Edit {
  const char* from;  // the first place in lpu-v1's file where it stands
  const char* to;
  const char* says;  // after "file.toml: "
};

TEST(MachineFile, SaysWhatIsWrong) {
  const char* superlanes = "superlanes = { value = 20, unit = \"superlanes\", standing = \"published\"";
  const Edit edits[] = {
      {"name = \"lpu-v1\"", "", "name is missing; a text is wanted"},
      {"name = \"lpu-v1\"", "name = 7", "name is no text or an empty one"},
      {"name = \"lpu-v1\"", "name = \"../x\"",
       "name is ../x; at most 32 small letters, digits and - are wanted"},
      {"[geometry]", "[geometry", "line "},
      {"[geometry]", "\xff\xfe", "line 17 has a character that is not plain ASCII"},
      {"[geometry]", "[$geometry]", "line 17 is no TOML"},
      {"[geometry]", "[geometry]\nlanes = 320", "geometry.lanes is an unknown key"},
      {"[geometry]", "[colour]\n[geometry]", "colour is an empty section"},
      {"[geometry]", "[colour]\nred = 1\n[geometry]", "colour.red is an unknown key"},
      {"[clock]", "speed = 1\n[clock]", "speed is an unknown key"},
      {"[clock]", "\"a\\nb\" = 1\n[clock]", "a\\x0ab is an unknown key"},
      {superlanes, "superlanes = 20 # ", "geometry.superlanes is no table; { value"},
      {"value = 20,", "", "geometry.superlanes.value is missing"},
      {"value = 20,", "value = \"20\",", "geometry.superlanes.value is no number"},
      {"value = 20,", "value = 0,", "geometry.superlanes is 0; a whole number from 1 to 20 is wanted"},
      {"value = 20,", "value = 21,", "geometry.superlanes is 21;"},
      {"value = 20,", "value = 9223372036854775807,", "geometry.superlanes is 9.223372036854776e+18;"},
      {"value = 20,", "value = nan,", "geometry.superlanes is nan;"},
      {"value = 20,", "value = 19.5,", "geometry.superlanes is 19.5;"},
      {"value = 20,", "value = 20, colour = 1,", "geometry.superlanes has an unknown part colour"},
      {"unit = \"superlanes\"", "unit = \"lanes\"",
       "geometry.superlanes is given in lanes; superlanes is wanted"},
      {"unit = \"superlanes\", standing = \"published\"", "unit = \"superlanes\", standing = \"guessed\"",
       "geometry.superlanes.standing is guessed; published, derived or assumed is wanted"},
      {"source = \"ISCA 2020: 20 tiles a slice\"", "source = \"\"", "geometry.superlanes.source is no text"},
      {"value = 16,", "value = 8,", "geometry.superlane_lanes is 8; only 16 is possible"},
      {"value = 32,", "value = 24,", "geometry.streams is 24; 16 or 32 is wanted"},
      {"value = 32,", "value = 33,", "geometry.streams is 33;"},
      {"value = 44,", "value = 45,",
       "geometry.slices is 45, which is no multiple of geometry.group_slices, 4"},
      {"value = 44,", "value = 1000000000,", "geometry.slices is 1000000000;"},
      {"value = 44,", "value = 64,", "hops.sxm is 15; 17 or more is wanted"},
      {"sxm = { value = 15,", "sxm = { value = 17,",
       "hops.mxm is 16; 17 or more is wanted, because of hops.sxm"},
      {"value = 8192,", "value = 8191,", "geometry.slice_rows is 8191, which is no multiple"},
      {"value = 640,", "value = 5000,", "geometry.queue_bytes is 4096; 5000 or more is wanted"},
      {"value = 11,", "value = 6,",
       "geometry.links is 6; 7 or more is wanted, because of geometry.node_chips"},
      {"value = 328,", "value = 319,", "link.packet is 319; 320 or more is wanted"},
      {"value = 217,", "value = 1e5,", "latency.c2c_link is 100000;"},
      {"low = 70,", "low = 140,", "energy.mem_read is 137, which does not lie between"},
      {"low = 70,", "", "energy.mem_read.low is missing"},
      {"value = 900,", "value = 0,", "clock.rate is 0; a number from 1 to 10000 is wanted"},
      {"value = 230,", "value = 0,", "published.sram is 0;"},
      {"[published]", "[published]\nspeed = { value = 1 }", "published.speed is an unknown key"},
  };
  for (const Edit& edit : edits) {
    std::string text = text_of("lpu-v1");
    const size_t at = text.find(edit.from);
    ASSERT_NE(at, std::string::npos) << edit.from;
    text.replace(at, std::string_view(edit.from).size(), edit.to);
    const std::string message = refusal([&] { parse_machine(text, "file.toml"); });
    EXPECT_TRUE(message.starts_with(std::string("file.toml: ") + edit.says)) << edit.to << ": " << message;
  }
  EXPECT_EQ(refusal([] { parse_machine(std::string(2 << 20, '#'), "file.toml"); }),
            "file.toml: has 2097152 bytes, and a machine file has at most 1048576");
}

}  // namespace
}  // namespace lockstep::machine
