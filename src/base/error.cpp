#include "base/error.h"

#include <system_error>

namespace lockstep {

int Error::exit_code() const {
  switch (kind_) {
    case ErrorKind::User:
      return 2;
    case ErrorKind::Machine:
      return 3;
    case ErrorKind::Internal:
      return 70;
  }
  return 70;
}

std::string errno_text(int code) {
  return std::generic_category().message(code);
}

}  // namespace lockstep
