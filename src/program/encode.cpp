#include "program/encode.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>

#include "base/blake2b_lanes.h"
#include "program/fields.h"
#include "program/instruction_code.h"
#include "program/verify.h"

namespace lockstep::program {

namespace {

constexpr char kMagic[8] = {'L', 'O', 'C', 'K', 'S', 'T', 'E', 'P'};
constexpr uint64_t kHeaderBytes = 256;
constexpr uint64_t kSectionAlignment = 4096;
constexpr uint64_t kSectionsMax = 4096;

// The header's fields, at their offsets in the file; the rest of its 256 bytes is zero.
struct Header {
  char magic[8];
  uint32_t container_version;
  uint32_t contract_version;
  char isa[16];
  uint32_t isa_version;
  uint32_t section_count;
  uint64_t section_table;  // offset
  uint64_t leaves;         // offset of the leaf hashes
  uint64_t file_bytes;
  std::byte hash[32];
};
static_assert(sizeof(Header) == 96);

enum class SectionKind : uint32_t { Metadata = 1, Memory = 2, Asset = 3 };
constexpr uint32_t kCritical = 1;  // a reader that does not know the section must refuse the file

struct Section {
  uint32_t kind;
  uint32_t flags;
  uint32_t index;  // of the memory or asset
  uint32_t reserved;
  uint64_t offset;
  uint64_t bytes;
  char name[64];  // of an asset
};
static_assert(sizeof(Section) == 96);

class FieldWriter {
 public:
  template <class... Values>
  void operator()(Values&... values) {
    (put(values), ...);
  }
  ByteWriter out;

 private:
  template <class T>
  void put(T& value) {
    if constexpr (std::is_enum_v<T>) {
      out.write(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::is_arithmetic_v<T>) {
      out.write(value);
    } else {
      fields(*this, value);
    }
  }
  void put(std::string& value) { out.write_string(value); }
  void put(Instruction& value) { write_instruction(out, value); }
  void put(Hash256& value) { out.write_bytes(value); }
  template <class T>
  void put(std::vector<T>& values) {
    out.write<uint64_t>(values.size());
    for (T& value : values) put(value);
  }
};

class FieldReader {
 public:
  explicit FieldReader(ByteReader& in) : in_(in) {}
  template <class... Values>
  void operator()(Values&... values) {
    (get(values), ...);
  }

