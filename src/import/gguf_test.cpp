#include "import/gguf.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "import/gguf_test_writer.h"

namespace lockstep::importer {
namespace {

std::vector<std::byte> counted_bytes(size_t size) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 37 + 11);
  return bytes;
}

// A small file with every type of metadata and three tensors.
GgufTestWriter small_file() {
  GgufTestWriter writer;
  writer.add_text("general.architecture", "llama");
  writer.add<uint8_t>("u8", kGgufUint8, 200);
  writer.add<int8_t>("i8", kGgufInt8, -100);
  writer.add<uint16_t>("u16", kGgufUint16, 60000);
  writer.add<int16_t>("i16", kGgufInt16, -30000);
  writer.add<uint32_t>("u32", kGgufUint32, 4000000000u);
  writer.add<int32_t>("i32", kGgufInt32, -2000000000);
  writer.add<uint64_t>("u64", kGgufUint64, ~uint64_t{0});
  writer.add<int64_t>("i64", kGgufInt64, -5);
  writer.add<float>("f32", kGgufFloat32, 0.5f);
  writer.add<double>("f64", kGgufFloat64, 1e-5);
  writer.add<uint8_t>("flag", kGgufBool, 1);
  writer.add_list<int32_t>("ints", kGgufInt32, {1, -2, 3});
  writer.add_list<uint8_t>("bytes", kGgufUint8, {255, 0});
  writer.add_list<float>("floats", kGgufFloat32, {-1.5f, 2.0f});
  writer.add_list<uint8_t>("flags", kGgufBool, {1, 0, 1});
  writer.add_texts("tokenizer.ggml.tokens", {"<s>", "", "\xff raw", "hello"});
  writer.tensors = {{"norm", 0, {3}, counted_bytes(12)},
                    {"blk.0.w", 3, {64, 2}, counted_bytes(80)},
                    {"experts", 1, {2, 3, 2}, counted_bytes(24)}};
  return writer;
}

Checkpoint parse(const std::vector<std::byte>& bytes) {
  return parse_gguf(bytes, "small.gguf");
}

