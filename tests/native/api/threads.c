/* SPDX-License-Identifier: MIT */
/* Everything from many threads at once -> the results of one thread. For the thread sanitizer.
 *
 *   test_api_threads [ROUNDS]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "session.h"

enum { THREADS = 6, COUNT = 200, N = 24 };

static int rounds = 12;
static mfa_device devices[3]; /* cpu, reference, validate */
static mfa_library library;   /* of devices[0] */
static mfa_pipeline shared_pipeline;
static mfa_buffer shared_input;
static mfa_commands shared_commands;
static atomic_int completed, freed, expected_completed, expected_freed;
static pthread_barrier_t start;

static void on_completed(void* context, mfa_status status, const char* message) {
  (void)context;
  REQUIRE(status == MFA_OK && *message == 0);
  atomic_fetch_add(&completed, 1);
}

static void on_freed(void* context, void* memory, size_t length) {
  (void)context;
  REQUIRE(length == COUNT * sizeof(int));
  free(memory);
  atomic_fetch_add(&freed, 1);
}

/* Pipelines of a shared library, dispatched several times in commands that nobody waits for or that
 * this thread waits for. */
static void dispatches(int thread, int round) {
  mfa_pipeline pipeline = scale_by(library, 2 + (thread + round) % 5);
  mfa_buffer buffer;
  CHECK(mfa_buffer_new(devices[0], COUNT * sizeof(int), MFA_STORAGE_SHARED, &buffer));
  void* contents;
  CHECK(mfa_buffer_contents(buffer, &contents));
  int* x = contents;
  for (int i = 0; i < COUNT; ++i) x[i] = i;
  mfa_commands commands;
  CHECK(mfa_commands_begin(devices[0], &commands));
  CHECK(mfa_commands_on_completed(commands, on_completed, NULL));
  atomic_fetch_add(&expected_completed, 1);
  scale(commands, pipeline, buffer, 0, thread, COUNT);
  scale(commands, shared_pipeline, buffer, 0, round, COUNT);
  CHECK(mfa_pipeline_release(pipeline)); /* the commands keep it */
  CHECK(mfa_commands_commit(commands));
  if (round % 3 == 2) { /* dropped while it runs */
    CHECK(mfa_commands_release(commands));
    CHECK(mfa_buffer_release(buffer));
    return;
  }
  CHECK(mfa_commands_wait(commands, -1));
  CHECK(mfa_commands_release(commands));
  for (int i = 0; i < COUNT; ++i)
    REQUIRE(x[i] == 7 * ((2 + (thread + round) % 5) * i + thread) + round);
  CHECK(mfa_buffer_release(buffer));
}

/* The same shader on the other devices, from a library of this thread's own. */
static void other_devices(int thread, int round) {
  mfa_device device = devices[1 + round % 2];
  mfa_library own;
  CHECK(mfa_library_from_source(device, scale_source, NULL, &own));
  mfa_pipeline pipeline = scale_by(own, 3);
  CHECK(mfa_library_release(own));
  mfa_buffer buffer;
  int* x = malloc(COUNT * sizeof(int));
  REQUIRE(x);
  for (int i = 0; i < COUNT; ++i) x[i] = i;
  CHECK(mfa_buffer_wrap(device, x, COUNT * sizeof(int), 0, on_freed, NULL, &buffer));
  atomic_fetch_add(&expected_freed, 1);
  scale(NULL, pipeline, buffer, 0, thread, COUNT);
  for (int i = 0; i < COUNT; ++i) REQUIRE(x[i] == 3 * i + thread);
  CHECK(mfa_pipeline_release(pipeline));
  CHECK(mfa_buffer_release(buffer));
}

/* C = A * B with a common A; sizes that others compile at the same time. */
static void products(int thread, int round) {
  int n = N + 8 * (round % 3);
  mfa_buffer b, c;
  CHECK(mfa_buffer_new(devices[0], sizeof(float) * (size_t)(n * n), MFA_STORAGE_SHARED, &b));
  CHECK(mfa_buffer_new(devices[0], sizeof(float) * (size_t)(n * n), MFA_STORAGE_SHARED, &c));
  void *at_b, *at_c;
  CHECK(mfa_buffer_contents(b, &at_b));
  CHECK(mfa_buffer_contents(c, &at_c));
  float *second = at_b, *result = at_c;
  for (int i = 0; i < n; ++i) second[i * n + (i + 1) % n] = (float)(1 + thread);
  mfa_gemm_desc product = MFA_GEMM_DESC_INIT;
  product.M = product.N = product.K = (uint64_t)n;
  product.trans_b = round % 2;
  mfa_gemm_operands operands = MFA_GEMM_OPERANDS_INIT;
  operands.a.buffer = shared_input;
  operands.b.buffer = b;
  operands.c.buffer = c;
  CHECK(mfa_sgemm(NULL, &product, &operands));
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      int to = round % 2 ? (j + n - 1) % n : (j + 1) % n;
      REQUIRE(result[i * n + to] == (float)(1 + thread) * (float)((i * n + j) % 13));
    }
  CHECK(mfa_buffer_release(b));
  CHECK(mfa_buffer_release(c));
}

