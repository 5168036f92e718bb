#include "cli/inspect_run.h"

#include "base/error.h"
#include "cli/console.h"
#include "compiler/lpu/compile_lpu.h"
#include "machine/machine.h"
#include "program/encode.h"
#include "program/isa/isa.h"
#include "store/atomic_file.h"
#include "targets/lpu/energy.h"
#include "targets/lpu/look/page.h"
#include "targets/lpu/look/perfetto_trace.h"
#include "targets/lpu/look/run_entry.h"

namespace lockstep::cli {

using targets::lpu::EnergyPart;
using targets::lpu::EnergyUse;

namespace {

using Json = nlohmann::ordered_json;

constexpr unsigned kCheckThreads = 2;

// The machine whose file the program carries; else the one of its name.
machine::Machine machine_of(const program::Program& program, const std::string& path) {
  const program::Asset* asset = program.find_asset(compiler::kMachineAsset);
  const machine::Machine machine =
      asset == nullptr
          ? machine::find_machine(program.machine)
          : machine::parse_machine({reinterpret_cast<const char*>(asset->bytes.data()), asset->bytes.size()},
                                   path + ": the machine's file in it");
  if (machine.name != program.machine) {
    user_error("{}: says that it is for the machine {}, but carries the file of {}", path, program.machine,
               machine.name);
  }
  return machine;
}

Json range_json(const machine::Range& range) {
  return {{"low", range.low}, {"value", range.value}, {"high", range.high}};
}

Json energy_json(const EnergyUse& use, uint64_t cycles) {
  Json json = {{"cycles", cycles}, {"seconds", use.seconds}, {"joules", range_json(use.joules)}};
  json["watts"] = range_json(use.watts());
  json["parts"] = Json::array();
  for (const EnergyPart& part : use.parts) {
    json["parts"].push_back({{"unit", part.unit},
                             {"event", part.event},
                             {"count", part.count},
                             {"joules", range_json(part.joules)}});
  }
  return json;
}

void print_energy(const EnergyUse& use, uint64_t cycles, const std::string& entry) {
  constexpr double kMicro = 1e6;
  print_text(fmt::format("{}: {} cycles, {:.2f} us\n\n{:<8} {:<36} {:>11} {:>12} {:>12} {:>12} {:>7}\n",
                         entry, cycles, use.seconds * kMicro, "unit", "event", "count", "low, uJ", "uJ",
                         "high, uJ", "share"));
  const auto line = [&](const char* unit, const char* event, const std::string& count,
                        const machine::Range& joules) {
    print_text(fmt::format("{:<8} {:<36} {:>11} {:>12.2f} {:>12.2f} {:>12.2f} {:>6.1f}%\n", unit, event,
                           count, joules.low * kMicro, joules.value * kMicro, joules.high * kMicro,
                           100 * joules.value / use.joules.value));
  };
  for (const EnergyPart& part : use.parts) {
    line(part.unit, part.event, fmt::format("{}", part.count), part.joules);
  }
  line("all", "", "", use.joules);
  const machine::Range watts = use.watts();
  print_text(fmt::format("\non average {:.1f} W (from {:.1f} to {:.1f} W by the machine's assumptions)\n",
                         watts.value, watts.low, watts.high));
}

// Runs the entry and writes the trace file on the way.
targets::lpu::Run write_trace(const program::Program& program, const machine::Machine& machine,
                              const std::string& entry, targets::lpu::Window window,
                              const std::string& path) {
  store::AtomicFile file(path);
  targets::lpu::PerfettoTrace trace(program, entry, window,
                                    [&](std::string_view text) { file.append(as_bytes(text)); });
  const targets::lpu::Run run = targets::lpu::run_entry(program, machine, entry, &trace);
  trace.finish();
  file.commit(store::Durability::Lazy);
  print_text(fmt::format("{}: {} slices of {} cycles of {}; ui.perfetto.dev shows them\n", path,
                         trace.slices(), run.cycles, entry));
  return run;
}

// Runs the entry and writes the page about it.
targets::lpu::Run write_page(const program::Program& program, const machine::Machine& machine,
                             const std::string& entry_name, targets::lpu::Window window,
                             const std::string& path) {
  using namespace targets::lpu;
  store::AtomicFile file(path);
  Recorder recorder(program, machine);
  const Run run = run_entry(program, machine, entry_name, &recorder);
  const NodeMap map(program);
  const program::Entry& entry = program.entry(entry_name);
  const uint32_t chips = chips_of(program);
  const Activity activity =
      analyse(recorder, program, machine, entry, map, run.cycles, window, page_bins(chips));
  const uint64_t cycles = activity.window.to - activity.window.from;
  const EnergyUse energy =
      energy_use(cycles == run.cycles ? run.events : activity.events, cycles, chips, machine);
  const std::string text = page({program, machine, entry, map, activity, energy});
  file.append(as_bytes(text));
  file.commit(store::Durability::Lazy);
  print_text(fmt::format("{}: cycles {} to {} of {}, {:.1f} MB; a browser shows it\n", path,
                         activity.window.from, activity.window.to, entry_name,
                         static_cast<double>(text.size()) / 1e6));
  return run;
}

}  // namespace

void InspectRunOptions::add(CLI::App& command) {
  const char* group = "A run of an LPU program on the simulator";
  command.add_option("--trace", trace, "write a trace of all queues for ui.perfetto.dev; 1 cycle is 1 ns")
      ->type_name("FILE.json")
      ->group(group);
  command.add_option("--html", html, "write a page that shows the chip and the step, cycle by cycle")
      ->type_name("FILE.html")
      ->group(group);
  command.add_flag("--energy", energy, "joules by unit; --json prints them as JSON")->group(group);
  command.add_option("--entry", entry, "which entry to run (default: the program's first)")
      ->type_name("NAME")
      ->group(group);
  command.add_option("--from", from, "first cycle for --trace and --html (default: 0)")
      ->type_name("CYCLE")
      ->group(group);
  command.add_option("--to", to, "one past the last cycle for --trace and --html (default: the run's end)")
      ->type_name("CYCLE")
      ->group(group);
}

void InspectRunOptions::require_consistent() const {
  if (!wanted() && !entry.empty()) {
    user_error("--entry {}: says what is run for --trace, --html or --energy; one of them is missing", entry);
  }
  if (trace.empty() && html.empty() && (from || to)) {
    user_error("--from and --to choose cycles for --trace or --html; one of them is missing");
  }
  if (from && to && *from >= *to) {
    user_error("--from {} --to {}: the first cycle must be before the end", *from, *to);
  }
}

void inspect_run(const program::Program& program, Bytes bytes, const std::string& path,
                 const InspectRunOptions& options, bool json) {
  if (program.isa != program::isa::lpu().name) {
    user_error("{}: --trace, --html and --energy show a run of an LPU program, and this one is for the {}",
               path, program.isa);
  }
  if (program.entries.empty()) user_error("{}: the program has no entry to run", path);
  const std::string& entry = options.entry.empty() ? program.entries[0].name : options.entry;
  program.entry(entry);  // refuses one that is not there
  const machine::Machine machine = machine_of(program, path);
  const targets::lpu::Window window = {options.from.value_or(0), options.to.value_or(~uint64_t{0})};
  program::check_leaves(bytes, path, kCheckThreads);
  std::optional<targets::lpu::Run> run;
  if (!options.trace.empty()) run = write_trace(program, machine, entry, window, options.trace);
  if (!options.html.empty()) run = write_page(program, machine, entry, window, options.html);
  if (!options.energy) return;
  if (!run) run = targets::lpu::run_entry(program, machine, entry, nullptr);
  const EnergyUse use =
      targets::lpu::energy_use(run->events, run->cycles, targets::lpu::chips_of(program), machine);
  if (json) return print_json(energy_json(use, run->cycles));
  print_energy(use, run->cycles, entry);
}

}  // namespace lockstep::cli
