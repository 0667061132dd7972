/*
 * A producer on librdkafka that knows how long each partition went without an acknowledgement.
 *
 *   rdgap bootstrap=HOST:PORT,... topic=NAME partitions=N interval.ms=N name=value...
 *
 * One record goes to every partition each interval; every other name=value goes to librdkafka's configuration as it is.
 * On standard input it takes two commands, a line each:
 *   mark   forgets the gaps so far
 *   read   prints one line of JSON: per partition the longest time between two acknowledgements since the mark, the time
 *          since the last one, and the records acknowledged since the mark; and how many records have failed, ever
 * It ends with its standard input. Exit code 0: no record failed; 1: some did; 2: wrong use.
 */
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_PARTITIONS 64

struct partition {
  double last, longest;
  long acknowledged;
};
static struct partition partitions[MAX_PARTITIONS];
static long count, failed;

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void die(const char *what, const char *why) {
  fprintf(stderr, "rdgap: %s: %s\n", what, why);
  exit(2);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
  (void)rk;
  (void)opaque;
  if (message->err) {
    failed++;
    fprintf(stderr, "rdgap: %s\n", rd_kafka_err2str(message->err));
    return;
  }
  struct partition *p = &partitions[message->partition];
  double now = now_ms();
  if (now - p->last > p->longest) p->longest = now - p->last;
  p->last = now;
  p->acknowledged++;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
  char why[256];
  if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) die(name, why);
}

static void mark(void) {
  for (long p = 0; p < count; p++) partitions[p].longest = partitions[p].acknowledged = 0;
}

static void print_gaps(void) {
  double now = now_ms();
  printf("{\"failed\":%ld,\"partitions\":[", failed);
  for (long p = 0; p < count; p++)
    printf("%s{\"longestMs\":%.3f,\"openMs\":%.3f,\"acknowledged\":%ld}", p ? "," : "", partitions[p].longest,
           now - partitions[p].last, partitions[p].acknowledged);
  printf("]}\n");
  fflush(stdout);
}

/* Takes the commands that have come; 0 at the end of the input. */
static int take_commands(void) {
  static char line[64];
  static size_t length;
  struct pollfd input = {.fd = 0, .events = POLLIN};
  while (poll(&input, 1, 0) > 0) {
    char c;
    if (read(0, &c, 1) != 1) return 0;
    if (c != '\n') {
      if (length < sizeof line - 1) line[length++] = c;
      continue;
    }
    line[length] = 0;
    length = 0;
    if (!strcmp(line, "mark")) mark();
    else if (!strcmp(line, "read")) print_gaps();
    else die(line, "is not a command");
  }
  return 1;
}

static void run(rd_kafka_t *rk, const char *name, double interval_ms) {
  rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
  char value[100];
  memset(value, 'v', sizeof value);
  double next = now_ms();
  for (long p = 0; p < count; p++) partitions[p].last = next;
  while (take_commands()) {
    for (; now_ms() >= next; next += interval_ms)
      for (long p = 0; p < count; p++)
        if (rd_kafka_produce(topic, (int)p, RD_KAFKA_MSG_F_COPY, value, sizeof value, NULL, 0, NULL) == -1)
          failed++;
    rd_kafka_poll(rk, 1);
  }
}

int main(int argc, char **argv) {
  const char *topic = NULL;
  double interval_ms = 5;
  char why[256];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  for (int i = 1; i < argc; i++) {
    char *equals = strchr(argv[i], '=');
    if (!equals) die(argv[i], "wants name=value");
    *equals = 0;
    const char *value = equals + 1;
    if (!strcmp(argv[i], "topic")) topic = value;
    else if (!strcmp(argv[i], "partitions")) count = atol(value);
    else if (!strcmp(argv[i], "interval.ms")) interval_ms = atof(value);
    else if (!strcmp(argv[i], "bootstrap")) set(conf, "bootstrap.servers", value);
    else set(conf, argv[i], value);
  }
  if (!topic || count < 1 || count > MAX_PARTITIONS || interval_ms <= 0) die("usage", "topic= and partitions= 1 to 64");
  rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (!rk) die("client", why);
  run(rk, topic, interval_ms);
  _Exit(failed ? 1 : 0); /* what is still on its way is nobody's figure */
}
