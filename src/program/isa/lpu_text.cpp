#include "program/isa/lpu_text.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/printable.h"

namespace lockstep::program::isa {

namespace {

constexpr uint64_t kNopMax = 65535;
constexpr uint64_t kCycleMax = uint64_t{1} << 40;
constexpr uint64_t kGapNopsMax = uint64_t{1} << 20;  // of a text; all else is no longer than the text

struct Width {
  std::string_view suffix;
  OperandKind operand;
  uint64_t bytes;  // of a result; 0 where no result is written so
};
constexpr Width kWidths[] = {{"", OperandKind::Word, 4},
                             {".i8", OperandKind::Int8, 1},
                             {".i16", OperandKind::Int16, 2},
                             {".u8", OperandKind::Uint8, 0}};

bool is(const Instruction& instruction, LpuOp op) {
  return instruction.opcode == static_cast<uint16_t>(op);
}

// Sync and Notify begin a new count of cycles.
bool restarts(const Instruction& instruction) {
  return is(instruction, LpuOp::Sync) || is(instruction, LpuOp::Notify);
}

// How an operation takes its immediate.
enum class ImmediateKind { Float, Integer, Bits };
ImmediateKind immediate_kind(uint16_t opcode) {
  switch (static_cast<LpuOp>(opcode)) {
    case LpuOp::Add:
    case LpuOp::Subtract:
    case LpuOp::Multiply:
    case LpuOp::Fma:
    case LpuOp::Maximum:
    case LpuOp::Less:
    case LpuOp::Rint:
    case LpuOp::RSqrt:
    case LpuOp::FloatToInt32:
      return ImmediateKind::Float;
    case LpuOp::Select:
    case LpuOp::Move:
    case LpuOp::And:
    case LpuOp::Or:
    case LpuOp::Xor:
      return ImmediateKind::Bits;
    default:
      return ImmediateKind::Integer;
  }
}

std::string immediate_text(uint16_t opcode, uint64_t word) {
  const uint32_t bits = static_cast<uint32_t>(word);
  switch (immediate_kind(opcode)) {
    case ImmediateKind::Float:
      if (const float value = std::bit_cast<float>(bits); std::isfinite(value)) {
        return fmt::format("#{}", value);
      }
      break;
    case ImmediateKind::Integer:
      return fmt::format("#{}", static_cast<int32_t>(bits));
    case ImmediateKind::Bits:
      break;
  }
  return fmt::format("#0x{:x}", bits);
}

constexpr size_t kImmediate = 3, kEast = 4, kWest = 5, kBytes = 6;  // words of an operation of the VXM

std::string vxm_text(const Instruction& instruction) {
  const std::vector<uint64_t>& words = instruction.words;
  std::string text;
  bool shown = words[kImmediate] == 0;
  for (size_t i = 0; i < kImmediate; ++i) {
    const Operand operand = decode_operand(words[i]);
    if (operand.kind == OperandKind::None) continue;
    const bool immediate = operand.kind == OperandKind::Immediate;
    text += ' ' + (immediate ? immediate_text(instruction.opcode, words[kImmediate]) : operand_text(operand));
    shown = shown || immediate;
  }
  if (!shown) text += fmt::format(" unused=0x{:x}", words[kImmediate]);
  if (words[kBytes] == 0) return text;
  text += " ->";
  for (size_t direction : {kEast, kWest}) {
    if (words[direction] == kNone) continue;
    text += ' ' + stream_text(words[direction]);
    for (const Width& width : kWidths) {
      if (width.bytes == words[kBytes]) text += width.suffix;
    }
  }
  return text;
}

std::string fields_text(const Opcode& opcode, const Instruction& instruction) {
  std::string text;
  for (size_t f = 0; f < opcode.fields.size(); ++f) {
    const Field& field = opcode.fields[f];
    const uint64_t word = instruction.words[f];
    if (field.kind == FieldKind::Stream) {
      text += fmt::format(" {}={}", field.name, stream_text(word));
    } else if (word != 0 || field.kind == FieldKind::Row) {
      text += fmt::format(" {}={}", field.name, word);
    }
  }
  return text;
}

// Whether a run of Nops is what a gap of their sum gives.
bool is_gap(const std::vector<Instruction>& instructions, size_t begin, size_t end) {
  if (end == instructions.size()) return false;
  for (size_t i = begin; i + 1 < end; ++i) {
    if (instructions[i].words[0] != kNopMax) return false;
  }
  return true;
}

}  // namespace

std::string stream_text(uint64_t stream) {
  return (stream < kLpuStreams / 2 ? "e" : "w") + std::to_string(stream % (kLpuStreams / 2));
}

std::string operand_text(Operand operand) {
  switch (operand.kind) {
    case OperandKind::None:
      return "-";
    case OperandKind::Immediate:
      return "imm";
    case OperandKind::Alu:
      return "alu" + std::to_string(operand.index);
    default:
      break;
  }
  for (const Width& width : kWidths) {
    if (width.operand == operand.kind) return stream_text(operand.index) + std::string(width.suffix);
  }
  return "?";
}

std::string instruction_text(const Instruction& instruction) {
  const Opcode& opcode = *lpu().find(instruction.opcode);
  const bool vxm = lpu_unit(instruction.opcode) == LpuUnit::Vxm;
  return opcode.name + (vxm ? vxm_text(instruction) : fields_text(opcode, instruction));
}

std::string print_timed(const Queue& queue) {
  std::string text = "queue " + queue.unit;
  if (queue.memory != kNone) text += fmt::format(" memory {}", queue.memory);
  text += '\n';
  const std::vector<Instruction>& instructions = queue.instructions;
  uint64_t cycle = 0;
  for (size_t i = 0; i < instructions.size();) {
    size_t end = i;
    uint64_t waited = 0;
    for (; end < instructions.size() && is(instructions[end], LpuOp::Nop); ++end) {
      waited += instructions[end].words[0];
    }
    if (end > i && is_gap(instructions, i, end)) {
      cycle += waited;
      i = end;
    }
    const Instruction& instruction = instructions[i];
    text += fmt::format("  {}: {}", cycle, instruction_text(instruction));
    cycle += is(instruction, LpuOp::Nop) ? instruction.words[0] : 1;
    if (restarts(instruction)) cycle = 0;
    ++i;
    if (i < instructions.size() && is(instructions[i], LpuOp::Repeat)) {
      const std::vector<uint64_t>& words = instructions[i].words;
      text += fmt::format(" repeat {} every {}", words[0], words[1]);
      cycle += words[0] * words[1];
      ++i;
    }
    text += '\n';
  }
  return text;
}

namespace {

// Takes a text apart, a line at a time.
class Parser {
 public:
  Parser(std::string_view text, const std::string& what) : text_(text), what_(what) {}

