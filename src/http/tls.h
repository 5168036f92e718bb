// What servers and clients need to speak TLS 1.2 and 1.3.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <string>

namespace lockstep::http {

// A server's context from two PEM files: the certificate, after it those that lead to its root,
// and its key without a password. Throws a user's error that names the option whose file is wrong.
boost::asio::ssl::context make_tls_context(const std::string& certificate_file, const std::string& key_file);

// A client's context, which trusts the authorities in a PEM file; with an empty name those of the system.
// Throws a user's error when the file holds none.
boost::asio::ssl::context make_client_tls_context(const std::string& ca_file);

}  // namespace lockstep::http
