// How long this process's threads waited for a core: what tells work of others from work that is slow.
#pragma once

namespace lockstep {

// Seconds that the threads which live now were ready to run and had no core, all together; 0 where the system
// does not tell (proc(5), /proc/PID/task/TID/schedstat, the second number).
double run_delay_seconds();

}  // namespace lockstep