  std::vector<Queue> parse() {
    while (next_line()) {
      if (at_end()) continue;
      if (peek() == "queue") {
        heading();
      } else {
        instruction();
      }
    }
    return std::move(queues_);
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    user_error("{}: line {}: {}", what_, line_, fmt::format(format, std::forward<Args>(args)...));
  }

  // The words of the next line, without its comment.
  bool next_line() {
    words_.clear();
    next_ = 0;
    if (text_.empty()) return false;
    ++line_;
    const size_t end = std::min(text_.find('\n'), text_.size());
    std::string_view line = text_.substr(0, end);
    text_.remove_prefix(std::min(end + 1, text_.size()));
    line = line.substr(0, line.find(';'));
    constexpr std::string_view kSpaces = " \t\r";
    while (true) {
      line.remove_prefix(std::min(line.find_first_not_of(kSpaces), line.size()));
      if (line.empty()) return true;
      const size_t size = std::min(line.find_first_of(kSpaces), line.size());
      words_.push_back(line.substr(0, size));
      line.remove_prefix(size);
    }
  }

  bool at_end() const { return next_ == words_.size(); }
  std::string_view peek() const { return at_end() ? std::string_view() : words_[next_]; }
  std::string_view take(const char* wanted) {
    if (at_end()) refuse("{} is missing", wanted);
    return words_[next_++];
  }

