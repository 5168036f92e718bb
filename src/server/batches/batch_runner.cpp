#include "server/batches/batch_runner.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <span>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "accounts/calendar.h"
#include "base/error.h"
#include "server/api_error.h"
#include "server/batches/batch_inbox.h"
#include "server/batches/open_batches.h"
#include "store/data_folder.h"

namespace lockstep::server {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kLookPeriod{1};
constexpr size_t kRunsMax = 64;  // batches that are worked on at once, and as many that are about to end
constexpr std::chrono::minutes kPlacesTurn{1};  // where there are more projects than places
constexpr std::chrono::seconds kRest{5};        // of a batch after a failure
constexpr std::chrono::seconds kNoRoomPause{1};

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

}  // namespace

class BatchRunner::Loop {
 public:
  Loop(BatchPlace place, accounts::Journal& journal, AnswerCall answer, uint32_t lines_at_once)
      : place_(std::move(place)),
        journal_(journal),
        answer_(std::move(answer)),
        lines_at_once_(lines_at_once),
        inbox_(std::make_shared<BatchInbox>()) {
    store::make_data_folder(place_.locks);
    thread_ = std::jthread([this] { main(); });
  }

  ~Loop() {
    inbox_->tell([](BatchInbox::News& news) { news.stop = true; });
    thread_.join();
  }

  void look() {
    inbox_->tell([](BatchInbox::News& news) { news.look = true; });
  }

 private:
  struct Run {
    std::unique_ptr<BatchRun> batch;
    size_t lines = 0;                  // of lines_
    uint64_t served = 0;               // its last line
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
      const BatchInbox::News news = inbox_->take(busy ? Clock::now() : next_look_);
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
    const int64_t now_ms = accounts::now_ms();
    std::vector<OpenBatch> open;
    try {
      open = open_batches(place_.database, now_ms);
      for (OpenBatch& batch : open) stop_refused(batch);
    } catch (const Error&) {
      return;  // the database cannot be reached; the next look tries again
    }
    leave_changed(open);
    remove_left();
    const auto end = std::stable_partition(open.begin(), open.end(),
                                           [&](const OpenBatch& batch) { return batch.ending(now_ms); });
    give_places_to_ending({open.begin(), end});
    give_places({end, open.end()});
    std::erase_if(resting_, [&](const auto& item) { return item.second <= Clock::now(); });
    for (const uint64_t id : std::exchange(unrecorded_, {})) record(id);
  }

  void leave_changed(std::span<const OpenBatch> open) {
    std::map<std::string_view, const OpenBatch*> by_id;
    for (const OpenBatch& batch : open) by_id.emplace(batch.id, &batch);
    for (auto& [id, run] : runs_) {
      const auto found = by_id.find(id);
      if (found == by_id.end() || found->second->status != run.batch->batch().status) {
        leave(run);
      } else {
        run.batch->set_caller(found->second->caller);
      }
    }
  }

  // Whose maker may no longer have lines answered.
  void stop_refused(OpenBatch& batch) {
    const bool running = batch.status == BatchStatus::Validating || batch.status == BatchStatus::InProgress;
    if (!running || !batch.refusal) return;
    cancel(batch.id, *batch.refusal);
    batch.status = BatchStatus::Cancelling;  // or what another look finds
  }

  void cancel(const std::string& id, const BatchError& error) {
    place_.database.write([&](database::Transaction& transaction) {
      std::optional<Batch> batch = batch_tables::find(transaction, std::nullopt, id);
      if (!batch) return;
      if (batch->status != BatchStatus::Validating && batch->status != BatchStatus::InProgress) return;
      batch->enter(BatchStatus::Cancelling, accounts::now_ms());
      batch->errors = {error};
      batch_tables::update(transaction, *batch);
    });
  }

  // Beside the places of others: they go soon.
  void give_places_to_ending(std::span<const OpenBatch> batches) {
    size_t places = kRunsMax;
    for (const OpenBatch& batch : batches) {
      if (places == 0) return;
      if (take_place(batch)) --places;
    }
  }

  // Those that have had a place keep it while there are enough, or until another project has none.
  void give_places(std::span<const OpenBatch> batches) {
    size_t places = kRunsMax;
    std::set<std::string_view> projects;
    std::string last;
    bool left_out = false;
    for (const OpenBatch* batch : in_turn(batches, after_project_)) {
      const std::string& project = batch->caller.project_id;
      if (places != 0) {
        if (!take_place(*batch)) continue;
        --places;
        projects.insert(project);
        last = project;
      } else {
        left_out = left_out || !projects.contains(project);
        if (const auto run = runs_.find(batch->id); run != runs_.end()) leave(run->second);
      }
    }
    remove_left();
    std::erase_if(served_, [&](const auto& item) { return !projects.contains(item.first); });
    if (!left_out || Clock::now() < next_turn_) return;
    after_project_ = last;
    next_turn_ = Clock::now() + kPlacesTurn;
  }

