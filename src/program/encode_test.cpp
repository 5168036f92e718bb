// The byte form: what is written is read back, and whatever is cut, flipped or made to lie is refused with a
// user's error and nothing else.
#include "program/encode.h"

#include <gtest/gtest.h>

#include <functional>

#include "program/isa/host_kv.h"
#include "program/print.h"
#include "program/reseal.h"
#include "program/tiny_programs.h"
#include "program/verify.h"

namespace lockstep::program {
namespace {

constexpr uint64_t kTable = 256, kEntryBytes = 96;  // the section table
constexpr uint64_t kEntryFlags = 4, kEntryIndex = 8, kEntryOffset = 16, kEntrySize = 24;
constexpr uint64_t kMetadata = 4096;

// The sentence of a user's error; "" when the file is accepted. Any other exception fails the test.
std::string refusal(Bytes file) {
  try {
    const Program program = decode(file, "file");
    verify_flow(program, "file");
    print(program);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User) << error.what();
    return error.what();
  }
  return "";
}

std::string leaf_refusal(Bytes file, unsigned threads = 1) {
  try {
    check_leaves(file, "file", threads);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User) << error.what();
    return error.what();
  }
  return "";
}

// A program of one constant that one instruction reads: three pages and a hash.
TinyProgram smallest_program() {
  TinyProgram tiny = tiny_host_program();
  Program& program = tiny.program;
  program.memories = {program.memories[1]};
  program.regions.clear();
  program.matrices.clear();
  program.parameters.clear();
  program.source_map.clear();
  program.assets.clear();
  program.contents.clear();
  program.queues[0].instructions = {{1, {0}}};
  program.entries = {{"step", {0}, {}}};
  std::vector<std::byte>& constants = tiny.file_memory(0, 64);
  for (size_t i = 0; i < constants.size(); ++i) constants[i] = static_cast<std::byte>(i * 37);
  return tiny;
}

TEST(Encode, GivesBackEveryField) {
  TinyProgram tiny = tiny_host_program();
  Program& program = tiny.program;
  program.state = {6, isa::kPagePositions, 3, 2, 16, 16, 8};
  program.memories.push_back({"kv", MemoryKind::State, isa::KvLayout(program.state).page_bytes()});
  program.matrices[1].error_relative = 0.125f;
  program.matrices[1].error_worst = -0.5f;
  program.matrices[1].error_row = 7;
  program.matrices[1].error_column = uint64_t{1} << 40;
  const std::vector<std::byte> file = encode(program);
  const Program decoded = decode(file, "file");
  EXPECT_EQ(decoded.model_name, "tiny");
  EXPECT_EQ(decoded.compiler_version, "by hand");
  EXPECT_EQ(decoded.fingerprint, program.fingerprint);
  EXPECT_EQ(decoded.vocabulary, kTinyVocabulary);
  EXPECT_EQ(decoded.context_max, 8u);
  EXPECT_EQ(decoded.memories[6].kind, MemoryKind::State);
  EXPECT_EQ(decoded.regions[2].element, Element::Q16);
  EXPECT_EQ(decoded.regions[2].row_bytes, 192u);
  EXPECT_EQ(decoded.matrices[1].error_relative, 0.125f);
  EXPECT_EQ(decoded.matrices[1].error_worst, -0.5f);
  EXPECT_EQ(decoded.matrices[1].error_row, 7u);
  EXPECT_EQ(decoded.matrices[1].error_column, uint64_t{1} << 40);
  EXPECT_EQ(decoded.queues[0].instructions[4].words, (std::vector<uint64_t>{4, 2, 1, 3}));
  EXPECT_EQ(decoded.entry("step").parameters, std::vector<uint32_t>{0});
  EXPECT_EQ(decoded.parameter("rows").max, 8u);
  EXPECT_EQ(decoded.source_map[1].node, "quantise");
  EXPECT_EQ(decoded.source_map[0].layer, -1);
  EXPECT_EQ(decoded.state.kv_bits, 8u);
  EXPECT_EQ(decoded.state.value_width, 16u);
  EXPECT_EQ(as_text(decoded.find_asset("tokenizer")->bytes), "a b c");
  EXPECT_EQ(decoded.find_asset("card"), nullptr);
  for (const auto& [memory, bytes] : program.contents) {
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), decoded.contents.at(memory).begin())) << memory;
  }
  EXPECT_EQ(encode(decoded), file);
}

TEST(Encode, ContentsAreViewsOfTheFile) {
  const TinyProgram tiny = tiny_host_program();
  const std::vector<std::byte> file = encode(tiny.program);
  const Program decoded = decode(file, "file");
  for (const auto& [memory, bytes] : decoded.contents) {
    EXPECT_GE(bytes.data(), file.data());
    EXPECT_EQ((bytes.data() - file.data()) % 4096, 0);
  }
}