  // A whole text that is a number, decimal or 0x and hexadecimal.
  template <class Number>
  static std::optional<Number> number_of(std::string_view text) {
    int base = 10;
    if (text.starts_with("0x")) {
      text.remove_prefix(2);
      base = 16;
    }
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return number;
  }
  uint64_t take_number(const char* wanted, uint64_t min, uint64_t max) {
    const std::string_view text = take(wanted);
    const auto number = number_of<uint64_t>(text);
    if (!number || *number < min || *number > max) {
      refuse("{} is no {}, which is a number from {} to {}", printable(text), wanted, min, max);
    }
    return *number;
  }

  void heading() {
    ++next_;
    const std::string unit(take("the name of a queue"));
    name_ = parse_unit_name(unit);
    if (name_.unit == LpuUnit::Icu || unit_name(name_) != unit) {
      refuse("{} is no queue; c0.mem.e.7 and c0.vxm.3 are", printable(unit));
    }
    queues_.push_back({unit, kNone, {}});
    cycle_ = 0;
    if (at_end()) return;
    if (take("memory") != "memory") refuse("after a queue's name there may be memory and its number");
    queues_.back().memory = static_cast<uint32_t>(take_number("memory", 0, kNone - 1));
    finish_line();
  }

  void finish_line() const {
    if (!at_end()) refuse("{} is too much", printable(peek()));
  }

  void append(Instruction instruction) { queues_.back().instructions.push_back(std::move(instruction)); }

  void wait(uint64_t cycles) {
    gap_nops_ += (cycles + kNopMax - 1) / kNopMax;
    if (gap_nops_ > kGapNopsMax) refuse("the waits of this text take more than {} instructions", kGapNopsMax);
    for (; cycles > 0; cycles -= std::min(cycles, kNopMax)) {
      append({static_cast<uint16_t>(LpuOp::Nop), {std::min(cycles, kNopMax)}});
    }
  }

  void instruction() {
    if (queues_.empty())
      refuse("an instruction stands before the first queue; a line 'queue c0.vxm.3' begins one");
    std::string_view time = take("a cycle");
    if (!time.ends_with(':')) refuse("{} is no cycle, which is a number and a colon", printable(time));
    time.remove_suffix(1);
    const auto cycle = number_of<uint64_t>(time);
    if (!cycle || *cycle > kCycleMax) refuse("{} is no cycle from 0 to {}", printable(time), kCycleMax);
    if (*cycle < cycle_) refuse("cycle {} is taken; {} is the first free one", *cycle, cycle_);
    wait(*cycle - cycle_);

    const std::string_view mnemonic = take("an instruction");
    const Opcode* opcode = lpu().find(mnemonic);
    if (opcode == nullptr || opcode->number == static_cast<uint16_t>(LpuOp::Repeat) ||
        !executes(name_, opcode->number)) {
      refuse("{} is no instruction of {}; {} are", printable(mnemonic), queues_.back().unit, possible());
    }
    Instruction instruction{opcode->number, std::vector<uint64_t>(opcode->fields.size())};
    if (lpu_unit(opcode->number) == LpuUnit::Vxm) {
      vxm_words(instruction);
    } else {
      named_words(*opcode, instruction);
    }
    cycle_ = *cycle + (is(instruction, LpuOp::Nop) ? instruction.words[0] : 1);
    if (restarts(instruction)) cycle_ = 0;
    append(std::move(instruction));
    if (peek() == "repeat") repeat(opcode->number);
    finish_line();
  }

  std::string possible() const {
    std::string names;
    for (const Opcode& opcode : lpu().opcodes) {
      if (opcode.number == static_cast<uint16_t>(LpuOp::Repeat) || !executes(name_, opcode.number)) continue;
      names += (names.empty() ? "" : ", ") + std::string(opcode.name);
    }
    return names;
  }

