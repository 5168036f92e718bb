// The byte form of a program: docs/program-format.md.
//
//   header (256 bytes, fixed)   magic, versions, sizes, the section table's place, the program hash
//   section table
//   sections                    metadata; one for each File memory; one an asset
//   leaf hashes                 BLAKE2b-256 of every 1 MiB between the header and here
//
// The program hash is BLAKE2b-256 of the header (its own field zero) followed by the leaf hashes.
#pragma once

#include <filesystem>
#include <vector>

#include "base/file.h"
#include "program/program.h"

namespace lockstep::program {

inline constexpr uint32_t kContainerVersion = 2;
inline constexpr uint64_t kLeafBytes = uint64_t{1} << 20;

// Equal programs have equal bytes.
std::vector<std::byte> encode(const Program& program);

// True when the bytes begin like a program, whatever its version.
bool looks_like_program(Bytes bytes);

// The hash in the header.
Hash256 program_hash(Bytes bytes);

// Reads everything but the File memories' bytes, which stay views of `bytes`. Checks the header, the hashes
// of every leaf that holds metadata or assets, and every count and index. Throws a user's error that names
// `what`: a wrong file, one of another version, a damaged one.
Program decode(Bytes bytes, const std::string& what);

// Checks the program hash and every leaf against its hash, with `threads` threads. Throws a user's error that
// names the first damaged range.
void check_leaves(Bytes bytes, const std::string& what, unsigned threads);

// A copy of the file in huge pages, checked as check_leaves does, each leaf in the copy: what is used later
// is what was checked. Gives back the memory of the file's map on the way, so that nothing is held twice.
AlignedBuffer read_checked(const MappedFile& file, const std::string& what, unsigned threads);

}  // namespace lockstep::program
