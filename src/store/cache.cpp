#include "store/cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "base/error.h"

namespace lockstep::store {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLockSuffix = ".lock";
constexpr size_t kLongestKey = 200;

bool is_key(std::string_view key) {
  auto alphanumeric = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  return !key.empty() && key.size() <= kLongestKey && alphanumeric(key[0]) && !key.ends_with(kLockSuffix) &&
         std::all_of(key.begin(), key.end(),
                     [&](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

void touch(const fs::path& path) {
  // An entry that is not ours to touch, or gone by now, is used all the same.
  ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
}

// Gives whether the file was there.
bool remove_file(const fs::path& path) {
  if (::unlink(path.c_str()) == 0) return true;
  if (errno != ENOENT) machine_error("{}: cannot be removed: {}", path.string(), errno_text(errno));
  return false;
}

std::string make_folder(const fs::path& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) return fmt::format("the cache folder {} cannot be made: {}", folder.string(), code.message());
  if (::access(folder.c_str(), R_OK | W_OK | X_OK) != 0) {
    return fmt::format("the cache folder {} cannot be used: {}", folder.string(), errno_text(errno));
  }
  return {};
}

}  // namespace

CacheFolder::CacheFolder(fs::path folder, uint64_t maximum_bytes)
    : folder_(std::move(folder)), maximum_bytes_(maximum_bytes) {}

fs::path CacheFolder::path(const std::string& key) const {
  LOCKSTEP_CHECK(is_key(key));
  return folder_ / key;
}

std::optional<MappedFile> CacheFolder::open(const std::string& key) const {
  fs::path file = path(key);
  if (::access(file.c_str(), F_OK) != 0) return std::nullopt;
  if (maximum_bytes_ != kUnlimited) touch(file);
  try {
    return MappedFile(file);
  } catch (const Error&) {
    if (::access(file.c_str(), F_OK) != 0) return std::nullopt;  // removed between the two calls
    throw;
  }
}

void CacheFolder::put(const std::string& key, Bytes bytes) const {
  write_file(path(key), bytes);
  trim(key);
}

LockFile CacheFolder::lock(const std::string& key, const LockFile::OnWait& on_wait) const {
  return LockFile(path(key).concat(kLockSuffix), on_wait);
}

std::vector<CacheEntry> CacheFolder::list() const {
  std::vector<CacheEntry> entries;
  std::error_code code;
  fs::directory_iterator file(folder_, code);
  for (fs::directory_iterator end; !code && file != end; file.increment(code)) {
    std::string name = file->path().filename().string();
    struct stat status {};
    // lstat: a link is somebody else's, and a file may go while the folder is read.
    if (!is_key(name) || ::lstat(file->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    auto since_epoch =
        std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec);
    entries.push_back({name, static_cast<uint64_t>(status.st_size),
                       std::chrono::system_clock::time_point(
                           std::chrono::duration_cast<std::chrono::system_clock::duration>(since_epoch))});
  }
  if (code) machine_error("{}: cannot be listed: {}", folder_.string(), code.message());
  std::sort(entries.begin(), entries.end(), [](const CacheEntry& a, const CacheEntry& b) {
    return a.last_used != b.last_used ? a.last_used > b.last_used : a.key < b.key;
  });
  return entries;
}

uint64_t CacheFolder::trim(const std::string& kept) const {
  remove_stale_temporaries(folder_);
  if (maximum_bytes_ == kUnlimited) return 0;
  LockFile one_at_a_time(folder_ / ".trim.lock");
  std::vector<CacheEntry> entries = list();
  uint64_t total = 0;
  for (const CacheEntry& entry : entries) total += entry.bytes;
  uint64_t removed = 0;
  for (auto entry = entries.rbegin(); entry != entries.rend() && total > maximum_bytes_; ++entry) {
    if (entry->key == kept) continue;
    if (remove_file(path(entry->key))) removed += entry->bytes;
    total -= entry->bytes;
  }
  return removed;
}

uint64_t CacheFolder::clear() const {
  remove_stale_temporaries(folder_);
  uint64_t removed = 0;
  for (const CacheEntry& entry : list()) {
    if (remove_file(path(entry.key))) removed += entry.bytes;
  }
  return removed;
}

CacheSettings cache_settings_from_environment() {
  CacheSettings settings;
  fs::path xdg = environment("XDG_CACHE_HOME");
  if (auto root = environment("LOCKSTEP_CACHE"); !root.empty()) {
    settings.root = fs::absolute(root);
  } else if (xdg.is_absolute()) {
    settings.root = xdg / "lockstep";
  } else if (auto home = environment("HOME"); !home.empty()) {
    settings.root = fs::absolute(home) / ".cache" / "lockstep";
  }
  if (auto text = environment("LOCKSTEP_CACHE_MAX_BYTES"); !text.empty()) {
    const char* end = text.data() + text.size();
    auto result = std::from_chars(text.data(), end, settings.maximum_program_bytes);
    if (result.ec != std::errc() || result.ptr != end) {
      user_error("LOCKSTEP_CACHE_MAX_BYTES is '{}'; a whole number of bytes is wanted", text);
    }
  }
  return settings;
}

Cache::Cache(CacheFolder models, CacheFolder programs, CacheFolder tunings)
    : models_(std::move(models)), programs_(std::move(programs)), tunings_(std::move(tunings)) {}

Cache::Opened Cache::open(const CacheSettings& settings) {
  if (settings.root.empty()) {
    return {std::nullopt, "there is no cache folder: neither LOCKSTEP_CACHE, XDG_CACHE_HOME nor HOME is set"};
  }
  fs::path models = settings.root / "models";
  fs::path programs = settings.root / "programs";
  fs::path tunings = settings.root / "tunings";
  for (const fs::path& folder : {models, programs, tunings}) {
    if (std::string reason = make_folder(folder); !reason.empty()) return {std::nullopt, reason};
  }
  return {Cache(CacheFolder(models, CacheFolder::kUnlimited),
                CacheFolder(programs, settings.maximum_program_bytes),
                CacheFolder(tunings, CacheFolder::kUnlimited)),
          {}};
}

}  // namespace lockstep::store
