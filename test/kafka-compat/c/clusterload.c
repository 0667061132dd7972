// librdkafka's load on a cluster: `clusterload BOOTSTRAP TOPIC PARTITIONS RECORDS_PER_SECOND GROUP`. One idempotent
// producer and one member of the group, until told to stop. The lines it says and obeys are those of
// java/ClusterLoad.java.
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "client.h"

enum { MAX_PARTITIONS = 64, MAX_OUTSTANDING = 1000, TICK_MS = 20, COMMIT_EVERY_MS = 500 };
static const char *bootstrap, *topic, *group;
static int partitions, records_per_second;
static volatile int stopping;
static char filler[400];

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static rd_kafka_conf_t *common_configuration(void) {
  rd_kafka_conf_t *conf = configuration_under_faults(bootstrap);
  rd_kafka_conf_set_error_cb(conf, on_error);
  return conf;
}

static int outstanding;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
  (void)client, (void)opaque;
  int sequence = (int)(intptr_t)message->_private;
  if (message->err) printf("e rdkafka %d %d %s\n", message->partition, sequence, rd_kafka_err2name(message->err));
  else printf("a rdkafka %d %d %" PRId64 "\n", message->partition, sequence, message->offset);
  outstanding--;
}

static void send_record(rd_kafka_t *producer, int partition, int sequence) {
  char value[512];
  int length = snprintf(value, sizeof value, "rdkafka %d %.*s", sequence, sequence * 7919 % 400, filler);
  printf("s rdkafka %d %d\n", partition, sequence + 1);
  outstanding++;
  rd_kafka_resp_err_t error = rd_kafka_producev(
      producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_KEY("rdkafka", 7), RD_KAFKA_V_VALUE(value, length),
      RD_KAFKA_V_OPAQUE((void *)(intptr_t)sequence), RD_KAFKA_V_END);
  if (error) fail("not queued: %s", rd_kafka_err2str(error));
}

static void *produce(void *unused) {
  rd_kafka_conf_t *conf = common_configuration();
  set(conf, "enable.idempotence", "true");
  set(conf, "message.timeout.ms", "900000");
  set(conf, "request.timeout.ms", "5000");
  set(conf, "retry.backoff.ms", "20");
  set(conf, "linger.ms", "5");
  // One at a time: a batch that comes in after the one before it was refused (NOT_ENOUGH_REPLICAS) is out of order. Before 2.3
  // that is fatal to librdkafka where the first one had been lost on its way once (#4438); later on, too, it begins a new epoch,
  // in which other partitions may get a record twice (#4953). So, what is out of order is a record that the brokers have lost.
  set(conf, "max.in.flight.requests.per.connection", "1");
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  rd_kafka_t *producer = make(RD_KAFKA_PRODUCER, conf);
  int next[MAX_PARTITIONS] = {0};
  double due = 0;
  for (int count = 0; !stopping;) {
    due += records_per_second * TICK_MS / 1000.0;
    if (due > records_per_second) due = records_per_second;
    for (; due >= 1 && outstanding < MAX_OUTSTANDING; due--, count++) {
      int partition = count % partitions;
      send_record(producer, partition, next[partition]++);
    }
    int64_t tick_end_ms = now_ms() + TICK_MS;
    for (int64_t left = TICK_MS; left > 0; left = tick_end_ms - now_ms()) rd_kafka_poll(producer, left);
    fflush(stdout);
  }
  while (outstanding) rd_kafka_poll(producer, 100);
  puts("produced");
  fflush(stdout);
  return unused;
}

static void begin_at_committed(rd_kafka_t *consumer, rd_kafka_topic_partition_list_t *assigned) {
  int64_t deadline_ms = now_ms() + 300000;
  for (;;) {
    rd_kafka_resp_err_t error = rd_kafka_committed(consumer, assigned, 5000);
    for (int i = 0; !error && i < assigned->cnt; i++) error = assigned->elems[i].err;
    if (!error) break;
    if (now_ms() > deadline_ms) fail("committed offsets: %s", rd_kafka_err2str(error));
    usleep(50000);
  }
  for (int i = 0; i < assigned->cnt; i++) {
    rd_kafka_topic_partition_t *each = &assigned->elems[i];
    if (each->offset < 0) each->offset = 0;
    printf("g rdkafka-member %d %" PRId64 "\n", each->partition, each->offset);
  }
}

