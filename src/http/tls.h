// What a server needs to speak TLS.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <string>

namespace lockstep::http {

// A context for TLS 1.2 and 1.3 from two PEM files: the certificate, after it those that lead to its root,
// and its key without a password. Throws a user's error that names the option whose file is wrong.
boost::asio::ssl::context make_tls_context(const std::string& certificate_file, const std::string& key_file);

}  // namespace lockstep::http