 private:
  // An element takes as many bytes at least.
  template <class T>
  static constexpr uint64_t element_bytes_min() {
    if (std::is_same_v<T, Instruction>) return kInstructionBytesMin;
    return std::is_arithmetic_v<T> ? sizeof(T) : 8;
  }
  template <class T>
  void get(T& value) {
    if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(in_.read<std::underlying_type_t<T>>());
    } else if constexpr (std::is_arithmetic_v<T>) {
      value = in_.read<T>();
    } else {
      fields(*this, value);
    }
  }
  void get(std::string& value) { value = in_.read_string(); }
  void get(Instruction& value) { value = read_instruction(in_); }
  void get(Hash256& value) { std::copy_n(in_.take(value.size()).begin(), value.size(), value.begin()); }
  template <class T>
  void get(std::vector<T>& values) {
    // What is there bounds what is allocated.
    const uint64_t count = in_.read_count(element_bytes_min<T>());
    values.resize(count);
    for (T& value : values) get(value);
  }
  ByteReader& in_;
};

uint64_t leaf_count(const Header& header) {
  return (header.leaves - kHeaderBytes + kLeafBytes - 1) / kLeafBytes;
}

Header read_header(Bytes bytes, const std::string& what) {
  if (!looks_like_program(bytes)) user_error("{}: not a Lockstep program", what);
  if (bytes.size() < kHeaderBytes) user_error("{}: a program cut off after {} bytes", what, bytes.size());
  Header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.container_version != kContainerVersion) {
    user_error(
        "{}: a program of container version {}; this Lockstep reads version {}: compile the model again",
        what, header.container_version, kContainerVersion);
  }
  if (header.contract_version != 1) {
    user_error(
        "{}: a program of numerics contract {}; this Lockstep computes contract 1: compile the model again",
        what, header.contract_version);
  }
  if (header.file_bytes != bytes.size()) {
    user_error("{}: has {} bytes and should have {}: it was cut off or added to", what, bytes.size(),
               header.file_bytes);
  }
  const bool inside = header.leaves > kHeaderBytes && header.leaves <= bytes.size();
  if (!inside || bytes.size() - header.leaves != leaf_count(header) * sizeof(Hash256)) {
    user_error("{}: damaged: its header does not fit its size", what);
  }
  return header;
}

Hash256 hash_of(Bytes header_bytes, Bytes leaves) {
  std::vector<std::byte> zeroed(header_bytes.begin(), header_bytes.begin() + kHeaderBytes);
  std::fill_n(zeroed.begin() + offsetof(Header, hash), sizeof(Header::hash), std::byte{0});
  Blake2b hasher;
  hasher.update(zeroed);
  hasher.update(leaves);
  return hasher.finish();
}

Bytes leaf(Bytes bytes, const Header& header, uint64_t index) {
  const uint64_t begin = kHeaderBytes + index * kLeafBytes;
  return bytes.subspan(begin, std::min(kLeafBytes, header.leaves - begin));
}

// The hashes of leaves `begin` to `end`, up to kBlake2bLanes.
using LeafHashes = std::array<Hash256, kBlake2bLanes>;
LeafHashes hash_leaves(Bytes bytes, const Header& header, uint64_t begin, uint64_t end) {
  std::array<Bytes, kBlake2bLanes> leaves;
  LeafHashes hashes;
  for (uint64_t i = begin; i < end; ++i) leaves[i - begin] = leaf(bytes, header, i);
  blake2b_lanes(std::span(leaves).first(end - begin), std::span(hashes).first(end - begin));
  return hashes;
}

// The first of leaves `begin` to `end`, up to kBlake2bLanes, that does not match its hash; `end` if all do.
uint64_t first_damaged_leaf(Bytes bytes, const Header& header, uint64_t begin, uint64_t end) {
  const LeafHashes hashes = hash_leaves(bytes, header, begin, end);
  for (uint64_t i = begin; i < end; ++i) {
    const Bytes expected = bytes.subspan(header.leaves + i * sizeof(Hash256), sizeof(Hash256));
    if (!std::equal(expected.begin(), expected.end(), hashes[i - begin].begin())) return i;
  }
  return end;
}

[[noreturn]] void refuse_leaf(const std::string& what, uint64_t index) {
  user_error("{}: damaged: the bytes from {} on do not match their hash; compile the model again", what,
             kHeaderBytes + index * kLeafBytes);
}

// That the header and the leaf hashes are what the program hash was made of.
void check_root(Bytes bytes, const Header& header, const std::string& what) {
  if (hash_of(bytes, bytes.subspan(header.leaves)) != program_hash(bytes)) {
    user_error("{}: damaged: its header or hash tree does not match the program hash", what);
  }
}

// Checks the leaves that the range touches.
void check_range(Bytes bytes, const Header& header, uint64_t begin, uint64_t size, const std::string& what) {
  if (begin < kHeaderBytes || begin > header.leaves || size > header.leaves - begin) {
    user_error("{}: damaged: a section lies outside the file", what);
  }
  if (size == 0) return;
  const uint64_t last = (begin + size - 1 - kHeaderBytes) / kLeafBytes;
  for (uint64_t i = (begin - kHeaderBytes) / kLeafBytes; i <= last; i += kBlake2bLanes) {
    const uint64_t group_end = std::min(i + kBlake2bLanes, last + 1);
    const uint64_t damaged = first_damaged_leaf(bytes, header, i, group_end);
    if (damaged != group_end) refuse_leaf(what, damaged);
  }
}

// Calls check(begin, end) for groups of leaves with `threads` threads; it returns the first damaged one, or
// `end`. Throws a user's error that names the first damaged leaf of all.
template <class Check>
void check_groups(const Header& header, const std::string& what, unsigned threads, Check check) {
  const uint64_t count = leaf_count(header);
  std::atomic<uint64_t> next{0}, first_damaged{count};
  auto work = [&] {
    while (true) {
      const uint64_t begin = next.fetch_add(kBlake2bLanes);
      if (begin >= first_damaged) return;
      const uint64_t end = std::min(begin + kBlake2bLanes, count);
      const uint64_t damaged = check(begin, end);
      if (damaged == end) continue;
      uint64_t seen = first_damaged;
      while (damaged < seen && !first_damaged.compare_exchange_weak(seen, damaged)) {
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < threads; ++i) helpers.emplace_back(work);
    work();
  }
  if (first_damaged != count) refuse_leaf(what, first_damaged);
}

}  // namespace

std::vector<std::byte> encode(const Program& program) {
  FieldWriter metadata;
  fields(metadata, const_cast<Program&>(program));

  struct Piece {
    Section section;
    Bytes bytes;
  };
  std::vector<Piece> pieces;
  auto add = [&](SectionKind kind, uint32_t index, Bytes bytes, std::string_view name) {
    Section section{};
    section.kind = static_cast<uint32_t>(kind);
    section.flags = kCritical;
    section.index = index;
    section.bytes = bytes.size();
    LOCKSTEP_CHECK(name.size() < sizeof(section.name));
    std::copy(name.begin(), name.end(), section.name);
    pieces.push_back({section, bytes});
  };
  add(SectionKind::Metadata, 0, metadata.out.bytes(), "");
  for (uint32_t i = 0; i < program.assets.size(); ++i) {
    add(SectionKind::Asset, i, program.assets[i].bytes, program.assets[i].name);
  }
  for (const auto& [memory, bytes] : program.contents) {
    LOCKSTEP_CHECK(bytes.size() == program.memories[memory].bytes);
    add(SectionKind::Memory, memory, bytes, "");
  }

  Header header{};
  std::copy_n(kMagic, sizeof(kMagic), header.magic);
  header.container_version = kContainerVersion;
  header.contract_version = program.contract_version;
  LOCKSTEP_CHECK(program.isa.size() < sizeof(header.isa));
  std::copy(program.isa.begin(), program.isa.end(), header.isa);
  header.isa_version = program.isa_version;
  header.section_count = static_cast<uint32_t>(pieces.size());
  header.section_table = kHeaderBytes;
  auto align = [](uint64_t offset) {
    return (offset + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
  };
  uint64_t offset = align(kHeaderBytes + pieces.size() * sizeof(Section));
  for (Piece& piece : pieces) {
    piece.section.offset = offset;
    offset = align(offset + piece.section.bytes);
  }
  header.leaves = offset;
  header.file_bytes = offset + leaf_count(header) * sizeof(Hash256);

  std::vector<std::byte> file(header.file_bytes);
  std::memcpy(file.data(), &header, sizeof(header));
  for (size_t i = 0; i < pieces.size(); ++i) {
    std::memcpy(file.data() + header.section_table + i * sizeof(Section), &pieces[i].section,
                sizeof(Section));
    std::copy(pieces[i].bytes.begin(), pieces[i].bytes.end(),
              file.begin() + static_cast<ptrdiff_t>(pieces[i].section.offset));
  }
  for (uint64_t i = 0; i < leaf_count(header); i += kBlake2bLanes) {
    const uint64_t end = std::min(i + kBlake2bLanes, leaf_count(header));
    const LeafHashes hashes = hash_leaves(file, header, i, end);
    std::memcpy(file.data() + header.leaves + i * sizeof(Hash256), hashes.data(),
                (end - i) * sizeof(Hash256));
  }
  const Hash256 root = hash_of(file, Bytes(file).subspan(header.leaves));
  std::copy(root.begin(), root.end(), file.begin() + offsetof(Header, hash));
  return file;
}

bool looks_like_program(Bytes bytes) {
  return bytes.size() >= sizeof(kMagic) && std::memcmp(bytes.data(), kMagic, sizeof(kMagic)) == 0;
}

Hash256 program_hash(Bytes bytes) {
  LOCKSTEP_CHECK(bytes.size() >= kHeaderBytes);
  Hash256 hash;
  std::memcpy(hash.data(), bytes.data() + offsetof(Header, hash), hash.size());
  return hash;
}

Program decode(Bytes bytes, const std::string& what) {
  const Header header = read_header(bytes, what);
  check_root(bytes, header, what);
  if (header.section_count > kSectionsMax) user_error("{}: damaged: {} sections", what, header.section_count);
  check_range(bytes, header, header.section_table, header.section_count * sizeof(Section), what);

  Program program;
  bool has_metadata = false;
  uint64_t end = header.section_table + header.section_count * sizeof(Section);
  std::vector<Section> memories;
  for (uint32_t i = 0; i < header.section_count; ++i) {
    Section section;
    std::memcpy(&section, bytes.data() + header.section_table + i * sizeof(Section), sizeof(section));
    if (section.offset % kSectionAlignment != 0 || section.offset < end || section.offset > header.leaves ||
        section.bytes > header.leaves - section.offset) {
      user_error("{}: damaged: section {} lies outside the file, over another or unaligned", what, i);
    }
    end = section.offset + section.bytes;
    const Bytes body = bytes.subspan(section.offset, section.bytes);
    switch (static_cast<SectionKind>(section.kind)) {
      case SectionKind::Metadata: {
        if (has_metadata) user_error("{}: damaged: it has metadata twice", what);
        check_range(bytes, header, section.offset, section.bytes, what);
        ByteReader in(body, what);
        FieldReader reader(in);
        fields(reader, program);
        if (in.remaining() != 0)
          user_error("{}: damaged: {} bytes too many in its metadata", what, in.remaining());
        has_metadata = true;
        break;
      }
      case SectionKind::Asset: {
        if (section.index != program.assets.size())
          user_error("{}: damaged: its assets are out of order", what);
        check_range(bytes, header, section.offset, section.bytes, what);
        const std::string_view name(section.name, strnlen(section.name, sizeof(section.name)));
        if (name.size() == sizeof(section.name))
          user_error("{}: damaged: an asset's name does not end", what);
        program.assets.push_back({std::string(name), {body.begin(), body.end()}});
        break;
      }
      case SectionKind::Memory:
        memories.push_back(section);
        break;
      default:
        if ((section.flags & kCritical) != 0) {
          user_error("{}: has a section of kind {} that this Lockstep does not know; use a newer one", what,
                     section.kind);
        }
    }
  }
  if (!has_metadata) user_error("{}: damaged: no metadata", what);
  if (program.contract_version != header.contract_version || program.isa_version != header.isa_version ||
      program.isa != std::string_view(header.isa, strnlen(header.isa, sizeof(header.isa)))) {
    user_error("{}: damaged: its header and its metadata name different versions", what);
  }
  for (const Section& section : memories) {
    if (section.index >= program.memories.size() || program.memories[section.index].bytes != section.bytes) {
      user_error("{}: damaged: a memory's section does not fit its declaration", what);
    }
    if (program.contents.contains(section.index)) {
      user_error("{}: damaged: memory {} has two sections", what, program.memories[section.index].name);
    }
    program.contents[section.index] = bytes.subspan(section.offset, section.bytes);
  }
  verify_structure(program, what);
  return program;
}

void check_leaves(Bytes bytes, const std::string& what, unsigned threads) {
  const Header header = read_header(bytes, what);
  check_root(bytes, header, what);
  check_groups(header, what, threads,
               [&](uint64_t begin, uint64_t end) { return first_damaged_leaf(bytes, header, begin, end); });
}

AlignedBuffer read_checked(const MappedFile& file, const std::string& what, unsigned threads) {
  const Bytes bytes = file.bytes();
  const Header header = read_header(bytes, what);
  AlignedBuffer copy(bytes.size(), PageSize::Huge);
  auto copy_range = [&](uint64_t begin, uint64_t end) {
    std::memcpy(copy.data() + begin, bytes.data() + begin, end - begin);
  };
  copy_range(0, kHeaderBytes);
  copy_range(header.leaves, bytes.size());
  const Bytes copied = {copy.data(), copy.size()};
  check_root(copied, header, what);
  check_groups(header, what, threads, [&](uint64_t begin, uint64_t end) {
    const uint64_t from = kHeaderBytes + begin * kLeafBytes;
    const uint64_t to = std::min(kHeaderBytes + end * kLeafBytes, header.leaves);
    copy_range(from, to);
    file.release_memory(bytes.subspan(from, to - from));
    return first_damaged_leaf(copied, header, begin, end);
  });
  return copy;
}

}  // namespace lockstep::program
