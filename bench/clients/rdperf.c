/*
 * A load client on librdkafka. One process does one job and prints one line of JSON.
 *
 *   rdperf produce  name=value...   as fast as the broker takes them, or at rate=N records/s
 *   rdperf consume  name=value...   every partition from offset 0, passes= times over
 *   rdperf echo     name=value...   produces at rate=N and consumes in the same process: end-to-end latency
 *
 * bootstrap=HOST:PORT  topic=NAME  partitions=N  count=RECORDS  payload=FILE (one record a line)  rate=N  passes=N;
 * every other name=value goes to librdkafka's configuration as it is.
 * Exit code 0: every record was delivered or consumed. 1: some were not. 2: wrong use.
 *
 * Time: produce, from the first record queued to the last delivery report (connection and metadata before that);
 * consume, from the first batch seen to the last record, the first batch not counted, summed over the passes.
 * Latency: produce, from queueing to delivery report as librdkafka stamps them; echo, from queueing to consumed.
 */
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GIVE_UP_SECONDS 60
#define BATCH 10000

struct job {
  const char *bootstrap, *topic, *payload_file;
  long partitions, count, rate, passes;
  char *extra[32];
  int extras;
};

struct payloads {
  char **line;
  size_t *length;
  long lines;
};

/* Log-linear counts of microseconds: 64 steps to every doubling, so a percentile is right within 1.6 %. */
#define STEPS 64
#define BUCKETS (STEPS * 40)
static long histogram[BUCKETS], samples, worst_us;
static long delivered, failed, delivered_bytes;
/* Asking for a latency reads the clock: at full speed every 16th record stands for its neighbours. */
static long latency_every = 16;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what, const char *why) {
  fprintf(stderr, "rdperf: %s: %s\n", what, why);
  exit(2);
}

static void record_latency(long us) {
  if (us < 0) us = 0;
  int shift = 0;
  while ((us >> shift) >= 2 * STEPS) shift++;
  long bucket = us < STEPS ? us : (long)shift * STEPS + (us >> shift);
  if (bucket >= BUCKETS) bucket = BUCKETS - 1;
  histogram[bucket]++;
  samples++;
  if (us > worst_us) worst_us = us;
}

static double percentile_ms(double fraction) {
  long wanted = (long)(samples * fraction), seen = 0;
  for (long b = 0; b < BUCKETS; b++) {
    seen += histogram[b];
    if (seen <= wanted) continue;
    if (b < 2 * STEPS) return b / 1e3;
    long shift = b / STEPS - 1;
    return (double)((b - shift * STEPS) << shift) / 1e3;
  }
  return worst_us / 1e3;
}

static void print_result(const char *mode, long records, double seconds, long bytes) {
  printf("{\"mode\":\"%s\",\"records\":%ld,\"failed\":%ld,\"bytes\":%ld,\"seconds\":%.6f,", mode, records, failed, bytes, seconds);
  printf("\"recordsPerSecond\":%.0f,\"megabytesPerSecond\":%.3f", records / seconds, bytes / seconds / 1e6);
  if (samples > 0)
    printf(",\"latencyMs\":{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}", percentile_ms(0.5), percentile_ms(0.99), worst_us / 1e3);
  printf("}\n");
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
  char why[256];
  if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) die(name, why);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
  (void)rk;
  (void)opaque;
  if (message->err) {
    failed++;
    return;
  }
  delivered++;
  delivered_bytes += (long)message->len;
  if (delivered % latency_every) return;
  int64_t us = rd_kafka_message_latency(message);
  if (us >= 0) record_latency((long)us);
}

static rd_kafka_t *client(const struct job *job, rd_kafka_type_t type, int report) {
  char why[256];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", job->bootstrap);
  if (type == RD_KAFKA_PRODUCER) {
    set(conf, "acks", "1");
    set(conf, "batch.num.messages", "100000");
    set(conf, "queue.buffering.max.messages", "1000000");
    if (report) rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  } else {
    set(conf, "group.id", "rdperf");
    set(conf, "enable.auto.commit", "false");
    set(conf, "queued.max.messages.kbytes", "200000");
  }
  for (int i = 0; i < job->extras; i++) {
    char *equals = strchr(job->extra[i], '=');
    int consumer_only = !strncmp(job->extra[i], "fetch.", 6);
    int producer_only = !strncmp(job->extra[i], "linger.ms", 9) || !strncmp(job->extra[i], "compression.codec", 17);
    if ((type == RD_KAFKA_PRODUCER && consumer_only) || (type == RD_KAFKA_CONSUMER && producer_only)) continue;
    *equals = 0;
    set(conf, job->extra[i], equals + 1);
    *equals = '=';
  }
  rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
  if (!rk) die("client", why);
  return rk;
}