TEST(Decode, RefusesEveryTruncation) {
  const TinyProgram tiny = tiny_host_program();
  const std::vector<std::byte> file = encode(tiny.program);
  ASSERT_EQ(refusal(file), "");
  for (uint64_t size = 0; size < file.size(); ++size) {
    ASSERT_NE(refusal(Bytes(file).first(size)), "") << size;
    ASSERT_NE(leaf_refusal(Bytes(file).first(size)), "") << size;
  }
  // The same with hashes that fit what is left. Where only padding at the end is missing it is a whole
  // program.
  uint64_t accepted = 0;
  for (uint64_t size = 0; size < file.size(); size += 11) {
    std::vector<std::byte> cut(file.begin(), file.begin() + static_cast<ptrdiff_t>(size));
    reseal(cut);
    if (refusal(cut).empty()) {
      ++accepted;
      ASSERT_GT(size + 4096, file.size());
    }
  }
  EXPECT_GT(accepted, 0u);
}

TEST(Decode, NoticesEverySingleBit) {
  const TinyProgram tiny = smallest_program();
  std::vector<std::byte> file = encode(tiny.program);
  ASSERT_EQ(refusal(file), "");
  ASSERT_EQ(leaf_refusal(file), "");
  for (uint64_t at = 0; at < file.size(); ++at) {
    for (uint32_t bit = 0; bit < 8; ++bit) {
      const std::byte mask = static_cast<std::byte>(1u << bit);
      file[at] ^= mask;
      // The bytes of File memories and padding are covered by their leaves alone, all else by both.
      if (at >= kMetadata + 4096 && at < file.size() - sizeof(Hash256)) {
        ASSERT_NE(leaf_refusal(file), "") << at;
      } else {
        ASSERT_NE(refusal(file), "") << at;
      }
      file[at] ^= mask;
    }
  }
}

TEST(Decode, SurvivesEveryLieBehindTheHashes) {
  const TinyProgram host = tiny_host_program(), lpu = tiny_lpu_program();
  for (const Program* program : {&host.program, &lpu.program}) {
    const std::vector<std::byte> file = encode(*program);
    const uint64_t metadata_bytes = get_at<uint64_t>(file, kTable + kEntrySize);
    const uint64_t stride = metadata_bytes > 2048 ? 53 : 1;
    for (uint64_t lie : {~uint64_t{0}, uint64_t{1} << 63, uint64_t{1} << 32, uint64_t{100000}, uint64_t{0}}) {
      for (uint64_t at = kMetadata; at + 8 <= kMetadata + metadata_bytes; at += stride) {
        std::vector<std::byte> edited = file;
        put_at(edited, at, lie);
        reseal(edited);
        refusal(edited);
      }
    }
  }
}

TEST(Decode, SurvivesEveryLieInHeaderAndTable) {
  const TinyProgram tiny = tiny_host_program();
  const std::vector<std::byte> file = encode(tiny.program);
  for (uint64_t lie : {~uint64_t{0}, uint64_t{1} << 63, uint64_t{1} << 32, uint64_t{4096}, uint64_t{0}}) {
    for (uint64_t at = 0; at < kTable + 4 * kEntryBytes; ++at) {
      std::vector<std::byte> edited = file;
      put_at(edited, at, lie);
      refusal(edited);
      reseal(edited);
      refusal(edited);
    }
  }
}

struct Edit {
  const char* name;
  std::function<void(std::vector<std::byte>&)> apply;
  const char* says;
};

