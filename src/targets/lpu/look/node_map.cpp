#include "targets/lpu/look/node_map.h"

#include <algorithm>
#include <map>

namespace lockstep::targets::lpu {

std::string NodeMap::Node::kind() const {
  if (layer < 0) return name;
  const std::string part = "." + std::to_string(layer) + ".";
  const size_t at = name.find(part);
  return at == std::string::npos ? name : name.substr(at + part.size());
}

NodeMap::NodeMap(const program::Program& program) : lines_(program.queues.size()) {
  std::map<std::string, uint32_t> known;
  for (const program::SourceLine& line : program.source_map) {
    const auto [found, is_new] = known.emplace(line.node, static_cast<uint32_t>(nodes_.size()));
    if (is_new) nodes_.push_back({line.node, line.layer});
    lines_[line.queue].push_back({line.instruction, found->second});
  }
  for (std::vector<Line>& lines : lines_) {
    std::stable_sort(lines.begin(), lines.end(),
                     [](const Line& a, const Line& b) { return a.instruction < b.instruction; });
  }
}

uint32_t NodeMap::node(uint32_t queue, uint32_t instruction) const {
  const std::vector<Line>& lines = lines_[queue];
  const auto after =
      std::upper_bound(lines.begin(), lines.end(), instruction,
                       [](uint32_t wanted, const Line& line) { return wanted < line.instruction; });
  return after == lines.begin() ? program::kNone : std::prev(after)->node;
}

}  // namespace lockstep::targets::lpu