  void repeat(uint16_t opcode) {
    if (lpu_unit(opcode) == LpuUnit::Icu) refuse("this instruction cannot be repeated");
    ++next_;
    const uint64_t times = take_number("number of repetitions", 1, kNopMax);
    if (take("every") != "every")
      refuse("after the number of repetitions comes every and a number of cycles");
    const uint64_t every = take_number("number of cycles", 1, kNopMax);
    append({static_cast<uint16_t>(LpuOp::Repeat), {times, every}});
    cycle_ += times * every;
  }

  // Stream "e4" or "w12", first of an aligned group.
  std::optional<uint64_t> stream_of(std::string_view text, uint64_t group) const {
    if (text.empty() || (text[0] != 'e' && text[0] != 'w')) return std::nullopt;
    const auto number = number_of<uint64_t>(text.substr(1));
    if (!number || *number >= kLpuStreams / 2 || *number % group != 0) return std::nullopt;
    return *number + (text[0] == 'w' ? kLpuStreams / 2 : 0);
  }

  // field=value in any order; integers that are not there are zero.
  void named_words(const Opcode& opcode, Instruction& instruction) {
    std::vector<bool> given(opcode.fields.size());
    while (!at_end() && peek() != "repeat") {
      const std::string_view word = take("a field");
      const size_t equals = word.find('=');
      const auto field =
          std::find_if(opcode.fields.begin(), opcode.fields.end(),
                       [&](const Field& candidate) { return candidate.name == word.substr(0, equals); });
      if (equals == std::string_view::npos || field == opcode.fields.end()) {
        refuse("{} is no field of {}; {}", printable(word), opcode.name, fields_of(opcode));
      }
      const size_t index = static_cast<size_t>(field - opcode.fields.begin());
      if (given[index]) refuse("{} is given twice", field->name);
      given[index] = true;
      instruction.words[index] = value_of(*field, word.substr(equals + 1));
    }
    for (size_t f = 0; f < opcode.fields.size(); ++f) {
      const bool needed = opcode.fields[f].kind != FieldKind::Integer;
      if (needed && !given[f]) refuse("{} needs {}", opcode.name, opcode.fields[f].name);
    }
    if (is(instruction, LpuOp::Nop) && instruction.words[0] == 0) refuse("nop needs cycles, at least 1");
  }

  static std::string fields_of(const Opcode& opcode) {
    if (opcode.fields.empty()) return "it has none";
    std::string names;
    for (const Field& field : opcode.fields)
      names += (names.empty() ? "" : ", ") + std::string(field.name) + "=";
    return names + " are";
  }

  uint64_t value_of(const Field& field, std::string_view text) const {
    if (field.kind == FieldKind::Stream) {
      const auto stream = stream_of(text, field.multiple);
      if (!stream || *stream > field.max) {
        refuse("{}={} is no stream; e0 and w0 and every {} from there on are", field.name, printable(text),
               field.multiple);
      }
      return *stream;
    }
    const auto number = number_of<uint64_t>(text);
    if (!number || *number > field.max) {
      refuse("{}={} is out of range; 0 to {} is possible", field.name, printable(text), field.max);
    }
    return *number;
  }

  void vxm_words(Instruction& instruction) {
    std::vector<uint64_t>& words = instruction.words;
    words[kEast] = words[kWest] = kNone;
    std::optional<uint32_t> immediate;
    const uint32_t operands = vxm_operands(static_cast<LpuOp>(instruction.opcode));
    for (uint32_t i = 0; i < operands; ++i) {
      if (at_end() || peek() == "->" || peek() == "repeat") {
        refuse("this operation takes {} operands and has {}", operands, i);
      }
      const std::string_view text = take("an operand");
      if (!text.starts_with('#')) {
        words[i] = operand_of(text);
        continue;
      }
      words[i] = encode_operand({OperandKind::Immediate, 0});
      const uint32_t bits = immediate_of(instruction.opcode, text.substr(1));
      if (immediate.value_or(bits) != bits) refuse("an operation has one immediate; {} is a second", text);
      immediate = bits;
    }
    constexpr std::string_view kUnused = "unused=";
    if (!immediate && peek().starts_with(kUnused)) {
      immediate = number_of<uint32_t>(take("an immediate").substr(kUnused.size()));
      if (!immediate) refuse("unused= takes 32 bits, 0x0 to 0xffffffff");
    }
    words[kImmediate] = immediate.value_or(0);
    if (peek() == "->") results(words);
  }

