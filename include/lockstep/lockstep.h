/* Lockstep's C interface: load a model, submit a request, poll its events, cancel it. What other languages
 * bind to, and what the command line itself uses.
 *
 * Every function that can fail returns a lockstep_status; lockstep_error() then gives the one sentence that
 * says what was wrong. Strings are UTF-8 and end with a zero byte. Pointers handed out stay valid as each
 * function says. THREAD: a model may be used from many threads; a request is polled by one thread and may be
 * cancelled from any. */
#ifndef LOCKSTEP_LOCKSTEP_H
#define LOCKSTEP_LOCKSTEP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lockstep_status {
  LOCKSTEP_OK = 0,
  LOCKSTEP_PENDING = 1,        /* poll: nothing new within the time */
  LOCKSTEP_USER_ERROR = 2,     /* a file, an option, a request */
  LOCKSTEP_MACHINE_ERROR = 3,  /* memory, disk */
  LOCKSTEP_INTERNAL_ERROR = 70 /* a bug of ours */
} lockstep_status;

typedef struct lockstep_model lockstep_model;
typedef struct lockstep_request lockstep_request;

/* Progress of long work: what, steps done, steps in all. */
typedef void (*lockstep_progress)(void* context, const char* what, uint64_t done, uint64_t total);
/* Something that is not an error but should be known. With a cache_dir also called by threads of the model's,
 * until it is freed. */
typedef void (*lockstep_warning)(void* context, const char* message);

/* Zero or NULL in a field means the default that stands beside it. */
typedef struct lockstep_load_options {
  const char* machine;     /* what runs it: host, or a chip such as lpu-v1; NULL: host */
  uint32_t chips;          /* how many of them; 0: as few as hold the model */
  const char* isa;         /* scalar, avx2, avx512, amx, neon; NULL: the best that the CPU has */
  uint32_t threads;        /* 0: as many as are fastest */
  uint32_t context;        /* positions; 0: the model's, at most 8192 */
  const char* weights;     /* faithful, int8; NULL: faithful, or what a program has */
  uint32_t kv_bits;        /* 16, 8; 0: 16, or what a program has */
  uint32_t no_cache;       /* 1: neither read nor write the cache of compiled programs */
  uint64_t kv_positions;   /* positions of all requests together; 0: one context, and never less */
  const char* cache_dir;   /* keep the state of prompts here over restarts; NULL: it is not kept */
  const char* draft_model; /* a small model of the same vocabulary that guesses ahead; NULL: none */
  uint32_t drafts_max;     /* guessed tokens a step; 0: 31 */
  uint32_t no_speculation; /* 1: guess nothing ahead; the text is the same */
  lockstep_progress progress;
  lockstep_warning warning;
  void* callback_context;
} lockstep_load_options;

/* Loads a GGUF file (compiled now or taken from the cache) or a compiled program. */
lockstep_status lockstep_load(const char* path, const lockstep_load_options* options, lockstep_model** model);
/* Frees a model. REQUIRES: its requests are freed. NULL is allowed. */
void lockstep_free_model(lockstep_model* model);

typedef struct lockstep_model_info {
  const char* name;        /* these strings live as long as the model */
  const char* fingerprint; /* what is computed: 64 hexadecimal digits */
  const char* program;     /* the program hash: 64 hexadecimal digits */
  const char* machine;     /* host, or the chip that is simulated */
  const char* isa;         /* of the kernels in use */
  uint32_t threads;
  uint32_t context;
  uint32_t vocabulary;
  uint32_t has_chat_template;
  uint64_t program_bytes;
  uint64_t allocated_bytes; /* state, scratch and outputs */
  uint32_t chips;           /* simulated; 0 on the host. The rest counts since the model was loaded: */
  uint64_t chip_rows;       /* tokens that went through the chips */
  uint64_t chip_cycles;     /* and their cycles */
  double chip_hz;           /* cycles a second of the chip */
} lockstep_model_info;
void lockstep_describe(const lockstep_model* model, lockstep_model_info* info);

typedef struct lockstep_message {
  const char* role; /* "system", "user", "assistant" */
  const char* content;
} lockstep_message;

/* Writes the model's chat template over the messages, ready for an answer. The text is freed with
 * lockstep_free_text. A model without a template is a user's error. */
lockstep_status lockstep_apply_template(const lockstep_model* model, const lockstep_message* messages,
                                        size_t count, char** text);
/* Text to token ids, freed with lockstep_free_tokens. `special`: special tokens spelled in the text are read
 * as such, and the model's begin mark is added where it asks for one and the text does not start with it. */
lockstep_status lockstep_tokenize(const lockstep_model* model, const char* text, size_t bytes, int special,
                                  int32_t** tokens, size_t* count);
void lockstep_free_text(char* text);
void lockstep_free_tokens(int32_t* tokens);

typedef struct lockstep_logit_bias {
  int32_t token;
  float bias;
} lockstep_logit_bias;

typedef struct lockstep_request_options {
  uint32_t tokens_max;      /* 0: as many as the context holds */
  uint32_t chunk;           /* prompt tokens a step; 0: what is fastest */
  float temperature;        /* 0: the most likely token */
  int32_t top_k;            /* 0: all */
  float top_p;              /* 1: all */
  float min_p;              /* 0: all */
  float repetition_penalty; /* 1: none */
  float frequency_penalty;  /* 0: none */
  float presence_penalty;   /* 0: none */
  uint64_t seed;
  uint32_t ignore_end;     /* 1: go on past the model's end of answer */
  const char* const* stop; /* stop strings */
  size_t stop_count;
  const lockstep_logit_bias* logit_bias;
  size_t logit_bias_count;
} lockstep_request_options;

/* The defaults: greedy, no penalties. */
void lockstep_default_request(lockstep_request_options* options);

/* Hands in a prompt. The options are copied. */
lockstep_status lockstep_submit(lockstep_model* model, const int32_t* prompt, size_t count,
                                const lockstep_request_options* options, lockstep_request** request);

typedef struct lockstep_event {
  const char* text; /* new text of the answer, perhaps empty; valid until the next poll */
  size_t text_bytes;
  uint32_t prompt_tokens_done;
  uint32_t finished;         /* 1: the last event; the fields below are set */
  const char* finish_reason; /* "stop", "length", "cancelled"; valid until the request is freed, as are: */
  uint32_t context_full;     /* 1: the answer ended because the context was full */
  const int32_t* tokens;
  size_t token_count;
  const char* digest;
  double prefill_s;
  double decode_s;
  const double* token_s; /* seconds of each token but the first */
  size_t token_s_count;
  double queue_s;                /* waited before its first step */
  uint32_t prompt_tokens_reused; /* whose state an earlier request had left */
  uint32_t drafts_tried;         /* tokens guessed ahead */
  uint32_t drafts_taken;         /* of them, those that were right */
} lockstep_event;

/* The next event. LOCKSTEP_PENDING when none came within the time; an error status when the answer failed. */
lockstep_status lockstep_poll(lockstep_request* request, uint32_t timeout_ms, lockstep_event* event);
/* Ends the answer after the step that runs; its last event says "cancelled". */
void lockstep_cancel(lockstep_request* request);
/* Cancels if need be, and frees. NULL is allowed. */
void lockstep_free_request(lockstep_request* request);

/* The sentence of this thread's last error. */
const char* lockstep_error(void);
/* "0.1.0" */
const char* lockstep_version(void);

#ifdef __cplusplus
}
#endif

#endif /* LOCKSTEP_LOCKSTEP_H */
