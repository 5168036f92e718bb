#include "text/chat_template.h"

#include <thread>
#include <vector>

#include "text/jinja_test_support.h"

namespace lockstep::text {
namespace {

constexpr const char* kChatMl =
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message['content'] + "
    "'<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

TEST(ChatTemplate, RendersAConversation) {
  auto chat_template = ChatTemplate::parse(kChatMl, "a template");
  std::vector<ChatMessage> messages = {{"system", "Be brief."}, {"user", "Hi"}};
  EXPECT_EQ(
      chat_template.render_chat(messages),
      "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  ChatOptions options;
  options.add_generation_prompt = false;
  EXPECT_EQ(chat_template.render_chat({messages.data() + 1, 1}, options), "<|im_start|>user\nHi<|im_end|>\n");
  EXPECT_EQ(chat_template.source(), kChatMl);
}

TEST(ChatTemplate, GivesTokensToolsAndFurtherVariables) {
  auto chat_template = ChatTemplate::parse(
      "{{ bos_token }}{{ eos_token }}{% if tools %}{{ tools[0].function.name }}{% endif %}{{ enable_thinking "
      "is defined and enable_thinking }}",
      "a template");
  ChatOptions options;
  options.bos_token = "<s>";
  options.eos_token = "</s>";
  EXPECT_EQ(chat_template.render_chat({}, options), "<s></s>False");
  options.tools = nlohmann::ordered_json::parse(R"([{"type": "function", "function": {"name": "clock"}}])");
  options.extra["enable_thinking"] = true;
  EXPECT_EQ(chat_template.render_chat({}, options), "<s></s>clockTrue");
}

TEST(ChatTemplate, NamesItselfAndTheLineInErrors) {
  try {
    ChatTemplate::parse("\n{{ x.y }}", "the chat template of a model")
        .render(nlohmann::ordered_json::object());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User);
    EXPECT_STREQ(error.what(), "the chat template of a model, line 2: 'x' is undefined");
  }
  EXPECT_THROW(ChatTemplate::parse("x", "t").render(nlohmann::ordered_json::array()), Error);
}

TEST(ChatTemplate, ContentIsNeverTakenForATemplate) {
  std::vector<ChatMessage> messages = {{"user", "{{ 1 + 1 }}{% if %}"}};
  EXPECT_NE(ChatTemplate::parse(kChatMl, "t").render_chat(messages).find("{{ 1 + 1 }}{% if %}"),
            std::string::npos);
}

TEST(ChatTemplate, KeepsBytesThatAreNotUtf8) {
  std::vector<ChatMessage> messages = {{"user", "a\xff\xc3z"}};
  auto chat_template = ChatTemplate::parse(
      "{% for m in messages %}{{ m.content[::-1] }}{{ m.content|upper|length }}{% endfor %}", "t");
  EXPECT_EQ(chat_template.render_chat(messages),
            "z\xc3\xff"
            "a4");
}

TEST(ChatTemplate, MayBeRenderedByManyThreads) {
  auto chat_template = ChatTemplate::parse(
      "{% for i in range(200) %}{{ 'é'.upper() ~ i|string|title }}{% endfor %}{{ messages[0].content }}",
      "t");
  std::vector<std::string> texts(8);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < texts.size(); ++i) {
    threads.emplace_back([&, i] {
      std::vector<ChatMessage> messages = {{"user", std::to_string(i)}};
      texts[i] = chat_template.render_chat(messages);
    });
  }
  for (auto& thread : threads) thread.join();
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(texts[i].back(), static_cast<char>('0' + i));
    EXPECT_EQ(texts[i].substr(0, texts[i].size() - 1), texts[0].substr(0, texts[0].size() - 1));
  }
}

}  // namespace
}  // namespace lockstep::text