/* Connected, and the topic known, before the clock starts. */
static rd_kafka_topic_t *known_topic(rd_kafka_t *rk, const struct job *job) {
  rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, job->topic, NULL);
  const struct rd_kafka_metadata *metadata;
  rd_kafka_resp_err_t error = rd_kafka_metadata(rk, 0, topic, &metadata, 10000);
  if (error) die("metadata", rd_kafka_err2str(error));
  rd_kafka_metadata_destroy(metadata);
  return topic;
}

static struct payloads read_payloads(const char *path) {
  struct payloads all = {0};
  char *line = NULL;
  size_t room = 0;
  ssize_t length;
  FILE *file = fopen(path, "r");
  if (!file) die(path, "cannot be read");
  while ((length = getline(&line, &room, file)) > 0) {
    if (line[length - 1] == '\n') length--;
    all.line = realloc(all.line, (all.lines + 1) * sizeof *all.line);
    all.length = realloc(all.length, (all.lines + 1) * sizeof *all.length);
    all.line[all.lines] = memcpy(malloc(length + 1), line, length);
    all.length[all.lines++] = length;
  }
  fclose(file);
  if (!all.lines) die(path, "is empty");
  return all;
}

static void pause_until(double when) {
  double left = when - now();
  if (left <= 0) return;
  struct timespec t = {(time_t)left, (long)((left - (time_t)left) * 1e9)};
  nanosleep(&t, NULL);
}

static int produce(const struct job *job) {
  struct payloads payloads = read_payloads(job->payload_file);
  rd_kafka_t *rk = client(job, RD_KAFKA_PRODUCER, 1);
  rd_kafka_topic_t *topic = known_topic(rk, job);
  double start = now();
  long polled = job->rate ? 1 : 1000;
  if (job->rate) latency_every = 1;
  for (long i = 0; i < job->count; i++) {
    long p = i % payloads.lines;
    if (job->rate) pause_until(start + (double)i / job->rate);
    while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, payloads.line[p], payloads.length[p], NULL, 0, NULL) == -1)
      rd_kafka_poll(rk, 5);
    if (i % polled == 0) rd_kafka_poll(rk, 0);
  }
  while (delivered + failed < job->count && now() - start < GIVE_UP_SECONDS) rd_kafka_poll(rk, 20);
  print_result("produce", delivered, now() - start, delivered_bytes);
  return delivered == job->count ? 0 : 1;
}

/* One pass over the topic: adds what came after the first batch to counted, bytes and seconds. */
static long one_pass(const struct job *job, rd_kafka_t *rk, long *counted, long *bytes, double *seconds) {
  static rd_kafka_message_t *batch[BATCH];
  rd_kafka_topic_partition_list_t *from = rd_kafka_topic_partition_list_new((int)job->partitions);
  for (int p = 0; p < job->partitions; p++) rd_kafka_topic_partition_list_add(from, job->topic, p)->offset = 0;
  rd_kafka_assign(rk, from);
  rd_kafka_topic_partition_list_destroy(from);
  rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
  double start = now(), first = 0;
  long seen = 0;
  while (seen < job->count && now() - start < GIVE_UP_SECONDS) {
    ssize_t n = rd_kafka_consume_batch_queue(queue, 100, batch, BATCH);
    int is_first = first == 0 && n > 0;
    for (ssize_t i = 0; i < n; i++) {
      if (!batch[i]->err) {
        seen++;
        if (!is_first) (*counted)++, *bytes += (long)batch[i]->len;
      } else if (batch[i]->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        fprintf(stderr, "rdperf: %s\n", rd_kafka_message_errstr(batch[i]));
        failed++;
      }
      rd_kafka_message_destroy(batch[i]);
    }
    if (is_first) first = now();
  }
  *seconds += now() - (first ? first : start);
  rd_kafka_queue_destroy(queue);
  return seen;
}

