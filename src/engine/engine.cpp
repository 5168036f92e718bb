#include "engine/engine.h"

namespace lockstep::engine {

std::optional<Event> Ticket::poll(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  if (!ready_.wait_for(lock, timeout, [this] { return !events_.empty(); })) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Ticket::push(Event event) {
  {
    std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  ready_.notify_one();
}

Engine::Engine(targets::Target& target, const text::Tokenizer& tokenizer, uint32_t vocabulary)
    : target_(target), tokenizer_(tokenizer), vocabulary_(vocabulary), thread_([this] { thread_main(); }) {}

Engine::~Engine() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
}

std::shared_ptr<Ticket> Engine::submit(Request request) {
  check_request(request, vocabulary_, target_.context());
  auto ticket = std::make_shared<Ticket>();
  ticket->request_ = std::move(request);
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(ticket);
  }
  wake_.notify_one();
  return ticket;
}

void Engine::thread_main() {
  while (true) {
    std::shared_ptr<Ticket> ticket;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
      if (stop_) return;
      ticket = std::move(queue_.front());
      queue_.pop_front();
    }
    serve(*ticket);
  }
}

void Engine::serve(Ticket& ticket) {
  Generation generation(target_, tokenizer_, std::move(ticket.request_), kept_);
  kept_.clear();
  std::optional<Error> error;
  while (!generation.finished()) {
    if (ticket.cancelled_ || stop_) generation.cancel();
    Event event;
    try {
      event.text = generation.advance();
    } catch (const Error& caught) {
      error = caught;
    } catch (const std::exception& caught) {
      error = Error(ErrorKind::Internal, caught.what());
    }
    event.prompt_tokens_done = generation.prompt_tokens_done();
    if (!generation.finished()) {
      ticket.push(std::move(event));
      continue;
    }
    event.finished = true;
    event.reason = generation.finish_reason();
    event.tokens = generation.tokens();
    event.digest = generation.digest();
    event.timing = generation.timing();
    event.error = error;
    if (!error) kept_ = generation.kept_tokens();
    ticket.push(std::move(event));
  }
}

}  // namespace lockstep::engine
