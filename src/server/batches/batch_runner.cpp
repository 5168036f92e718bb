#include "server/batches/batch_runner.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "server/api_error.h"
#include "store/data_folder.h"

namespace lockstep::server {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kLookPeriod{1};
constexpr size_t kRunsMax = 64;     // batches that are worked on at once
constexpr int64_t kOpenMax = 1000;  // batches that a look sees

// A line that the server has no room for is sent again after 1, 2, 4, ... seconds, at most a minute; after
// so many times, about an hour and a half, it has failed.
constexpr int kTriesMax = 100;
constexpr std::chrono::seconds kLongestPause{60};

std::chrono::seconds pause_after(int tries) {
  return std::min(std::chrono::seconds(1 << std::min(tries - 1, 10)), kLongestPause);
}

bool is_no_room(unsigned status) {
  return status == 429 || status == 503;
}

// What others tell the thread. Outlives it: the engine and the journal may be slower.
class Inbox {
 public:
  struct News {
    std::vector<uint64_t> woken;                      // lines whose reply has something
    std::vector<std::pair<uint64_t, bool>> recorded;  // lines, and whether it worked
    bool look = false;
    bool stop = false;
  };

  template <class Add>
  void tell(Add add) {
    {
      const std::lock_guard lock(mutex_);
      add(news_);
    }
    changed_.notify_one();
  }

  // Waits for news, at the most until `deadline`.
  News take(Clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline, [&] {
      return !news_.woken.empty() || !news_.recorded.empty() || news_.look || news_.stop;
    });
    News news = std::move(news_);
    news_ = {};
    news_.stop = news.stop;
    return news;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  News news_;
};

}  // namespace

class BatchRunner::Loop {
 public:
  Loop(BatchPlace place, accounts::Journal& journal, AnswerCall answer, uint32_t lines_at_once)
      : place_(std::move(place)),
        journal_(journal),
        answer_(std::move(answer)),
        lines_at_once_(lines_at_once),
        inbox_(std::make_shared<Inbox>()) {
    store::make_data_folder(place_.locks);
    thread_ = std::jthread([this] { main(); });
  }

  ~Loop() {
    inbox_->tell([](Inbox::News& news) { news.stop = true; });
    thread_.join();
  }

  void look() {
    inbox_->tell([](Inbox::News& news) { news.look = true; });
  }

 private:
  struct Run {
    std::unique_ptr<BatchRun> batch;
    size_t lines = 0;                  // of lines_
    bool leaving = false;              // goes when its lines have gone
    std::map<size_t, int> tries = {};  // of lines that are to be sent again
  };
  using Runs = std::map<std::string, Run>;  // by the batch's id

  // A line that is being answered, or whose result is being committed.
  struct Line {
    Run& run;
    size_t index;
    std::unique_ptr<LineRequest> request = {};  // until it has ended
    std::optional<accounts::UsageRecord> record = {};
    BatchResult result = {};
  };

  void main() {
    bool busy = false;
    while (true) {
      const Inbox::News news = inbox_->take(busy ? Clock::now() : next_look_);
      if (news.stop) break;
      try {
        for (const uint64_t id : news.woken) advance(id);
        for (const auto& [id, worked] : news.recorded) take_recorded(id, worked);
        if (news.look || Clock::now() >= next_look_) look_around();
        busy = step_all();
        busy = start_line() || busy;
      } catch (const std::exception&) {  // out of memory, most likely
        busy = false;
        let_all_go();
      }
    }
    let_all_go();
  }

  // The database has all that must be known: the next look begins anew.
  void let_all_go() {
    lines_.clear();
    unrecorded_.clear();
    journal_.flush();  // before the locks go
    runs_.clear();
    next_look_ = Clock::now() + kLookPeriod;
  }

  // Finds batches that are new, and those that have another status than their run.
  void look_around() {
    next_look_ = Clock::now() + kLookPeriod;
    std::map<std::string, Batch> open;
    try {
      const auto found = place_.database.read(
          [](database::Transaction& transaction) { return batch_tables::open(transaction, kOpenMax); });
      for (const Batch& batch : found) open.emplace(batch.id, batch);
    } catch (const Error&) {
      return;  // the database cannot be reached; the next look tries again
    }
    for (auto& [id, run] : runs_) {
      const auto found = open.find(id);
      if (found == open.end() || found->second.status != run.batch->batch().status) leave(run);
    }
    remove_left();
    for (auto& [id, batch] : open) {
      if (runs_.size() < kRunsMax && !runs_.contains(id)) open_run(std::move(batch));
    }
    for (const uint64_t id : std::exchange(unrecorded_, {})) record(id);
  }

  void open_run(Batch batch) {
    const std::string id = batch.id;
    try {
      if (std::unique_ptr<BatchRun> run = BatchRun::open(place_, std::move(batch))) {
        runs_.emplace(id, Run{.batch = std::move(run)});
      }
    } catch (const Error&) {  // of the machine; the next look tries again
    }
  }

