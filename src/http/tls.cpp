#include "http/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509err.h>

#include "base/error.h"
#include "base/file.h"

namespace lockstep::http {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

namespace {

// Forward secrecy and authenticated encryption alone; TLS 1.3 has no others.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

bool is_mismatch(const error_code& error) {
  const auto value = static_cast<unsigned long>(error.value());
  return ERR_GET_LIB(value) == ERR_LIB_X509 && ERR_GET_REASON(value) == X509_R_KEY_VALUES_MISMATCH;
}

// Versions and options that both sides want.
ssl::context make_context(ssl::context::method side) {
  ssl::context context(side);
  context.set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 | ssl::context::no_sslv3 |
                      ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1 | ssl::context::no_compression |
                      SSL_OP_NO_RENEGOTIATION);
  LOCKSTEP_CHECK(SSL_CTX_set_cipher_list(context.native_handle(), kCiphers) == 1);
  return context;
}

}  // namespace

ssl::context make_tls_context(const std::string& certificate_file, const std::string& key_file) {
  if (certificate_file.empty() || key_file.empty()) {
    user_error("--cert and --key belong together: TLS needs a certificate and its key");
  }
  ssl::context context = make_context(ssl::context::tls_server);
  context.set_options(SSL_OP_CIPHER_SERVER_PREFERENCE);
  error_code error;
  context.use_certificate_chain(boost::asio::buffer(read_text_file(certificate_file)), error);
  if (error) {
    user_error("--cert {}: this is no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----",
               certificate_file);
  }
  // Without this OpenSSL would ask for a password at the terminal.
  context.set_password_callback([](size_t, ssl::context::password_purpose) { return std::string(); });
  context.use_private_key(boost::asio::buffer(read_text_file(key_file)), ssl::context::pem, error);
  const bool mismatch = is_mismatch(error);
  if (error && !mismatch) user_error("--key {}: this is no private key in PEM without a password", key_file);
  // A key of another kind than the certificate's is no error to OpenSSL until both are looked at together.
  if (mismatch || SSL_CTX_check_private_key(context.native_handle()) != 1) {
    user_error("--key {}: this is not the key of --cert {}", key_file, certificate_file);
  }
  return context;
}

ssl::context make_client_tls_context(const std::string& ca_file) {
  ssl::context context = make_context(ssl::context::tls_client);
  context.set_verify_mode(ssl::verify_peer);
  error_code error;
  if (ca_file.empty()) {
    context.set_default_verify_paths(error);
    if (error) user_error("the system's certificates of authorities cannot be read: {}", error.message());
    return context;
  }
  context.load_verify_file(ca_file, error);
  if (error) {
    user_error(
        "--ca-file {}: a file that can be read is wanted, with certificates in PEM, which begin with "
        "-----BEGIN "
        "CERTIFICATE-----",
        ca_file);
  }
  return context;
}

}  // namespace lockstep::http
