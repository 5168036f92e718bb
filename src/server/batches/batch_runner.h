// Runs batches: checks their inputs, has their lines answered, makes their outputs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "accounts/journal.h"
#include "server/batches/batch_run.h"
#include "server/batches/line_request.h"

namespace lockstep::server {

// One thread for all batches. Some of them have places, which projects take in turn, the oldest batch of each
// first; lines are sent from the projects that have places in turn. Batches that need no lines any more end
// beside them. A batch whose maker may not have lines answered any more is cancelled at the next look, and so
// is one whose input has changed since it was checked.
//
// Each line is answered exactly once, whatever happens to the server. Its usage record is not written when
// its answer ends, as with other requests, but given to the runner (Call::take_record). So the answer is
// there, whole, before anything is recorded, and one transaction commits the record together with the line's
// result. A server that is killed before has neither, and the line is answered again; after it both are
// there. Lines that were stopped half-way, or are to be tried again, leave no trace.
class BatchRunner {
 public:
  // All must outlive this. `lines_at_once`: of all batches together.
  BatchRunner(BatchPlace place, accounts::Journal& journal, AnswerCall answer, uint32_t lines_at_once);
  // Stops the lines that run; they are answered by whoever runs the batch next.
  ~BatchRunner();

  // There is a batch that is new or was changed; without this it is found within a second. THREAD: any.
  void look();

 private:
  class Loop;

  std::unique_ptr<Loop> loop_;
};

}  // namespace lockstep::server