static rd_kafka_topic_partition_list_t *positions(rd_kafka_t *consumer) {
  rd_kafka_topic_partition_list_t *list;
  if (rd_kafka_assignment(consumer, &list)) return NULL;
  rd_kafka_position(consumer, list);
  for (int i = list->cnt - 1; i >= 0; i--)
    if (list->elems[i].offset < 0) rd_kafka_topic_partition_list_del_by_idx(list, i);
  if (list->cnt > 0) return list;
  rd_kafka_topic_partition_list_destroy(list);
  return NULL;
}

/** A commit that fails is not told; what was read stays read. */
static void commit(rd_kafka_t *consumer) {
  rd_kafka_topic_partition_list_t *list = positions(consumer);
  if (list == NULL) return;
  if (rd_kafka_commit(consumer, list, 0) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    for (int i = 0; i < list->cnt; i++) {
      rd_kafka_topic_partition_t *each = &list->elems[i];
      if (!each->err) printf("c rdkafka-member %d %" PRId64 "\n", each->partition, each->offset);
    }
  }
  rd_kafka_topic_partition_list_destroy(list);
}

static void on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *list,
                         void *opaque) {
  (void)opaque;
  if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    begin_at_committed(consumer, list);
    rd_kafka_assign(consumer, list);
  } else {
    if (!rd_kafka_assignment_lost(consumer)) commit(consumer);
    rd_kafka_assign(consumer, NULL);
  }
}

static void *consume(void *unused) {
  rd_kafka_conf_t *conf = common_configuration();
  set(conf, "group.id", group);
  set(conf, "enable.auto.commit", "false");
  set(conf, "auto.offset.reset", "earliest");
  set(conf, "partition.assignment.strategy", "range");
  set(conf, "session.timeout.ms", "10000");
  set(conf, "heartbeat.interval.ms", "1000");
  set(conf, "fetch.wait.max.ms", "200");
  set(conf, "fetch.error.backoff.ms", "50");
  set(conf, "check.crcs", "true");
  rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
  rd_kafka_t *consumer = make(RD_KAFKA_CONSUMER, conf);
  rd_kafka_poll_set_consumer(consumer);
  rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
  if (rd_kafka_subscribe(consumer, topics)) fail("not subscribed");
  for (int64_t committed_ms = now_ms();;) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 100);
    if (message != NULL && !message->err) {
      char start[64], producer[32];
      int sequence;
      snprintf(start, sizeof start, "%.*s", (int)message->len, (const char *)message->payload);
      if (sscanf(start, "%31s %d", producer, &sequence) != 2) fail("a record of nobody: %s", start);
      printf("r rdkafka-member %d %" PRId64 " %s %d\n", message->partition, message->offset, producer, sequence);
    }
    if (message != NULL) rd_kafka_message_destroy(message);
    if (now_ms() - committed_ms < COMMIT_EVERY_MS) continue;
    commit(consumer);
    fflush(stdout);
    committed_ms = now_ms();
  }
  return unused;
}

int main(int count, char **arguments) {
  if (count != 6) fail("usage: clusterload BOOTSTRAP TOPIC PARTITIONS RECORDS_PER_SECOND GROUP");
  bootstrap = arguments[1], topic = arguments[2], group = arguments[5];
  partitions = atoi(arguments[3]), records_per_second = atoi(arguments[4]);
  if (partitions < 1 || partitions > MAX_PARTITIONS) fail("too many partitions");
  memset(filler, 'x', sizeof filler);
  static char buffer[1 << 16];
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
  pthread_t threads[2];
  pthread_create(&threads[0], NULL, produce, NULL);
  pthread_create(&threads[1], NULL, consume, NULL);
  char line[64];
  while (fgets(line, sizeof line, stdin))
    if (strcmp(line, "stop\n") == 0) stopping = 1;
  fflush(stdout);
  _Exit(0);
}
