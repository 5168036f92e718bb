// A program for a chip through the C interface: the engine on the simulated chip.
#include <fstream>

#include "api/model_assets.h"
#include "compiler/lpu/compile_lpu.h"
#include "lockstep/lockstep.h"
#include "program/encode.h"
#include "store/test_processes.h"
#include "targets/lpu/test_model.h"
#include "text/test_vocabularies.h"

namespace lockstep::api {
namespace {

using targets::lpu::TestModel;

class ChipsTest : public testing::Test {
 protected:
  void SetUp() override {
    const machine::Machine machine = machine::find_machine("lpu-mini");
    TestModel model(machine);
    program::Program program = model.build();
    cycles_ = model.cycles();
    std::vector<std::string> pieces = {"A"};
    for (char letter = 'a'; letter <= 'z'; ++letter) pieces.emplace_back(1, letter);
    const text::Vocabulary vocabulary = text::make_spm_vocabulary(pieces, false);
    program.assets.push_back({kTokenizerAsset, text::encode_vocabulary(vocabulary)});
    const Bytes machine_text = as_bytes(machine.text);
    program.assets.push_back({compiler::kMachineAsset, {machine_text.begin(), machine_text.end()}});
    const std::vector<std::byte> bytes = program::encode(program);
    path_ = (folder_ / "program").string();
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  void TearDown() override { lockstep_free_model(model_); }

  std::string load(const char* machine, uint32_t context = 0, const char* cache_dir = nullptr,
                   const char* draft_model = nullptr) {
    lockstep_free_model(std::exchange(model_, nullptr));
    lockstep_load_options options{};
    options.machine = machine;
    options.context = context;
    options.cache_dir = cache_dir;
    options.draft_model = draft_model;
    options.no_cache = 1;
    return lockstep_load(path_.c_str(), &options, &model_) == LOCKSTEP_OK ? "" : lockstep_error();
  }

  // The last event of a greedy answer in which token 5 wins while `bias` is large.
  struct Answer {
    std::vector<int32_t> tokens;
    uint32_t reused = 0;
    std::string error;
  };
  Answer answer(const std::vector<int32_t>& prompt, float bias) {
    const lockstep_logit_bias biases[] = {{5, bias}};
    lockstep_request_options options;
    lockstep_default_request(&options);
    options.tokens_max = 4;
    options.logit_bias = biases;
    options.logit_bias_count = 1;
    lockstep_request* request = nullptr;
    Answer result;
    EXPECT_EQ(lockstep_submit(model_, prompt.data(), prompt.size(), &options, &request), LOCKSTEP_OK);
    for (lockstep_event event{}; event.finished == 0;) {
      const lockstep_status status = lockstep_poll(request, 1000, &event);
      if (status != LOCKSTEP_OK && status != LOCKSTEP_PENDING) {
        result.error = lockstep_error();
        break;
      }
      if (event.finished == 0) continue;
      result.tokens.assign(event.tokens, event.tokens + event.token_count);
      result.reused = event.prompt_tokens_reused;
    }
    lockstep_free_request(request);
    return result;
  }

  store::TemporaryFolder folder_;
  std::string path_;
  uint64_t cycles_ = 0;
  lockstep_model* model_ = nullptr;
};

TEST_F(ChipsTest, AnswersAndKeepsItsState) {
  ASSERT_EQ(load("lpu-mini"), "");
  const Answer first = answer({1, 2, 3}, 100);
  EXPECT_EQ(first.error, "");
  EXPECT_EQ(first.tokens, (std::vector<int32_t>{5, 5, 5, 5}));
  lockstep_model_info info{};
  lockstep_describe(model_, &info);
  EXPECT_STREQ(info.machine, "lpu-mini");
  EXPECT_EQ(info.context, 8u);
  EXPECT_EQ(info.chips, 1u);
  EXPECT_EQ(info.chip_rows, 6u);  // the last token of the answer is not run
  EXPECT_EQ(info.chip_cycles, 6 * cycles_);
  EXPECT_EQ(info.chip_hz, 100e6);

  const Answer second = answer({1, 2, 3, 5, 9}, 100);
  EXPECT_EQ(second.tokens.size(), 4u);
  EXPECT_EQ(second.reused, 4u);
}

TEST_F(ChipsTest, RefusesWhatLeavesTheRange) {
  ASSERT_EQ(load("lpu-mini"), "");
  // Without a bias token 29 wins, which is too large to be run.
  const std::string error = answer({1, 2}, 0).error;
  EXPECT_NE(error.find("blk.1.square (layer 1) leaves the range of the numerics at position 2"),
            std::string::npos)
      << error;
  EXPECT_EQ(answer({1, 2}, 100).tokens, (std::vector<int32_t>{5, 5, 5, 5}));
}

TEST_F(ChipsTest, RefusesAnotherMachineAndWhatChipsCannotDo) {
  const auto refuses = [](const std::string& error, const std::string& why) {
    EXPECT_NE(error.find(why), std::string::npos) << error;
  };
  refuses(load(nullptr), "was compiled for lpu-mini, not for host; --machine lpu-mini runs it");
  refuses(load("lpu-v1"), "was compiled for lpu-mini, not for lpu-v1");
  refuses(load("moon"), "moon");
  refuses(load("lpu-mini", 9), "--context 9: test was made for up to 8 positions");
  refuses(load("lpu-mini", 0, "/nowhere"), "leave out --cache-dir");
  refuses(load("lpu-mini", 0, nullptr, "/nowhere"), "leave out --draft-model");
  std::ofstream(path_) << "no program";
  refuses(load("lpu-mini"), "is no GGUF file");
}

}  // namespace
}  // namespace lockstep::api
