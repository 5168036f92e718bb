// What a file that is no model file of the wanted format looks like, for the message that refuses it.
#pragma once

#include <string>

#include "base/bytes.h"

namespace lockstep::importer {

// A phrase such as "a safetensors file" or "a web page (the download failed?)"; "something else" if nothing
// is recognised. Judges by the first bytes alone.
std::string file_kind(Bytes bytes);

}  // namespace lockstep::importer