  uint64_t operand_of(std::string_view text) const {
    if (text.starts_with("alu")) {
      const auto alu = number_of<uint32_t>(text.substr(3));
      if (alu && *alu < kLpuAlus) return encode_operand({OperandKind::Alu, static_cast<uint8_t>(*alu)});
    }
    for (const Width& width : kWidths) {
      const size_t dot = std::min(text.find('.'), text.size());
      if (text.substr(dot) != width.suffix) continue;
      const auto stream = stream_of(text.substr(0, dot), operand_streams(width.operand));
      if (stream) return encode_operand({width.operand, static_cast<uint8_t>(*stream)});
    }
    refuse("{} is no operand; alu3, e4, w8.i16, e5.i8, w2.u8 and #1.5 are, a word from a multiple of 4 on",
           printable(text));
  }

  uint32_t immediate_of(uint16_t opcode, std::string_view text) const {
    const ImmediateKind kind = immediate_kind(opcode);
    if (text.starts_with("0x")) {
      if (const auto bits = number_of<uint32_t>(text)) return *bits;
    } else if (kind == ImmediateKind::Integer) {
      if (const auto value = number_of<int32_t>(text)) return static_cast<uint32_t>(*value);
    } else if (kind == ImmediateKind::Float) {
      float value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error == std::errc() && end == text.data() + text.size() && std::isfinite(value)) {
        return std::bit_cast<uint32_t>(value);
      }
    }
    refuse("#{} is no immediate here; {} or 32 bits such as #0x3fc00000 are", printable(text),
           kind == ImmediateKind::Float     ? "a number such as #1.5"
           : kind == ImmediateKind::Integer ? "an integer of 32 bits such as #-3"
                                            : "#0x0");
  }

  // "-> e4", "-> w0.i8" or "-> e4 w0".
  void results(std::vector<uint64_t>& words) {
    ++next_;
    do {
      const std::string_view text = take("a stream for the result");
      const size_t dot = std::min(text.find('.'), text.size());
      const auto width = std::find_if(std::begin(kWidths), std::end(kWidths), [&](const Width& candidate) {
        return candidate.bytes != 0 && candidate.suffix == text.substr(dot);
      });
      const auto stream =
          width == std::end(kWidths) ? std::nullopt : stream_of(text.substr(0, dot), width->bytes);
      if (!stream) {
        refuse("{} is no stream for a result; e4, w8.i16 and e5.i8 are, a word from a multiple of 4 on",
               printable(text));
      }
      uint64_t& word = words[*stream < kLpuStreams / 2 ? kEast : kWest];
      if (word != kNone || (words[kBytes] != 0 && words[kBytes] != width->bytes)) {
        refuse("a result goes to one eastward and one westward stream, both as wide");
      }
      word = *stream;
      words[kBytes] = width->bytes;
    } while (!at_end() && peek() != "repeat");
  }

  std::string_view text_;
  const std::string& what_;
  uint64_t line_ = 0;
  std::vector<std::string_view> words_;  // of the line
  size_t next_ = 0;
  std::vector<Queue> queues_;
  UnitName name_;
  uint64_t cycle_ = 0;  // the first free one of the queue
  uint64_t gap_nops_ = 0;
};

}  // namespace

std::vector<Queue> parse_timed(std::string_view text, const std::string& what) {
  return Parser(text, what).parse();
}

}  // namespace lockstep::program::isa