  // Gives whether there is more to do at once.
  bool step_all() {
    bool more = false;
    for (auto& [id, run] : runs_) {
      if (run.leaving) continue;
      BatchRun::Step step = BatchRun::Step::Leave;
      try {
        step = run.batch->step(run.lines);
        // What follows may be done by the same server at once.
        if (step == BatchRun::Step::Leave) next_look_ = Clock::now();
      } catch (const Error&) {  // opened again with the next look
      }
      more = more || step == BatchRun::Step::More;
      if (step == BatchRun::Step::Recall) drop_unfinished(run);
      if (step == BatchRun::Step::Leave) leave(run);
    }
    remove_left();
    return more;
  }

  void leave(Run& run) {
    run.leaving = true;
    drop_unfinished(run);
  }

  // Stops the lines of a run that have not ended.
  void drop_unfinished(Run& run) {
    for (auto line = lines_.begin(); line != lines_.end();) {
      const bool drop = &line->second.run == &run && line->second.request;
      if (drop) --run.lines;
      line = drop ? lines_.erase(line) : std::next(line);
    }
  }

  void remove_left() {
    std::erase_if(runs_, [](const auto& item) { return item.second.leaving && item.second.lines == 0; });
  }

  // Batches take turns, beginning after the one that had the last. Gives whether a line was started: one at
  // a time, so that replies do not wait.
  bool start_line() {
    if (lines_.size() >= lines_at_once_ || runs_.empty()) return false;
    auto run = runs_.upper_bound(last_turn_);
    for (size_t i = 0; i < runs_.size(); ++i, ++run) {
      if (run == runs_.end()) run = runs_.begin();
      if (run->second.leaving) continue;
      const std::optional<size_t> index = run->second.batch->take(Clock::now());
      if (!index) continue;
      last_turn_ = run->first;
      send(run->second, *index);
      return true;
    }
    return false;
  }

  void send(Run& run, size_t index) {
    const uint64_t id = next_line_++;
    Line& line = lines_.emplace(id, Line{.run = run, .index = index}).first->second;
    ++run.lines;
    const Batch& batch = run.batch->batch();
    const auto wake = [inbox = inbox_, id] {
      inbox->tell([id](Inbox::News& news) { news.woken.push_back(id); });
    };
    BatchInput& input = run.batch->input();
    try {
      line.request = std::make_unique<LineRequest>(answer_, batch, parse_batch_line(input.text(index), {}),
                                                   input.number(index), wake);
    } catch (const Error&) {  // the input cannot be read
      return try_again(id);
    }
    advance(id);
  }

  void advance(uint64_t id) {
    const auto found = lines_.find(id);
    if (found == lines_.end() || !found->second.request || !found->second.request->advance()) return;
    Line& line = found->second;
    if (is_no_room(line.request->status()) && line.run.tries[line.index] < kTriesMax) return try_again(id);
    line.result = line.request->result();
    line.record = line.request->record();
    line.request.reset();
    record(id);
  }

  void try_again(uint64_t id) {
    const auto found = lines_.find(id);
    const Line& line = found->second;
    const int tries = ++line.run.tries[line.index];
    line.run.batch->put_back(line.index, Clock::now() + pause_after(tries));
    --line.run.lines;
    lines_.erase(found);
  }

  // Commits a line's record and result, again and again until it worked: both bear that.
  void record(uint64_t id) {
    const Line& line = lines_.at(id);
    const auto also = [batch_id = line.run.batch->batch().id,
                       result = line.result](database::Transaction& transaction) {
      batch_tables::add_result(transaction, batch_id, result);
    };
    const auto done = [inbox = inbox_, id](const Error* error) {
      inbox->tell([&](Inbox::News& news) { news.recorded.emplace_back(id, error == nullptr); });
    };
    if (line.record) return journal_.add(*line.record, done, also);
    try {
      place_.database.write(also);
      done(nullptr);
    } catch (const Error& error) {
      done(&error);
    }
  }

  void take_recorded(uint64_t id, bool worked) {
    if (!worked) {
      unrecorded_.push_back(id);
      return;
    }
    const auto found = lines_.find(id);
    if (found == lines_.end()) return;
    const Line& line = found->second;
    line.run.batch->finish(line.index);
    line.run.tries.erase(line.index);
    --line.run.lines;
    lines_.erase(found);
  }

  BatchPlace place_;
  accounts::Journal& journal_;
  const AnswerCall answer_;
  const size_t lines_at_once_;
  const std::shared_ptr<Inbox> inbox_;
  Runs runs_;
  std::string last_turn_;           // the batch that had the last line
  std::map<uint64_t, Line> lines_;  // by a number of their own
  uint64_t next_line_ = 0;
  std::vector<uint64_t> unrecorded_;  // tried again with the next look
  Clock::time_point next_look_;
  std::jthread thread_;
};

BatchRunner::BatchRunner(BatchPlace place, accounts::Journal& journal, AnswerCall answer,
                         uint32_t lines_at_once)
    : loop_(std::make_unique<Loop>(std::move(place), journal, std::move(answer), lines_at_once)) {}

BatchRunner::~BatchRunner() = default;

void BatchRunner::look() {
  loop_->look();
}

}  // namespace lockstep::server