  // Gives whether this server works on the batch.
  bool take_place(const OpenBatch& open) {
    if (const auto run = runs_.find(open.id); run != runs_.end()) return !run->second.leaving;
    if (resting_.contains(open.id)) return false;
    try {
      std::unique_ptr<BatchRun> run = BatchRun::open(place_, open.id);
      if (!run) return false;
      run->set_caller(open.caller);
      runs_.emplace(open.id, Run{.batch = std::move(run)});
      return true;
    } catch (const std::exception&) {  // of the machine or of the input
      rest(open.id);
      return false;
    }
  }

  // What has failed is tried again a little later, and keeps no others from their work.
  void rest(const std::string& id) { resting_[id] = Clock::now() + kRest; }

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
      } catch (const std::exception&) {
        rest(id);
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

  // Projects take turns, and the batches of each. Gives whether a line was started: one at a time, so that
  // replies do not wait.
  bool start_line() {
    if (lines_.size() >= lines_at_once_ || Clock::now() < next_line_at_) return false;
    std::vector<Run*> order;
    for (auto& [id, run] : runs_) {
      if (!run.leaving) order.push_back(&run);
    }
    const auto turn = [&](const Run* run) {
      return std::pair(served_[run->batch->batch().caller.project_id], run->served);
    };
    std::sort(order.begin(), order.end(), [&](const Run* a, const Run* b) { return turn(a) < turn(b); });
    for (Run* run : order) {
      const std::optional<size_t> index = run->batch->take(Clock::now());
      if (!index) continue;
      served_[run->batch->batch().caller.project_id] = run->served = next_line_;
      send(*run, *index);
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
      inbox->tell([id](BatchInbox::News& news) { news.woken.push_back(id); });
    };
    BatchInput& input = run.batch->input();
    try {
      line.request = std::make_unique<LineRequest>(answer_, batch, parse_batch_line(input.text(index), {}),
                                                   input.number(index), wake);
    } catch (const ApiError& error) {
      return stop_damaged(id, error.what());
    } catch (const std::exception&) {  // the input cannot be read, or there is no memory
      return try_again(id);
    }
    advance(id);
  }

  // The input is not what was checked.
  void stop_damaged(uint64_t id, const char* what) {
    const Line& line = lines_.at(id);
    Run& run = line.run;
    const BatchError error = {
        .code = "input_damaged",
        .message = fmt::format("The input file has changed since it was checked: {}", what),
        .line = run.batch->input().number(line.index)};
    drop(id);
    leave(run);
    try {
      cancel(run.batch->batch().id, error);
      next_look_ = Clock::now();
    } catch (const Error&) {  // the database cannot be reached: found again later
      rest(run.batch->batch().id);
    }
  }

  void advance(uint64_t id) {
    const auto found = lines_.find(id);
    if (found == lines_.end() || !found->second.request || !found->second.request->advance()) return;
    Line& line = found->second;
    const bool refused = is_no_room(line.request->status());
    // Whoever has ended may have made room; while there is none, one line is enough to find out.
    next_line_at_ = refused ? Clock::now() + kNoRoomPause : Clock::now();
    if (refused && line.run.tries[line.index] < kTriesMax) return try_again(id);
    line.result = line.request->result();
    line.record = line.request->record();
    line.request.reset();
    record(id);
  }

  void try_again(uint64_t id) {
    const Line& line = lines_.at(id);
    const int tries = ++line.run.tries[line.index];
    line.run.batch->put_back(line.index, Clock::now() + pause_after(tries));
    drop(id);
  }

  void drop(uint64_t id) {
    const auto found = lines_.find(id);
    --found->second.run.lines;
    lines_.erase(found);
  }

  // Commits a line's record and result, again and again until it worked: both bear that.
  void record(uint64_t id) {
    const auto found = lines_.find(id);
    if (found == lines_.end()) return;  // all were let go
    const Line& line = found->second;
    const auto also = [batch_id = line.run.batch->batch().id,
                       result = line.result](database::Transaction& transaction) {
      batch_tables::add_result(transaction, batch_id, result);
    };
    const auto done = [inbox = inbox_, id](const Error* error) {
      inbox->tell([&](BatchInbox::News& news) { news.recorded.emplace_back(id, error == nullptr); });
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
    const auto found = lines_.find(id);
    if (found == lines_.end()) return;  // all were let go
    if (!worked) {
      unrecorded_.push_back(id);
      return;
    }
    const Line& line = found->second;
    line.run.batch->finish(line.index);
    line.run.tries.erase(line.index);
    drop(id);
  }

  BatchPlace place_;
  accounts::Journal& journal_;
  const AnswerCall answer_;
  const size_t lines_at_once_;
  const std::shared_ptr<BatchInbox> inbox_;
  Runs runs_;
  std::map<uint64_t, Line> lines_;  // by a number of their own
  uint64_t next_line_ = 1;
  Clock::time_point next_line_at_;
  std::map<std::string, uint64_t> served_;  // the last line of each project
  std::string after_project_;               // with whose successor places are given out
  Clock::time_point next_turn_;             // when that changes
  std::map<std::string, Clock::time_point> resting_;
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
