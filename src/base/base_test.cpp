#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/blake2b_lanes.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/printable.h"
#include "base/run_delay.h"
#include "base/stopwatch.h"

namespace lockstep {
namespace {

TEST(ByteReader, ReadsWhatWasWritten) {
  ByteWriter writer;
  writer.write<uint32_t>(7);
  writer.write_string("abc");
  ByteReader reader(writer.bytes(), "test");
  EXPECT_EQ(reader.read<uint32_t>(), 7u);
  EXPECT_EQ(reader.read_string(), "abc");
  EXPECT_EQ(reader.remaining(), 0u);
}

TEST(ByteReader, RefusesToReadPastTheEnd) {
  ByteWriter writer;
  writer.write<uint64_t>(~0ull);
  ByteReader reader(writer.bytes(), "test");
  EXPECT_THROW(reader.read_string(), Error);
  ByteReader counts(writer.bytes(), "test");
  EXPECT_THROW(counts.read_count(8), Error);
}

TEST(Hash, KnownValues) {
  // BLAKE2b-256 of "abc", and XXH3-128 of the empty input (seed 0) from the xxHash specification.
  EXPECT_EQ(hex(blake2b(as_bytes("abc"))),
            "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
  EXPECT_EQ(hex(xxh3({})), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(xxh3(as_bytes("ab"), as_bytes("cd")), xxh3(as_bytes("abcd")));
}

TEST(MappedFile, MapsBytesAndNamesWhatIsMissing) {
  auto path = std::filesystem::temp_directory_path() / "lockstep_base_test.bin";
  std::ofstream(path) << "hello";
  EXPECT_EQ(as_text(MappedFile(path).bytes()), "hello");
  std::filesystem::remove(path);
  try {
    MappedFile missing(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User);
    EXPECT_NE(std::string(error.what()).find("lockstep_base_test.bin"), std::string::npos);
  }
}

TEST(AlignedBuffer, IsZeroAndAligned) {
  AlignedBuffer buffer(100);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 4096, 0u);
  EXPECT_EQ(buffer.data()[99], std::byte{0});
  AlignedBuffer huge(3 << 20, PageSize::Huge);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(huge.data()) % (2 << 20), 0u);
  huge.data()[(3 << 20) - 1] = std::byte{1};
  AlignedBuffer moved = std::move(huge);
  EXPECT_EQ(moved.data()[(3 << 20) - 1], std::byte{1});
  EXPECT_EQ(huge.data(), nullptr);
}

// libsodium's own code is the reference, over lengths around the block's 128 bytes and over differing
// lengths.
TEST(Hash, LanesGiveTheHashesOfOneMessageAfterAnother) {
  std::vector<std::byte> text(kBlake2bLanes * 1100);
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<std::byte>(i * 7 + i / 251);
  for (size_t bytes : {0u, 1u, 64u, 127u, 128u, 129u, 255u, 256u, 257u, 1000u}) {
    for (size_t count : {size_t{1}, kBlake2bLanes - 1, kBlake2bLanes}) {
      for (bool equal : {true, false}) {
        std::vector<Bytes> messages;
        for (size_t i = 0; i < count; ++i)
          messages.push_back(Bytes(text).subspan(i * 1100 + i, bytes + (equal ? 0 : i)));
        std::vector<Hash256> hashes(count);
        blake2b_lanes(messages, hashes);
        for (size_t i = 0; i < count; ++i) EXPECT_EQ(hashes[i], blake2b(messages[i])) << bytes << " " << i;
      }
    }
  }
}

TEST(Populate, LeavesNoPageToFaultIn) {
#ifdef LOCKSTEP_SANITIZED
  GTEST_SKIP() << "a sanitizer keeps notes of each access in pages of its own";
#endif
#ifdef LOCKSTEP_EMULATED
  GTEST_SKIP() << "an emulator's own page faults count as the program's";
#endif
  const AlignedBuffer buffer(1 << 20);
  buffer.data()[4097] = std::byte{7};
  if (!populate({buffer.data(), buffer.size()})) GTEST_SKIP() << "this system cannot populate";
  rusage before, after;
  ::getrusage(RUSAGE_THREAD, &before);
  for (uint64_t i = 0; i < buffer.size(); i += 4096) buffer.data()[i] = std::byte{1};
  ::getrusage(RUSAGE_THREAD, &after);
  EXPECT_EQ(after.ru_minflt, before.ru_minflt);
  EXPECT_EQ(buffer.data()[4097], std::byte{7});
  EXPECT_TRUE(populate({buffer.data() + 5, 3}));  // part of a page
  EXPECT_TRUE(populate({}));
}

TEST(Printable, KeepsTextAndEscapesTheRest) {
  EXPECT_EQ(storable("sk\xc3\xb8y"), "sk\xc3\xb8y");
  EXPECT_EQ(storable(std::string("a\0b\xff\xc3", 5)),
            "a\xef\xbf\xbd"
            "b\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(printable("blk.0.attn"), "blk.0.attn");
  EXPECT_EQ(printable("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(printable(std::string_view("a\0\n\x7f\\", 5)), "a\\x00\\x0a\\x7f\\");
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");                    // a control character of two bytes
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond U+10FFFF
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");                    // cut off
  EXPECT_EQ(printable(std::string(200, 'x')), std::string(80, 'x') + "...");
  EXPECT_EQ(printable(std::string(80, 'x')), std::string(80, 'x'));
}

TEST(Printable, KnowsUtf8) {
  for (const char* text : {"", "plain\n", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"})
    EXPECT_TRUE(is_utf8(text)) << text;
  // A byte alone, a sequence cut off, an overlong form, a surrogate, beyond Unicode.
  for (const char* text : {"caf\xe9", "\x80", "\xe2\x82", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    EXPECT_FALSE(is_utf8(text)) << printable(text);
  }
}

TEST(RunDelay, GrowsWhereThreadsWantTheCoresOfOthers) {
  const double before_s = run_delay_seconds();
  std::atomic<bool> stop = false;
  std::vector<std::thread> spinning(std::thread::hardware_concurrency() + 1);
  for (std::thread& thread : spinning) {
    thread = std::thread([&stop] {
      while (!stop) {
      }
    });
  }
  // A core's turn is some milliseconds long.
  const Stopwatch watch;
  while (run_delay_seconds() - before_s < 0.01 && watch.seconds() < 10)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_GE(run_delay_seconds() - before_s, 0.01);
  stop = true;
  for (std::thread& thread : spinning) thread.join();
}

}  // namespace
}  // namespace lockstep
