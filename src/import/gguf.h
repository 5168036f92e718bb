// GGUF, llama.cpp's model files: versions 2 and 3, little-endian. The format is described in ggml's
// docs/gguf.md: header, metadata, tensor descriptions, then the tensors' bytes, aligned.
#pragma once

#include <filesystem>
#include <string>

#include "import/checkpoint.h"

namespace lockstep::importer {

// Maps and parses a file. Throws a user's error for everything that is not a complete, consistent GGUF file
// whose tensor types can all be read.
Checkpoint read_gguf(const std::filesystem::path& path);

// The same for bytes in memory, which must outlive the checkpoint; `what` names them in messages.
Checkpoint parse_gguf(Bytes bytes, std::string what);

}  // namespace lockstep::importer