static int consume(const struct job *job) {
  rd_kafka_t *rk = client(job, RD_KAFKA_CONSUMER, 0);
  known_topic(rk, job);
  long seen = 0, counted = 0, bytes = 0;
  double seconds = 0;
  for (long pass = 0; pass < job->passes; pass++) seen += one_pass(job, rk, &counted, &bytes, &seconds);
  failed += job->count * job->passes - seen;
  print_result("consume", counted, seconds, bytes);
  return failed == 0 ? 0 : 1;
}

struct echo {
  const struct job *job;
  rd_kafka_t *producer;
  rd_kafka_topic_t *topic;
  struct payloads payloads;
};

static void *echo_producer(void *argument) {
  struct echo *echo = argument;
  double start = now();
  for (long i = 0; i < echo->job->count; i++) {
    long p = i % echo->payloads.lines;
    pause_until(start + (double)i / echo->job->rate);
    double sent = now();
    memcpy(echo->payloads.line[p], &sent, sizeof sent);
    rd_kafka_produce(echo->topic, 0, RD_KAFKA_MSG_F_COPY, echo->payloads.line[p], echo->payloads.length[p], NULL, 0, NULL);
    rd_kafka_poll(echo->producer, 0);
  }
  rd_kafka_flush(echo->producer, 10000);
  return NULL;
}

static int echo(const struct job *job) {
  struct echo state = {.job = job, .payloads = read_payloads(job->payload_file)};
  state.producer = client(job, RD_KAFKA_PRODUCER, 0);
  state.topic = known_topic(state.producer, job);
  if (state.payloads.length[0] < sizeof(double) || !job->rate) die("echo", "needs rate= and records of 8 bytes or more");
  rd_kafka_t *rk = client(job, RD_KAFKA_CONSUMER, 0);
  known_topic(rk, job);
  rd_kafka_topic_partition_list_t *from = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(from, job->topic, 0)->offset = 0;
  rd_kafka_assign(rk, from);
  rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 300);
  if (message) rd_kafka_message_destroy(message);
  pthread_t thread;
  pthread_create(&thread, NULL, echo_producer, &state);
  double start = now();
  long seen = 0, bytes = 0;
  while (seen < job->count && now() - start < GIVE_UP_SECONDS) {
    if (!(message = rd_kafka_consumer_poll(rk, 100))) continue;
    if (!message->err) {
      double sent;
      memcpy(&sent, message->payload, sizeof sent);
      record_latency((long)((now() - sent) * 1e6));
      seen++;
      bytes += (long)message->len;
    }
    rd_kafka_message_destroy(message);
  }
  pthread_join(thread, NULL);
  failed = job->count - seen;
  print_result("echo", seen, now() - start, bytes);
  return failed == 0 ? 0 : 1;
}

static void take_option(struct job *job, char *option) {
  char *equals = strchr(option, '=');
  if (!equals) die(option, "wants name=value");
  size_t n = equals - option;
  char *value = equals + 1;
#define IS(name) (n == strlen(name) && !strncmp(option, name, n))
  if (IS("bootstrap")) job->bootstrap = value;
  else if (IS("topic")) job->topic = value;
  else if (IS("payload")) job->payload_file = value;
  else if (IS("partitions")) job->partitions = atol(value);
  else if (IS("count")) job->count = atol(value);
  else if (IS("rate")) job->rate = atol(value);
  else if (IS("passes")) job->passes = atol(value);
  else if (job->extras < 32) job->extra[job->extras++] = option;
  else die(option, "one option too many");
}

int main(int argc, char **argv) {
  struct job job = {.partitions = 1, .passes = 1};
  if (argc < 2) die("usage", "rdperf produce|consume|echo name=value...");
  for (int i = 2; i < argc; i++) take_option(&job, argv[i]);
  if (!job.bootstrap || !job.topic || job.count < 1) die("usage", "bootstrap=, topic= and count= are needed");
  int code = 2;
  if (!strcmp(argv[1], "consume")) code = consume(&job);
  else if (!job.payload_file) die("usage", "payload= is needed");
  else if (!strcmp(argv[1], "produce")) code = produce(&job);
  else if (!strcmp(argv[1], "echo")) code = echo(&job);
  else die(argv[1], "is not a job of rdperf");
  fflush(stdout);
  _Exit(code); /* librdkafka's orderly shutdown is nobody's figure */
}
