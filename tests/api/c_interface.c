/* c_interface MODEL.gguf: the C interface from C: load, tokenize, submit, poll, cancel, and its errors. */
#include <stdio.h>
#include <string.h>

#include "lockstep/lockstep.h"

static int passed, failed;

static void expect(int holds, const char* what) {
  if (holds) {
    ++passed;
  } else {
    ++failed;
    printf("FAILED: %s (%s)\n", what, lockstep_error());
  }
}

/* Polls to the end; gives the number of tokens, or -1 for an error. */
static long finish(lockstep_request* request, char* digest, size_t digest_bytes, char* reason, size_t reason_bytes) {
  lockstep_event event;
  for (;;) {
    lockstep_status status = lockstep_poll(request, 10000, &event);
    if (status == LOCKSTEP_PENDING) continue;
    if (status != LOCKSTEP_OK) return -1;
    if (event.finished) break;
  }
  snprintf(digest, digest_bytes, "%s", event.digest);
  snprintf(reason, reason_bytes, "%s", event.finish_reason);
  return (long)event.token_count;
}

int main(int argc, char** argv) {
  lockstep_model* model = NULL;
  lockstep_request* request = NULL;
  lockstep_request_options options;
  lockstep_load_options load;
  lockstep_model_info info;
  int32_t* tokens = NULL;
  size_t count = 0;
  char first[64], second[64], reason[32];
  if (argc != 2) {
    fprintf(stderr, "usage: c_interface MODEL.gguf\n");
    return 2;
  }
  memset(&load, 0, sizeof(load));
  load.no_cache = 1;
  load.threads = 2;

  expect(lockstep_load("/nowhere.gguf", &load, &model) == LOCKSTEP_USER_ERROR, "a missing file is a user's error");
  expect(strstr(lockstep_error(), "/nowhere.gguf") != NULL, "the error names the file");
  load.isa = "no-such";
  expect(lockstep_load(argv[1], &load, &model) == LOCKSTEP_USER_ERROR, "an unknown instruction set is refused");
  load.isa = NULL;
  expect(lockstep_load(argv[1], &load, &model) == LOCKSTEP_OK, "the model loads");
  if (model == NULL) return 1;
  lockstep_describe(model, &info);
  expect(strlen(info.fingerprint) == 64 && info.threads == 2 && info.vocabulary > 0, "the model is described");

  expect(lockstep_tokenize(model, "Hello", 5, 0, &tokens, &count) == LOCKSTEP_OK && count > 0, "text becomes tokens");
  expect(lockstep_tokenize(model, "\xff", 1, 0, &tokens, &count) == LOCKSTEP_USER_ERROR, "invalid UTF-8 is refused");
  lockstep_free_tokens(tokens);
  expect(lockstep_tokenize(model, "Hello", 5, 0, &tokens, &count) == LOCKSTEP_OK, "text becomes tokens again");

  lockstep_default_request(&options);
  options.tokens_max = 8;
  options.ignore_end = 1;
  expect(lockstep_submit(model, tokens, count, &options, &request) == LOCKSTEP_OK, "a request is taken");
  expect(finish(request, first, sizeof(first), reason, sizeof(reason)) == 8, "it gives eight tokens");
  expect(strcmp(reason, "length") == 0, "it ends by length");
  lockstep_free_request(request);
  expect(lockstep_submit(model, tokens, count, &options, &request) == LOCKSTEP_OK, "the request is taken again");
  expect(finish(request, second, sizeof(second), reason, sizeof(reason)) == 8 && strcmp(first, second) == 0,
         "its bits are the same");
  lockstep_free_request(request);

  options.tokens_max = 0;
  expect(lockstep_submit(model, tokens, count, &options, &request) == LOCKSTEP_OK, "a long request is taken");
  lockstep_cancel(request);
  expect(finish(request, second, sizeof(second), reason, sizeof(reason)) >= 0 && strcmp(reason, "cancelled") == 0,
         "it is cancelled");
  lockstep_free_request(request);

  expect(lockstep_submit(model, tokens, 0, &options, &request) == LOCKSTEP_USER_ERROR, "an empty prompt is refused");
  options.temperature = -1;
  expect(lockstep_submit(model, tokens, count, &options, &request) == LOCKSTEP_USER_ERROR, "a negative temperature is refused");
  lockstep_free_tokens(tokens);
  lockstep_free_model(model);
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