static void questions(int thread, int round) {
  mfa_device device;
  CHECK(mfa_device_open(round % 2 ? "cpu" : "default", &device));
  mfa_library own;
  CHECK(mfa_library_default(device, &own));
  size_t count;
  CHECK(mfa_library_function_count(own, &count));
  for (size_t i = 0; i < count; ++i) {
    const char* name;
    CHECK(mfa_library_function_name(own, i, &name));
    mfa_function_info info = MFA_FUNCTION_INFO_INIT;
    CHECK(mfa_library_function_info(own, name, &info));
  }
  mfa_gemm_desc product = MFA_GEMM_DESC_INIT;
  product.M = product.N = product.K = 64;
  product.trans_a = thread % 2;
  mfa_problem problem = MFA_PROBLEM_INIT;
  problem.desc = &product;
  problem.operation = MFA_OPERATION_HGEMM;
  bool supported;
  const char* reason;
  CHECK(mfa_supported(device, &problem, &supported, &reason));
  REQUIRE(supported);
  mfa_explanation explanation = MFA_EXPLANATION_INIT;
  CHECK(mfa_explain(device, &problem, &explanation));
  REQUIRE(strcmp(explanation.kernel, "hgemm") == 0);
  CHECK(mfa_device_set_tiles(device, NULL));
  mfa_prepare_options options = MFA_PREPARE_OPTIONS_INIT;
  options.completed = on_completed;
  CHECK(mfa_prepare(device, &problem, 1, &options));
  atomic_fetch_add(&expected_completed, 1);
  /* Messages belong to the thread. */
  char name[32];
  snprintf(name, sizeof name, "device-%d-%d", thread, round);
  mfa_device none;
  REQUIRE(mfa_device_open(name, &none) == MFA_ERROR_NOT_FOUND);
  REQUIRE(strstr(mfa_last_error(), name));
  CHECK(mfa_library_release(own));
  CHECK(mfa_device_release(device));
}

static void* work(void* argument) {
  int thread = (int)(intptr_t)argument;
  pthread_barrier_wait(&start);
  CHECK(mfa_commands_wait(shared_commands, -1)); /* all wait for the same ones */
  for (int round = 0; round < rounds; ++round) {
    dispatches(thread, round);
    products(thread, round);
    questions(thread, round);
    if (round % 4 == 0) other_devices(thread, round / 4);
  }
  return NULL;
}

static void wait_for(atomic_int* counter, const atomic_int* expected) {
  struct timespec moment = {0, 1000000};
  for (int i = 0; i < 60000 && atomic_load(counter) < atomic_load(expected); ++i)
    nanosleep(&moment, NULL);
  REQUIRE(atomic_load(counter) == atomic_load(expected));
}

int main(int argc, char** argv) {
  if (argc > 1) rounds = atoi(argv[1]);
  const char* const names[] = {"cpu", "reference", "validate"};
  for (int i = 0; i < 3; ++i) CHECK(mfa_device_open(names[i], &devices[i]));
  CHECK(mfa_library_from_source(devices[0], scale_source, NULL, &library));
  shared_pipeline = scale_by(library, 7);
  CHECK(mfa_buffer_new(devices[0], 64 * 64 * sizeof(float), MFA_STORAGE_SHARED, &shared_input));
  void* contents;
  CHECK(mfa_buffer_contents(shared_input, &contents));
  for (int i = 0; i < 64 * 64; ++i) ((float*)contents)[i] = (float)(i % 13);
  mfa_buffer scratch;
  CHECK(mfa_buffer_new(devices[0], COUNT * sizeof(int), MFA_STORAGE_PRIVATE, &scratch));
  CHECK(mfa_commands_begin(devices[0], &shared_commands));
  for (int i = 0; i < 50; ++i) scale(shared_commands, shared_pipeline, scratch, 0, i, COUNT);
  pthread_barrier_init(&start, NULL, THREADS);
  CHECK(mfa_commands_commit(shared_commands));

  pthread_t threads[THREADS];
  for (intptr_t t = 0; t < THREADS; ++t)
    REQUIRE(pthread_create(&threads[t], NULL, work, (void*)t) == 0);
  for (int t = 0; t < THREADS; ++t) pthread_join(threads[t], NULL);
  wait_for(&completed, &expected_completed);
  wait_for(&freed, &expected_freed);

  CHECK(mfa_commands_release(shared_commands));
  CHECK(mfa_buffer_release(scratch));
  CHECK(mfa_buffer_release(shared_input));
  CHECK(mfa_pipeline_release(shared_pipeline));
  CHECK(mfa_library_release(library));
  for (int i = 0; i < 3; ++i) CHECK(mfa_device_release(devices[i]));
  printf("%d threads, %d rounds, %d completions\n", THREADS, rounds, atomic_load(&completed));
  return 0;
}
