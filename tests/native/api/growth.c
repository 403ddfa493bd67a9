/* SPDX-License-Identifier: MIT */
/* Dispatches, pipelines, buffers, libraries, devices by the thousand -> what memory is left behind.
 *
 *   test_api_growth [DISPATCHES PIPELINES DEVICES]   (./dev test --growth: 100000 10000 1000)
 *
 * Each loop runs a tenth of its rounds first, so that what is made once is there. What is then in
 * use, by malloc's count and as the system counts it, may not grow with the rounds. */
#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

/* A leak of so many bytes a round is found; less is noise of the allocator's. */
static const double allowed_per_round = 16;
static const double allowed_once = 64 * 1024; /* in use; a list of free blocks, a thread's cache */
static const double allowed_resident = 8 << 20;

static mfa_device device;
static mfa_library library;
static mfa_pipeline pipeline;
static mfa_buffer buffer;

static double in_use(void) {
  struct mallinfo2 info = mallinfo2();
  return (double)info.uordblks + (double)info.hblkhd;
}

static double resident(void) {
  malloc_trim(0);
  FILE* file = fopen("/proc/self/statm", "r");
  REQUIRE(file);
  long size, pages;
  REQUIRE(fscanf(file, "%ld %ld", &size, &pages) == 2);
  fclose(file);
  return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void dispatch_round(long round) {
  mfa_commands commands;
  CHECK(mfa_commands_begin(device, &commands));
  scale(commands, pipeline, buffer, 0, (int)round, 200);
  CHECK(mfa_commands_run(commands));
  CHECK(mfa_commands_release(commands));
}

static void pipeline_round(long round) {
  mfa_pipeline made = scale_by(library, (int)(round % 4));
  scale(NULL, made, buffer, 0, 1, 64);
  CHECK(mfa_pipeline_release(made));
}

static void refused_round(long round) {
  mfa_pipeline none;
  REQUIRE(mfa_pipeline_new(library, round % 2 ? "nothing" : "scale", NULL, 0, &none) != MFA_OK);
  mfa_buffer large;
  REQUIRE(mfa_buffer_new(device, SIZE_MAX, MFA_STORAGE_SHARED, &large) != MFA_OK);
}

static void library_round(long round) {
  (void)round;
  mfa_library made;
  CHECK(mfa_library_default(device, &made));
  mfa_function_info info = MFA_FUNCTION_INFO_INIT;
  CHECK(mfa_library_function_info(made, "hgemm", &info));
  CHECK(mfa_library_release(made));
}

static void buffer_round(long round) {
  mfa_buffer made;
  CHECK(mfa_buffer_new(device, (size_t)(round % 7) << 16, MFA_STORAGE_SHARED, &made));
  CHECK(mfa_buffer_release(made));
}

static void product_round(long round) {
  static mfa_buffer operands_of[3];
  for (int i = 0; i < 3; ++i)
    if (!operands_of[i])
      CHECK(mfa_buffer_new(device, 4 * 4096, MFA_STORAGE_SHARED, &operands_of[i]));
  mfa_gemm_desc product = MFA_GEMM_DESC_INIT;
  product.M = (uint64_t)(1 + round % 64); /* a descriptor of its own for each size */
  product.N = product.K = 64;
  mfa_gemm_operands operands = MFA_GEMM_OPERANDS_INIT;
  operands.a.buffer = operands_of[0];
  operands.b.buffer = operands_of[1];
  operands.c.buffer = operands_of[2];
  CHECK(mfa_sgemm(NULL, &product, &operands));
}

static void device_round(long round) {
  static const char* const names[] = {"cpu", "reference", "validate"};
  mfa_device opened;
  CHECK(mfa_device_open(names[round % 3], &opened));
  mfa_device_info info = MFA_DEVICE_INFO_INIT;
  CHECK(mfa_device_get_info(opened, &info));
  mfa_buffer made;
  CHECK(mfa_buffer_new(opened, 4096, MFA_STORAGE_SHARED, &made));
  CHECK(mfa_buffer_release(made));
  CHECK(mfa_device_release(opened));
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* 1 if memory grew. */
static int measure(const char* what, void (*round)(long), long rounds) {
  double start = seconds();
  for (long i = 0; i < rounds / 10 + 8; ++i) round(i);
  double used = in_use(), pages = resident();
  for (long i = 0; i < rounds; ++i) round(i);
  double grown = in_use() - used, grown_pages = resident() - pages;
  int bad =
      grown > allowed_once + allowed_per_round * (double)rounds || grown_pages > allowed_resident;
  printf("%8ld %-22s %+10.0f bytes in use  %+8.2f MiB resident  %6.1f s%s\n", rounds, what, grown,
         grown_pages / (1 << 20), seconds() - start, bad ? "  GROWS" : "");
  fflush(stdout);
  return bad;
}

int main(int argc, char** argv) {
  long dispatches = 10000, pipelines = 100, devices = 100;
  if (argc == 4) {
    dispatches = atol(argv[1]);
    pipelines = atol(argv[2]);
    devices = atol(argv[3]);
  }
  CHECK(mfa_device_open("cpu", &device));
  CHECK(mfa_library_from_source(device, scale_source, NULL, &library));
  pipeline = scale_by(library, 3);
  CHECK(mfa_buffer_new(device, 4096, MFA_STORAGE_SHARED, &buffer));
  int bad = 0;
  bad += measure("dispatches", dispatch_round, dispatches);
  bad += measure("products", product_round, dispatches / 10);
  bad += measure("pipelines", pipeline_round, pipelines);
  bad += measure("refused calls", refused_round, pipelines);
  bad += measure("libraries", library_round, devices);
  bad += measure("buffers", buffer_round, dispatches);
  bad += measure("devices", device_round, devices);
  return bad;
}
