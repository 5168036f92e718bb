#include "cli/conversation.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "store/atomic_file.h"
#include "text/utf8.h"

namespace lockstep::cli {

namespace {

using Json = nlohmann::ordered_json;

std::string read_text(const Json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) user_error("{}: \"{}\" is wanted, a text", where, key);
  const std::string text = found->get<std::string>();
  check_message_text(text, fmt::format("{}: \"{}\"", where, key));
  return text;
}

Message read_message(const Json& json, const std::string& where) {
  if (!json.is_object()) user_error("{}: an object with \"role\" and \"content\" is wanted", where);
  Message message{read_text(json, "role", where), read_text(json, "content", where)};
  if (message.role != "user" && message.role != "assistant") {
    user_error("{}: the role is \"{}\"; \"user\" and \"assistant\" are possible", where, message.role);
  }
  return message;
}

}  // namespace

std::vector<lockstep_message> Conversation::c_messages() const {
  std::vector<lockstep_message> list;
  if (!system.empty()) list.push_back({"system", system.c_str()});
  for (const Message& message : messages) list.push_back({message.role.c_str(), message.content.c_str()});
  return list;
}

void check_message_text(std::string_view text, const std::string& what) {
  if (const auto offset = text::find_invalid_utf8(text)) {
    user_error("{} is not valid UTF-8 at byte {}", what, *offset);
  }
  const size_t zero = text.find('\0');
  if (zero != std::string_view::npos) {
    user_error("{} has a zero byte at byte {}, which no message can hold", what, zero);
  }
}

void write_conversation(const std::string& path, const Conversation& conversation) {
  Json json;
  json["lockstep_chat"] = 1;
  json["system"] = conversation.system;
  json["messages"] = Json::array();
  for (const Message& message : conversation.messages) {
    json["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  store::write_file(path,
                    lockstep::as_bytes(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"));
}

Conversation read_conversation(const std::string& path) {
  const Json json = Json::parse(read_text_file(path), nullptr, false);
  if (!json.is_object() || !json.contains("lockstep_chat")) {
    user_error("{}: no conversation; '/save FILE' in 'lockstep chat' writes one", path);
  }
  if (json["lockstep_chat"] != 1) {
    user_error("{}: a conversation of a version that this Lockstep does not read", path);
  }
  Conversation conversation;
  if (json.contains("system")) conversation.system = read_text(json, "system", path);
  const auto messages = json.find("messages");
  if (messages == json.end() || !messages->is_array()) user_error("{}: \"messages\" is wanted, a list", path);
  for (const Json& message : *messages) {
    const std::string where = fmt::format("{}: message {}", path, conversation.messages.size() + 1);
    conversation.messages.push_back(read_message(message, where));
  }
  return conversation;
}

}  // namespace lockstep::cli