// The message of the user's error that parsing must throw.
std::string refusal(Bytes bytes) {
  try {
    parse_gguf(bytes, "small.gguf");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

void expect_refusal(const GgufTestWriter& writer, std::string_view part) {
  const std::string message = refusal(writer.build());
  EXPECT_NE(message.find(part), std::string::npos) << message << "\nwanted: " << part;
  EXPECT_NE(message.find("small.gguf"), std::string::npos) << message;
}

void expect_refusal(std::string_view bytes, std::string_view part) {
  const std::string message = refusal(as_bytes(bytes));
  EXPECT_NE(message.find(part), std::string::npos) << message << "\nwanted: " << part;
}

TEST(Gguf, ReadsMetadataAndTensorsOfVersions2And3) {
  for (uint32_t version : {2u, 3u}) {
    GgufTestWriter writer = small_file();
    writer.version = version;
    const std::vector<std::byte> bytes = writer.build();
    const Checkpoint checkpoint = parse(bytes);
    const Metadata& metadata = checkpoint.metadata;
    EXPECT_EQ(metadata.values().size(), 17u);
    EXPECT_EQ(metadata.require_string("general.architecture"), "llama");
    EXPECT_EQ(metadata.require_uint("u8"), 200u);
    EXPECT_EQ(metadata.require_int("i8"), -100);
    EXPECT_EQ(metadata.require_uint("u16"), 60000u);
    EXPECT_EQ(metadata.require_int("i16"), -30000);
    EXPECT_EQ(metadata.require_uint("u32"), 4000000000u);
    EXPECT_EQ(metadata.require_int("i32"), -2000000000);
    EXPECT_EQ(metadata.require_uint("u64"), ~uint64_t{0});
    EXPECT_EQ(metadata.require_int("i64"), -5);
    EXPECT_EQ(metadata.require_float("f32"), 0.5);
    EXPECT_EQ(metadata.require_float("f64"), 1e-5);
    EXPECT_TRUE(metadata.require_bool("flag"));
    EXPECT_EQ(metadata.require_ints("ints"), (std::vector<int64_t>{1, -2, 3}));
    EXPECT_EQ(metadata.require_ints("bytes"), (std::vector<int64_t>{255, 0}));
    EXPECT_EQ(metadata.require_floats("floats"), (std::vector<double>{-1.5, 2.0}));
    EXPECT_EQ(metadata.find_bools("flags"), (std::vector<bool>{true, false, true}));
    EXPECT_EQ(metadata.require_strings("tokenizer.ggml.tokens"),
              (std::vector<std::string>{"<s>", "", "\xff raw", "hello"}));

    ASSERT_EQ(checkpoint.tensors.size(), 3u);
    for (const GgufTestTensor& written : writer.tensors) {
      const numerics::Tensor* tensor = checkpoint.find(written.name);
      ASSERT_NE(tensor, nullptr) << written.name;
      EXPECT_EQ(static_cast<uint32_t>(tensor->type), written.type);
      EXPECT_EQ(tensor->shape, written.shape);
      EXPECT_TRUE(std::ranges::equal(tensor->bytes, written.bytes)) << written.name;
      // Views into the file, never copies.
      EXPECT_GE(tensor->bytes.data(), bytes.data());
      EXPECT_LE(tensor->bytes.data() + tensor->bytes.size(), bytes.data() + bytes.size());
    }
    EXPECT_EQ(checkpoint.find("absent"), nullptr);
  }
}

TEST(Gguf, ReadsAFileFromDiskAndSurvivesAMove) {
  const auto path = std::filesystem::path(testing::TempDir()) / "lockstep_gguf_test.gguf";
  const std::vector<std::byte> bytes = small_file().build();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  Checkpoint first = read_gguf(path);
  const Checkpoint checkpoint = std::move(first);
  std::filesystem::remove(path);
  EXPECT_EQ(checkpoint.metadata.source(), path.string());
  EXPECT_TRUE(std::ranges::equal(checkpoint.find("blk.0.w")->bytes, counted_bytes(80)));
  EXPECT_THROW(read_gguf(path), Error);
}

TEST(Gguf, ReadsAFileWithoutTensors) {
  GgufTestWriter writer;
  EXPECT_TRUE(parse(writer.build()).tensors.empty());
}

TEST(Gguf, FollowsTheFilesAlignment) {
  for (uint32_t alignment : {1u, 8u, 64u, 4096u}) {
    GgufTestWriter writer = small_file();
    writer.alignment = alignment;
    writer.add<uint32_t>("general.alignment", kGgufUint32, alignment);
    const std::vector<std::byte> bytes = writer.build();
    const Checkpoint checkpoint = parse(bytes);
    EXPECT_TRUE(std::ranges::equal(checkpoint.find("experts")->bytes, counted_bytes(24))) << alignment;
  }
  for (uint32_t alignment : {0u, 3u, 48u, 0x80000000u}) {
    GgufTestWriter writer = small_file();
    writer.add<uint32_t>("general.alignment", kGgufUint32, alignment);
    expect_refusal(writer, "a power of two up to 2^30 is wanted");
  }
}

TEST(Gguf, RefusesEveryTruncation) {
  const std::vector<std::byte> bytes = small_file().build();
  for (size_t size = 0; size < bytes.size(); ++size) {
    // A copy of exactly this size, so that a sanitizer sees a read past the end.
    const std::vector<std::byte> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    const std::string message = refusal(part);
    EXPECT_FALSE(message.empty()) << size;
  }
  const std::string message = refusal(Bytes(bytes).first(bytes.size() - 1));
  EXPECT_NE(message.find("the download was probably cut off"), std::string::npos) << message;
  EXPECT_NE(message.find("tensor experts"), std::string::npos) << message;
}

TEST(Gguf, SurvivesEveryFlippedBitAndByte) {
  const std::vector<std::byte> bytes = small_file().build();
  const size_t header = bytes.size() - 32 - 96 - 24;
  size_t refused = 0;
  size_t accepted = 0;
  const auto try_byte = [&](size_t i, std::byte value) {
    std::vector<std::byte> damaged = bytes;
    damaged[i] = value;
    try {
      const Checkpoint checkpoint = parse(damaged);
      for (const numerics::Tensor& tensor : checkpoint.tensors) {
        ASSERT_GE(tensor.bytes.data(), damaged.data());
        ASSERT_LE(tensor.bytes.data() + tensor.bytes.size(), damaged.data() + damaged.size());
        ASSERT_EQ(tensor.bytes.size(), tensor.rows() * tensor.row_bytes());
      }
      ++accepted;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::User) << error.what();
      ++refused;
    }
  };
  for (size_t i = 0; i < header; ++i) {
    for (int bit = 0; bit < 8; ++bit) try_byte(i, bytes[i] ^ static_cast<std::byte>(1 << bit));
    try_byte(i, std::byte{0xff});
  }
  // Names, keys and values may change unnoticed; lengths, counts, types and places may not.
  EXPECT_GT(refused, header * 2);
  EXPECT_GT(accepted, header);
}

TEST(Gguf, RefusesOtherFilesByName) {
  expect_refusal("", "an empty file");
  expect_refusal("GG", "text");
  expect_refusal("Once upon a time\n", "text");
  expect_refusal("<!DOCTYPE html><html>", "a web page");
  expect_refusal("version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer");
  expect_refusal(std::string_view("PK\x03\x04\x14\x00", 6), "a zip archive");
  expect_refusal("{\"model\": 1}", "JSON");
  expect_refusal("\x80\x02}q", "a Python pickle");
  expect_refusal("tjgg\x03", "a GGJT file");
  expect_refusal(std::string_view("\x10\0\0\0\0\0\0\0{\"a\":{\"dtype\":1}}", 24), "a safetensors file");
  expect_refusal(std::string(300, '\0'), "zeros");
  expect_refusal("\x91\x92\x93", "something else");
}

TEST(Gguf, RefusesOtherVersionsByName) {
  GgufTestWriter writer = small_file();
  writer.version = 1;
  expect_refusal(writer, "GGUF version 1");
  writer.version = 4;
  expect_refusal(writer, "GGUF version 4; versions 2 and 3 can be read");
  writer.version = 0;
  expect_refusal(writer, "GGUF version 0");
  writer.version = 0x03000000;
  expect_refusal(writer, "a big-endian GGUF file");
}

TEST(Gguf, RefusesBadMetadata) {
  GgufTestWriter twice = small_file();
  twice.add<uint8_t>("u8", kGgufUint8, 1);
  expect_refusal(twice, "metadata \"u8\" is given twice");

  GgufTestWriter type = small_file();
  type.add<uint8_t>("x\n", 13, 1);
  expect_refusal(type, "metadata \"x\\x0a\" has type 13");

  GgufTestWriter list_type = small_file();
  list_type.add_list<uint8_t>("x", 77, {1});
  expect_refusal(list_type, "metadata \"x\" is a list of type 77");

  GgufTestWriter nested = small_file();
  nested.add_list<uint8_t>("x", kGgufArray, {1});
  expect_refusal(nested, "a list of lists");

  GgufTestWriter flag = small_file();
  flag.add<uint8_t>("x", kGgufBool, 2);
  expect_refusal(flag, "the truth value 2");

  GgufTestWriter split = small_file();
  split.add<uint16_t>("split.count", kGgufUint16, 3);
  expect_refusal(split, "one of 3 parts");

  GgufTestWriter alignment = small_file();
  alignment.add_text("general.alignment", "32");
  expect_refusal(alignment, "\"general.alignment\" is a text; an integer is wanted");
}

TEST(Gguf, RefusesLengthsThatTheFileCannotHold) {
  for (uint64_t count : {uint64_t{1} << 20, uint64_t{1} << 61, ~uint64_t{0}}) {
    for (uint32_t type : {kGgufUint8, kGgufFloat64, kGgufString, kGgufBool}) {
      GgufTestWriter writer;
      writer.start_list("x", type, count);
      expect_refusal(writer, "elements announced");
    }
    GgufTestWriter text;
    text.add<uint64_t>("x", kGgufString, count);
    expect_refusal(text, "bytes wanted");
    for (size_t offset : {8u, 16u}) {  // the counts of tensors and of keys
      std::vector<std::byte> bytes = small_file().build();
      std::memcpy(bytes.data() + offset, &count, sizeof(count));
      EXPECT_NE(refusal(bytes).find("elements announced"), std::string::npos);
    }
  }
}

TEST(Gguf, RefusesBadTensors) {
  const auto with = [](GgufTestTensor tensor) {
    GgufTestWriter writer = small_file();
    writer.tensors.push_back(std::move(tensor));
    return writer;
  };
  expect_refusal(with({"norm", 0, {1}, counted_bytes(4)}), "tensor norm is given twice");
  expect_refusal(with({"a", 0, {}, {}}), "0 dimensions; 1 to 4 are wanted");
  expect_refusal(with({"a", 0, {1, 1, 1, 1, 1}, counted_bytes(4)}), "5 dimensions; 1 to 4 are wanted");
  expect_refusal(with({"a", 0, {4, 0}, {}}), "tensor a has a dimension of 0");
  expect_refusal(with({"a", 3, {48}, counted_bytes(40)}), "48 columns, no multiple of the 32 elements");
  expect_refusal(
      with({"blk.0.x", 16, {256}, counted_bytes(66)}),
      "blk.0.x is stored as IQ2_XXS, which Lockstep does not read; types it reads: F32, F16, Q4_0");
  expect_refusal(with({"a", 999, {256}, counted_bytes(66)}), "type 999, which is unknown");
  expect_refusal(with({"a", 0, {4}, counted_bytes(16), 1}), "no multiple of the file's alignment, 32");
  expect_refusal(with({"a", 0, {4}, counted_bytes(16), 32}), "tensors blk.0.w and a overlap");
  expect_refusal(with({"a", 0, {4}, counted_bytes(16), 0}), "overlap");
  expect_refusal(with({"a", 0, {4}, counted_bytes(16), 1 << 20}), "tensor a needs bytes up to");
  expect_refusal(with({"a", 0, {4}, {}, ~uint64_t{0} - 31}), "ends beyond 2^64 bytes");
  expect_refusal(with({"a", 0, {uint64_t{1} << 62}, {}}), "larger than 2^64 bytes");
  expect_refusal(with({"a", 3, {uint64_t{1} << 40, uint64_t{1} << 40}, {}}), "larger than 2^64 bytes");
  expect_refusal(with({"bad\xc0\x80\x1b[31m\xc3\xa9", 0, {0}, {}}),
                 "tensor bad\\xc0\\x80\\x1b[31m\xc3\xa9 has");
  expect_refusal(with({std::string(500, 'n'), 0, {0}, {}}), "tensor " + std::string(80, 'n') + "... has");
}

TEST(Gguf, TensorsMayTouchButNotOverlapByAByte) {
  GgufTestWriter writer;
  writer.alignment = 1;
  writer.add<uint32_t>("general.alignment", kGgufUint32, 1);
  writer.tensors = {{"a", 0, {4}, counted_bytes(16)}, {"b", 0, {4}, counted_bytes(16), 16}};
  EXPECT_EQ(parse(writer.build()).tensors.size(), 2u);
  writer.tensors[1].offset = 15;
  expect_refusal(writer, "tensors a and b overlap");
}

TEST(Gguf, TensorsMayStandInAnyOrder) {
  GgufTestWriter writer;
  writer.tensors = {{"b", 0, {4}, counted_bytes(16), 32}, {"a", 0, {4}, {}, 0}};
  writer.tensors[1].bytes = counted_bytes(48);
  const std::vector<std::byte> bytes = writer.build();
  const Checkpoint checkpoint = parse(bytes);
  EXPECT_EQ(checkpoint.find("a")->bytes.data() + 32, checkpoint.find("b")->bytes.data());
}

}  // namespace
}  // namespace lockstep::importer
