#include "engine/engine.h"

#include <algorithm>
#include <utility>

namespace lockstep::engine {

std::optional<Event> Ticket::poll(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  // A wait of no time at all would still ask the system.
  if (timeout.count() > 0) ready_.wait_for(lock, timeout, [this] { return !events_.empty(); });
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Ticket::push(Event event) {
  const bool finished = event.finished;
  {
    std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  ready_.notify_one();
  if (listener_) listener_(finished);
}

Engine::Engine(targets::Target& target, const text::Tokenizer& tokenizer, uint32_t vocabulary,
               const BatchOptions& options)
    : target_(target),
      tokenizer_(tokenizer),
      vocabulary_(vocabulary),
      batch_(target, options, &news_),
      thread_([this] { thread_main(); }) {}

Engine::~Engine() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    news_ = true;
  }
  wake_.notify_one();
}

std::shared_ptr<Ticket> Engine::submit(Request request, Listener listener) {
  check_request(request, vocabulary_, target_.context());
  if (request.embed && target_.hidden_width() == 0) {
    user_error("the machine that runs this model gives no embeddings; they are made on the host");
  }
  auto ticket = std::make_shared<Ticket>();
  ticket->listener_ = std::move(listener);
  ticket->sequence_ = std::make_shared<Sequence>(tokenizer_, std::move(request), target_.context());
  {
    std::lock_guard lock(mutex_);
    submitted_.push_back(ticket);
    news_ = true;
  }
  wake_.notify_one();
  return ticket;
}

Load Engine::load() {
  std::lock_guard lock(mutex_);
  Load load = batch_.load();
  for (const auto& ticket : submitted_) {
    ++load.waiting[static_cast<size_t>(ticket->sequence_->generation.request().service)];
  }
  return load;
}

void Engine::thread_main() {
  std::optional<Error> failure;
  while (true) {
    try {
      if (failure) fail_all(*failure);
      failure.reset();
      if (!take_submitted()) return;
      batch_.step([this](Sequence& sequence) { tell(sequence); });
    } catch (const Error& error) {
      failure = error;
    } catch (const std::exception& error) {
      failure = Error(ErrorKind::Internal, error.what());
    }
  }
}

// Moves what was submitted into the batch, and waits for something when the batch has nothing to do. False
// when the engine is to stop: all answers are then cancelled.
bool Engine::take_submitted() {
  if (!news_ && !batch_.idle()) return true;
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return news_ || !batch_.idle(); });
  news_ = stop_;
  while (!submitted_.empty()) {
    const std::shared_ptr<Ticket> ticket = submitted_.front();
    tickets_.emplace(ticket->sequence_.get(), ticket);
    submitted_.pop_front();
    batch_.add(ticket->sequence_);
  }
  if (!stop_) return true;
  lock.unlock();
  end_all([](Sequence& sequence) { sequence.generation.cancel(); });
  return false;
}

void Engine::fail_all(const Error& error) {
  end_all([&](Sequence& sequence) { sequence.generation.fail(error); });
}

// Ends and tells every sequence that has not been told of its end.
void Engine::end_all(const std::function<void(Sequence&)>& end) {
  batch_.end_all(end, [](Sequence&) {});
  while (!tickets_.empty()) {
    Sequence& sequence = *tickets_.begin()->second->sequence_;
    if (!sequence.generation.finished()) end(sequence);
    tell(sequence);
  }
}

// Tells a sequence's owner how far it is.
void Engine::tell(Sequence& sequence) {
  Generation& generation = sequence.generation;
  const auto ticket = tickets_.find(&sequence);
  LOCKSTEP_CHECK(ticket != tickets_.end());
  Event event;
  event.text = generation.take_text();
  event.logprobs = generation.take_logprobs();
  event.prompt_tokens_done = std::min(sequence.computed, generation.prompt_size());
  event.prompt_tokens_reused = sequence.reused;
  event.answer_tokens_done = static_cast<uint32_t>(generation.answer().size());
  event.finished = generation.finished();
  if (!event.finished) return ticket->second->push(std::move(event));
  const std::span<const int32_t> answer = generation.answer();
  event.reason = generation.finish_reason();
  event.tokens.assign(answer.begin(), answer.end());
  event.digest = generation.digest();
  event.embedding = generation.take_embedding();
  event.timing = sequence.timing;
  event.drafts_tried = sequence.drafts_tried;
  event.drafts_taken = sequence.drafts_taken;
  event.error = generation.error();
  ticket->second->push(std::move(event));
  tickets_.erase(ticket);
}

}  // namespace lockstep::engine