TEST(Decode, NamesWhatIsWrong) {
  const TinyProgram tiny = tiny_host_program();
  const std::vector<std::byte> file = encode(tiny.program);
  // Sections: metadata, tokenizer, license, weights, constants.
  auto entry = [](uint64_t section, uint64_t field) { return kTable + section * kEntryBytes + field; };
  const std::vector<Edit> edits = {
      {"magic", [](auto& f) { put_at(f, 0, 'X'); }, "not a Lockstep program"},
      {"container version", [](auto& f) { put_at<uint32_t>(f, 8, 3); }, "container version 3"},
      {"contract version", [](auto& f) { put_at<uint32_t>(f, 12, 3); }, "numerics contract 3"},
      {"other set in the header", [](auto& f) { std::memcpy(f.data() + 16, "lpu\0", 4); },
       "different versions"},
      {"other version in the header", [](auto& f) { put_at<uint32_t>(f, 32, 9); }, "different versions"},
      {"no section", [](auto& f) { put_at<uint32_t>(f, 36, 0); }, "no metadata"},
      {"many sections", [](auto& f) { put_at<uint32_t>(f, 36, 5000); }, "5000 sections"},
      {"table outside", [](auto& f) { put_at<uint64_t>(f, 40, ~uint64_t{0}); }, "outside the file"},
      {"count too large", [](auto& f) { put_at<uint64_t>(f, kMetadata, ~uint64_t{0}); }, "damaged at byte 8"},
      {"memories too many",
       [&](auto& f) {
         const std::string_view text = as_text(file);
         put_at<uint64_t>(f, text.find("weights", kMetadata) - 16, uint64_t{1} << 60);
       },
       "elements announced"},
      {"metadata too long", [&](auto& f) { put_at<uint64_t>(f, entry(0, kEntrySize), 4096); },
       "bytes too many"},
      {"metadata twice", [&](auto& f) { put_at<uint32_t>(f, entry(1, 0), 1); }, "metadata twice"},
      {"section outside", [&](auto& f) { put_at<uint64_t>(f, entry(3, kEntrySize), ~uint64_t{0}); },
       "section 3"},
      {"section over another", [&](auto& f) { put_at<uint64_t>(f, entry(1, kEntryOffset), 4096); },
       "section 1"},
      {"section unaligned",
       [&](auto& f) {
         put_at<uint64_t>(f, entry(4, kEntryOffset), get_at<uint64_t>(f, entry(4, kEntryOffset)) + 64);
       },
       "section 4"},
      {"asset without end", [&](auto& f) { std::memset(f.data() + entry(1, 32), 'a', 64); },
       "name does not end"},
      {"asset out of order", [&](auto& f) { put_at<uint32_t>(f, entry(2, kEntryIndex), 5); }, "out of order"},
      {"memory of none", [&](auto& f) { put_at<uint32_t>(f, entry(3, kEntryIndex), 99); },
       "does not fit its declaration"},
      {"memory twice",
       [&](auto& f) {
         put_at<uint32_t>(f, entry(4, kEntryIndex), 0);
         put_at<uint64_t>(f, entry(4, kEntrySize), get_at<uint64_t>(f, entry(3, kEntrySize)));
       },
       "section 4"},
      {"memory too short", [&](auto& f) { put_at<uint64_t>(f, entry(4, kEntrySize), 191); },
       "does not fit its declaration"},
      {"unknown critical section", [&](auto& f) { put_at<uint32_t>(f, entry(2, 0), 77); },
       "section of kind 77"},
  };
  for (const Edit& edit : edits) {
    std::vector<std::byte> edited = file;
    edit.apply(edited);
    reseal(edited);
    const std::string message = refusal(edited);
    EXPECT_NE(message.find(edit.says), std::string::npos) << edit.name << ": " << message;
    EXPECT_TRUE(message.starts_with("file: ")) << edit.name << ": " << message;
  }
}

TEST(Decode, SaysThatAFileWasCutOffOrAddedTo) {
  const TinyProgram tiny = tiny_host_program();
  std::vector<std::byte> file = encode(tiny.program);
  const std::string wanted = fmt::format("should have {}: it was cut off or added to", file.size());
  EXPECT_NE(refusal(Bytes(file).first(file.size() - 1)).find(wanted), std::string::npos);
  file.push_back({});
  EXPECT_NE(refusal(file).find(wanted), std::string::npos);
}

TEST(Decode, IgnoresUnknownOptionalSections) {
  const TinyProgram tiny = tiny_host_program();
  std::vector<std::byte> file = encode(tiny.program);
  const uint64_t license = kTable + 2 * kEntryBytes;
  put_at<uint32_t>(file, license, 77);
  put_at<uint32_t>(file, license + kEntryFlags, 0);
  reseal(file);
  EXPECT_EQ(refusal(file), "");
  const Program program = decode(file, "file");
  EXPECT_EQ(program.assets.size(), 1u);
  EXPECT_EQ(program.find_asset("license"), nullptr);
}

TEST(CheckLeaves, NamesTheFirstDamagedRange) {
  TinyProgram tiny = smallest_program();
  std::vector<std::byte>& constants = tiny.file_memory(0, 7 * kLeafBytes / 2);
  for (size_t i = 0; i < constants.size(); ++i) constants[i] = static_cast<std::byte>(i * 131 >> 7);
  const std::vector<std::byte> file = encode(tiny.program);
  for (unsigned threads : {1u, 2u, 3u}) {
    EXPECT_EQ(leaf_refusal(file, threads), "");
    for (uint64_t damaged = 0; damaged < 4; ++damaged) {
      std::vector<std::byte> edited = file;
      // The last bit of a leaf, and everything behind it.
      for (uint64_t i = damaged; i < 4; ++i) {
        edited[std::min(256 + (i + 1) * kLeafBytes, file.size() - 4 * sizeof(Hash256)) - 1] ^= std::byte{128};
      }
      const std::string wanted = fmt::format("the bytes from {} on", 256 + damaged * kLeafBytes);
      const std::string message = leaf_refusal(edited, threads);
      EXPECT_NE(message.find(wanted), std::string::npos) << threads << ": " << message;
      // Loading looks at metadata only, which is in the first leaf.
      EXPECT_EQ(refusal(edited).empty(), damaged != 0);
    }
  }
}

TEST(Program, LookupsNameWhatIsMissing) {
  const TinyProgram tiny = tiny_host_program();
  EXPECT_NE(tiny.program.find_matrix("weight"), nullptr);
  EXPECT_EQ(tiny.program.find_matrix("nothing"), nullptr);
  EXPECT_THROW(tiny.program.entry("hidden"), Error);
  EXPECT_THROW(tiny.program.parameter("columns"), Error);
  EXPECT_EQ(region_bytes(tiny.program, tiny.program.regions[1]), 8u * 256);
  EXPECT_EQ(region_bytes(tiny.program, tiny.program.regions[3]), 192u);
}

}  // namespace
}  // namespace lockstep::program
