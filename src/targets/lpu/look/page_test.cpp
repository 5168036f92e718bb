#include "targets/lpu/look/page.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "targets/lpu/look/hand_made.h"
#include "targets/lpu/look/run_entry.h"

namespace lockstep::targets::lpu {
namespace {

using Json = nlohmann::json;

std::string page_of(const HandMadeChain& chain) {
  const NodeMap map(chain.program);
  Recorder recorder(chain.program, chain.machine);
  const Run run = run_entry(chain.program, chain.machine, "step", &recorder);
  const program::Entry& entry = chain.program.entries[0];
  const Activity activity = analyse(recorder, chain.program, chain.machine, entry, map, run.cycles, {}, 1000);
  return page({chain.program, chain.machine, entry, map, activity,
               energy_use(run.events, run.cycles, 1, chain.machine)});
}

// What the page's script reads.
Json data_of(const std::string& page_text) {
  const std::string begin = "<script type=\"application/json\" id=\"data\">";
  const size_t from = page_text.find(begin) + begin.size(), end = page_text.find("</script>", from);
  return Json::parse(page_text.substr(from, end - from));
}

TEST(PageTest, CarriesTheRun) {
  const HandMadeChain chain;
  const Json data = data_of(page_of(chain));
  EXPECT_EQ(data["cycles"], 26);
  EXPECT_EQ(data["bins"], 26);
  EXPECT_EQ(data["machine"]["name"], "lpu-mini");
  EXPECT_EQ(data["units"]["list"].size(), chain.program.queues.size());
  EXPECT_EQ(data["nodes"].size(), 3u);
  EXPECT_EQ(data["nodes"][0][0], "blk.0.first");
  EXPECT_EQ(data["nodes"][0][2], "first");
  EXPECT_EQ(data["nodes"][0][5], 11);
  EXPECT_EQ(data["least"], 21);
  EXPECT_EQ(data["energy"]["parts"].size(), 10u);
  EXPECT_EQ(data["kinds"].size() + 1, data["nodes"][0][6].size());  // and the streams
}

TEST(PageTest, AsksForNothingOutsideItself) {
  const HandMadeChain chain;
  const std::string text = page_of(chain);
  EXPECT_NE(text.find("default-src 'none'"), std::string::npos);
  for (const char* outside : {"src=", "@import", "url(", "fetch(", "XMLHttpRequest"}) {
    EXPECT_EQ(text.find(outside), std::string::npos) << outside;
  }
  // The one address names the language of pictures.
  for (size_t at = 0; (at = text.find("://", at)) != std::string::npos; ++at) {
    EXPECT_EQ(text.substr(at, 22), "://www.w3.org/2000/svg") << text.substr(at - 10, 60);
  }
}

TEST(PageTest, NamesCannotEndTheScript) {
  HandMadeChain chain;
  chain.program.model_name = "</script><b>\"\xff";
  const std::string text = page_of(chain);
  EXPECT_EQ(text.find("</script><b>"), std::string::npos);
  EXPECT_EQ(data_of(text)["model"].get<std::string>().substr(0, 13), "</script><b>\"");
}

TEST(PackTest, SharesAreBytesAndZerosRuns) {
  std::string out;
  pack_shares({0, 0, 0, 1, 127, 254, 300}, 254, out);
  EXPECT_EQ(out, std::string("\x82\x01\x40\x7f\x7f"));
  out.clear();
  pack_shares(Bins(300), 1, out);
  EXPECT_EQ(out, std::string("\xff\xff\xab"));  // 128, 128 and 44 zeros
}

TEST(PackTest, NumbersAreSevenBitsAByte) {
  std::string out;
  for (uint64_t number : {0, 127, 128, 300}) pack_number(number, out);
  EXPECT_EQ(out, std::string("\x00\x7f\x80\x01\xac\x02", 6));
}

TEST(PackTest, Base64) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfb"), "//s=");
}

}  // namespace
}  // namespace lockstep::targets::lpu
