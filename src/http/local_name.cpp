#include "http/local_name.h"

#include <boost/algorithm/string/predicate.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/host_name.hpp>
#include <string>

namespace lockstep::http {

bool is_local_name(std::string_view host) {
  namespace asio = boost::asio;
  using boost::algorithm::iends_with;
  using boost::algorithm::iequals;
  boost::system::error_code error;
  const bool bracketed = host.starts_with('[');
  std::string_view name = host.substr(0, bracketed ? host.find(']') : host.rfind(':'));
  if (bracketed) name.remove_prefix(1);
  asio::ip::make_address(std::string(name), error);
  if (!error || name.empty() || iequals(name, "localhost") || iends_with(name, ".localhost")) return true;
  return iequals(name, asio::ip::host_name(error));
}

}  // namespace lockstep::http
