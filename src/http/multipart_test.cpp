#include "http/multipart.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace lockstep::http {
namespace {

constexpr std::string_view kType = "multipart/form-data; boundary=xYzZY";

// What an upload of a file looks like.
const std::string kUpload =
    "--xYzZY\r\n"
    "Content-Disposition: form-data; name=\"purpose\"\r\n"
    "\r\n"
    "batch\r\n"
    "--xYzZY\r\n"
    "content-disposition:form-data;name=file; filename=\"lines \\\"1\\\".jsonl\"\r\n"
    "Content-Type: application/octet-stream\r\n"
    "X-Other: anything\r\n"
    "\r\n"
    "{}\r\n\r\n--xYzZ\r\n"
    "\r\n--xYzZY--\r\n";

std::string message_of(std::string_view type, const std::string& body) {
  try {
    parse_multipart(type, body);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User);
    return error.what();
  }
  return "";
}

std::string with_part(const std::string& header) {
  return "--xYzZY\r\n" + header + "\r\n\r\nbody\r\n--xYzZY--\r\n";
}

TEST(Multipart, TwoFields) {
  const std::vector<Part> parts = parse_multipart(kType, kUpload);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].name, "purpose");
  EXPECT_FALSE(parts[0].file_name);
  EXPECT_EQ(parts[0].content_type, "");
  EXPECT_EQ(parts[0].body, "batch");
  EXPECT_EQ(parts[1].name, "file");
  EXPECT_EQ(parts[1].file_name, "lines \"1\".jsonl");
  EXPECT_EQ(parts[1].content_type, "application/octet-stream");
  EXPECT_EQ(parts[1].body, "{}\r\n\r\n--xYzZ\r\n");
  EXPECT_EQ(find_part(parts, "file"), &parts[1]);
  EXPECT_EQ(find_part(parts, "none"), nullptr);
}

TEST(Multipart, CutAnywhereItIsRefused) {
  // The last line end may be missing.
  for (size_t size = 0; size < kUpload.size() - 2; ++size) {
    EXPECT_NE(message_of(kType, kUpload.substr(0, size)), "") << size;
  }
  EXPECT_EQ(message_of(kType, kUpload.substr(0, kUpload.size() - 2)), "");
  EXPECT_NE(message_of(kType, kUpload.substr(0, kUpload.size() - 1)), "");
}

TEST(Multipart, AByteMoreOrAnother) {
  for (size_t at = 0; at < kUpload.size(); ++at) {
    for (const char c : {'\0', '\r', '\n', '-', '"', ';'}) {
      std::string changed = kUpload;
      changed[at] = c;
      message_of(kType, changed);
      changed.insert(at, 1, c);
      message_of(kType, changed);
    }
  }
}

TEST(Multipart, TypesAndBoundaries) {
  EXPECT_EQ(message_of("Multipart/Form-Data ; charset=utf-8;  BOUNDARY=\"xYzZY\"", kUpload), "");
  for (const char* type :
       {"", "application/json", "multipart/mixed; boundary=xYzZY", "multipart/form-data",
        "multipart/form-data; boundary=", "multipart/form-data; boundary=\"", "multipart/form-data; boundary",
        "multipart/form-data; boundary=xYzZY; boundary=a", "multipart/form-data; boundary=\"a \"",
        "multipart/form-data; boundary=\"a\tb\""}) {
    EXPECT_NE(message_of(type, kUpload), "") << type;
  }
  const std::string longest(70, 'b');
  EXPECT_EQ(message_of("multipart/form-data; boundary=" + longest, "--" + longest + "--"), "");
  EXPECT_NE(message_of("multipart/form-data; boundary=b" + longest, "--b" + longest + "--"), "");
}

TEST(Multipart, HeadersOfParts) {
  for (const char* header :
       {"", "Content-Type: text/plain", "Content-Disposition: form-data",
        "Content-Disposition: attachment; name=a", "Content-Disposition: form-data; name=\"\"",
        "Content-Disposition: form-data; name=a; name=b",
        "Content-Disposition: form-data; name=a; filename=a; filename=b",
        "Content-Disposition: form-data; name=\"a",
        "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b", "no header line",
        "Content-Disposition : form-data; name=a", "Content-Disposition: form-data; name=a\r\n folded",
        "Content-Disposition: form-data name=a"}) {
    EXPECT_NE(message_of(kType, with_part(header)), "") << header;
  }
  EXPECT_NE(message_of(kType, with_part(std::string("Content-Disposition: form-data; name=a\0b", 39))), "");
  EXPECT_EQ(message_of(kType, with_part("Content-Disposition: form-data; name=a;")), "");
}

TEST(Multipart, AFileNameIsKeptAsItCame) {
  const std::string body =
      with_part("Content-Disposition: form-data; name=\"a\"; filename=\"C:\\x\\..\\..\\é %22.txt\"");
  EXPECT_EQ(parse_multipart(kType, body)[0].file_name, "C:\\x\\..\\..\\é %22.txt");
}

TEST(Multipart, Limits) {
  const std::string header = "Content-Disposition: form-data; name=a\r\nX: ";
  const size_t room = kPartHeaderBytesMax - header.size() - 4;
  EXPECT_EQ(message_of(kType, with_part(header + std::string(room, 'x'))), "");
  EXPECT_NE(message_of(kType, with_part(header + std::string(room + 1, 'x'))), "");
  std::string many;
  for (size_t i = 0; i < kPartsMax; ++i)
    many += "--xYzZY\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n";
  EXPECT_EQ(message_of(kType, many + "--xYzZY--"), "");
  EXPECT_NE(message_of(kType, many + many + "--xYzZY--"), "");
}

}  // namespace
}  // namespace lockstep::http
