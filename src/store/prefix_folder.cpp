#include "store/prefix_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "store/cache.h"

namespace lockstep::store {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kFilesReadMax = 4;
constexpr uint64_t kTrimShare = 16;

void make_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    machine_error("{}: cannot be made: {}", folder.string(), errno_text(errno));
  }
  std::error_code code;
  if (!fs::is_directory(folder, code)) machine_error("{}: is not a folder", folder.string());
}

void touch(const fs::path& path) {
  ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // where that is not allowed, the block is older
}

// Reads a file's first bytes, at most `bytes_max`; nothing if there is no such regular file. Read and not
// mapped: a file that is cut meanwhile, or cannot be read on, is then no signal.
bool read_file(const fs::path& path, uint64_t bytes_max, std::vector<std::byte>& bytes) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) {
    if (errno == ENOENT || errno == ELOOP) return false;
    machine_error("{}: cannot be opened: {}", path.string(), errno_text(errno));
  }
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return false;
  }
  bytes.resize(std::min(static_cast<uint64_t>(status.st_size), bytes_max));
  size_t filled = 0;
  int code = 0;
  while (filled < bytes.size() && code == 0) {
    const ssize_t count = ::read(descriptor, bytes.data() + filled, bytes.size() - filled);
    if (count > 0) {
      filled += static_cast<size_t>(count);
    } else if (count == 0) {
      bytes.resize(filled);
    } else if (errno != EINTR) {
      code = errno;
    }
  }
  ::close(descriptor);
  if (code != 0) machine_error("{}: cannot be read: {}", path.string(), errno_text(code));
  return true;
}

// A folder of some version's and some model's blocks.
bool is_blocks_folder(const std::string& name) {
  const size_t dash = name.find('-');
  return name.size() > 2 && name[0] == 'v' && dash != std::string::npos && name.size() - dash - 1 == 64 &&
         std::all_of(name.begin() + 1, name.begin() + static_cast<std::ptrdiff_t>(dash),
                     [](char c) { return c >= '0' && c <= '9'; });
}

template <class A, class B>
size_t common_beginning(const A& a, const B& b) {
  const size_t most = std::min(a.size(), b.size());
  size_t count = 0;
  while (count < most && a[count] == b[count]) ++count;
  return count;
}

}  // namespace

PrefixFolder::PrefixFolder(const fs::path& root, const PrefixIdentity& identity, uint64_t maximum_bytes)
    : root_(root),
      folder_(root / fmt::format("v{}-{}", kPrefixVersion, hex(identity.fingerprint))),
      identity_(identity),
      maximum_bytes_(maximum_bytes),
      written_bytes_(maximum_bytes) {
  std::error_code code;
  fs::create_directories(root_.parent_path(), code);  // what is wrong shows in the next line
  make_folder(root_);
  make_folder(folder_);
}

template <class Visit>
void PrefixFolder::for_each_child(const Hash256& parent, const Visit& visit) const {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(folder_.c_str()), ::closedir);
  if (!stream) machine_error("{}: cannot be listed: {}", folder_.string(), errno_text(errno));
  const std::string beginning = prefix_name_beginning(parent);
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with(beginning)) continue;
    if (const auto digits = token_digits_of(name)) visit(name, *digits);
  }
}

std::optional<PrefixBlock> PrefixFolder::open(const std::string& name, const Hash256& parent,
                                              const OnDamage& on_damage) {
  const fs::path path = folder_ / name;
  // One byte more than a block can have: then it is seen to be too long.
  const uint64_t bytes_max = prefix_file_bytes(identity_, kPrefixTokensMax) + 1;
  if (irremovable_.contains(name) || !read_file(path, bytes_max, buffer_)) return std::nullopt;
  try {
    const PrefixBlock block = read_prefix(buffer_, identity_, path.string());
    if (block.parent != parent || prefix_name(block.parent, block.tokens()) != name) {
      user_error("{}: damaged: holds another block", path.string());
    }
    touch(path);
    return block;
  } catch (const Error& error) {
    const bool removed = ::unlink(path.c_str()) == 0 || errno == ENOENT;
    if (!removed) irremovable_.insert(name);
    on_damage(fmt::format("{}; it is {}", error.what(), removed ? "removed" : "ignored"));
    return std::nullopt;
  }
}

std::optional<PrefixBlock> PrefixFolder::load(const Hash256& parent, std::span<const int32_t> tokens,
                                              uint32_t more_than, const OnDamage& on_damage) {
  tokens = tokens.first(std::min<size_t>(tokens.size(), kPrefixTokensMax));
  if (tokens.size() <= more_than) return std::nullopt;
  if (tokens.size() == kPrefixTokensMax) {
    if (auto block = open(prefix_name(parent, tokens), parent, on_damage)) return block;
  }
  struct Candidate {
    size_t common = 0;  // token digits
    std::string name;
  };
  const std::string digits = prefix_token_digits(tokens);
  std::vector<Candidate> candidates;
  for_each_child(parent, [&](std::string_view name, std::string_view its_digits) {
    const size_t common = common_beginning(its_digits, digits);
    if (common > more_than) candidates.push_back({common, std::string(name)});
  });
  // Of equal beginnings the fuller block: it may serve the next request as well.
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    if (a.common != b.common) return a.common > b.common;
    return a.name.size() != b.name.size() ? a.name.size() > b.name.size() : a.name < b.name;
  });
  if (candidates.size() > kFilesReadMax) candidates.resize(kFilesReadMax);
  for (const Candidate& candidate : candidates) {
    const auto block = open(candidate.name, parent, on_damage);
    if (block && common_beginning(block->tokens(), tokens) > more_than) return block;
  }
  return std::nullopt;
}

// The number of tokens that a block on disk has in common with `tokens`; none if it cannot be read.
uint32_t PrefixFolder::common_tokens(const fs::path& path, std::span<const int32_t> tokens) const {
  try {
    std::vector<std::byte> beginning;
    if (!read_file(path, kPrefixHeadBytesMax, beginning)) return 0;
    const PrefixBlock block = read_prefix_head(beginning, identity_, path.string());
    return static_cast<uint32_t>(common_beginning(block.tokens(), tokens));
  } catch (const Error&) {
    return 0;
  }
}

bool PrefixFolder::write(const Hash256& parent, std::span<const int32_t> tokens, Bytes file) {
  const std::string own_digits = prefix_token_digits(tokens);
  std::vector<fs::path> beginnings;
  bool covered = false;
  for_each_child(parent, [&](std::string_view name, std::string_view digits) {
    const size_t common = common_beginning(digits, own_digits);
    if (common < std::min(digits.size(), own_digits.size())) return;
    const fs::path path = folder_ / name;
    if (common_tokens(path, tokens) < common) return;
    if (digits.size() < own_digits.size()) {
      beginnings.push_back(path);
    } else {
      touch(path);
      covered = true;
    }
  });
  if (covered) return false;
  AtomicFile block(folder_ / prefix_name(parent, tokens));
  block.append(file);
  block.commit(Durability::Lazy);
  for (const fs::path& path : beginnings) ::unlink(path.c_str());
  written_bytes_ += file.size();
  if (written_bytes_ < maximum_bytes_ / kTrimShare) return false;
  written_bytes_ = 0;
  return trim();
}

bool PrefixFolder::trim() const {
  const auto one_at_a_time = LockFile::try_lock(root_ / ".trim.lock");
  if (!one_at_a_time) return false;
  struct Block {
    CacheEntry entry;
    fs::path path;
  };
  std::vector<Block> blocks;
  uint64_t total = 0;
  std::error_code code;
  for (fs::directory_iterator folder(root_, code), end; !code && folder != end; folder.increment(code)) {
    if (!is_blocks_folder(folder->path().filename().string()) || folder->is_symlink()) continue;
    remove_stale_temporaries(folder->path());
    for (CacheEntry& entry : CacheFolder(folder->path(), CacheFolder::kUnlimited).list()) {
      if (!token_digits_of(entry.key)) continue;
      total += entry.bytes;
      fs::path path = folder->path() / entry.key;
      blocks.push_back({std::move(entry), std::move(path)});
    }
  }
  if (code) machine_error("{}: cannot be listed: {}", root_.string(), code.message());
  std::sort(blocks.begin(), blocks.end(),
            [](const Block& a, const Block& b) { return a.entry.last_used < b.entry.last_used; });
  const uint64_t wanted = maximum_bytes_ - maximum_bytes_ / kTrimShare;
  const bool too_much = total > wanted;
  for (const Block& block : blocks) {
    if (total <= wanted) break;
    if (::unlink(block.path.c_str()) != 0 && errno != ENOENT) {
      machine_error("{}: cannot be removed: {}", block.path.string(), errno_text(errno));
    }
    total -= block.entry.bytes;
  }
  return too_much;
}

}  // namespace lockstep::store
