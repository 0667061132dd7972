// librdkafka's transactions: `transactionalload BOOTSTRAP ROUND PARTITIONS LIFE SEED WRITERS TRANSFORMERS PAUSE_MS`. What it does,
// says and obeys is that of java/TransactionalLoad.java.
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "client.h"

enum { MAX_PARTITIONS = 16, MAX_BATCH = 40, COMMIT_EVERY_MS = 500, ABORTED_PERCENT = 15, CALL_MS = 20000 };
#define GROUP "rdkafka-transform"
#define READER "rdkafka-reader"

static const char *bootstrap, *round_name, *process_life;
static int partitions, seed, pause_ms;
static volatile int stopping, retired, finishing;
static char in_topic[64], out_topic[64], filler[300];

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

// ---------------------------------------------------------------------------------------------------- transactions

/** One transactional id, and the instance that it has just now. */
typedef struct {
  char name[32], life[32], transaction[96];
  unsigned random;
  int lives, number, is_fenced;
  rd_kafka_t *producer;
} transactor_t;

typedef struct {
  char transaction[96];
  int index;
} sent_t;

typedef enum { COMMITTED, ABORTED, LOST } outcome_t;

static int below(transactor_t *of, int limit) { return (int)((unsigned)rand_r(&of->random) % (unsigned)limit); }

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
  (void)client, (void)opaque;
  sent_t *sent = message->_private;
  if (!message->err)
    printf("s %" PRId64 " %s %d %s-%d %" PRId64 "\n", now_us(), sent->transaction, sent->index,
           rd_kafka_topic_name(message->rkt), message->partition, message->offset);
  free(sent);
}

static void give_up(transactor_t *of, rd_kafka_error_t *error) {
  of->is_fenced = rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__FENCED ||
                  rd_kafka_fatal_error(of->producer, NULL, 0) == RD_KAFKA_RESP_ERR__FENCED;
  printf("f %" PRId64 " %s %s %s: %s\n", now_us(), of->name, of->life, rd_kafka_error_name(error),
         rd_kafka_error_string(error));
  fflush(stdout);
  rd_kafka_error_destroy(error);
  rd_kafka_purge(of->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_destroy(of->producer);
  of->producer = NULL;
}

static rd_kafka_t *new_producer(const char *name) {
  char id[128];
  snprintf(id, sizeof id, "%s-%s", round_name, name);
  rd_kafka_conf_t *conf = configuration_under_faults(bootstrap);
  set(conf, "transactional.id", id);
  set(conf, "transaction.timeout.ms", "10000");
  set(conf, "message.timeout.ms", "10000");
  set(conf, "request.timeout.ms", "5000");
  set(conf, "retry.backoff.ms", "20");
  set(conf, "linger.ms", "2");
  // clusterload.c says why.
  set(conf, "max.in.flight.requests.per.connection", "1");
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  return make(RD_KAFKA_PRODUCER, conf);
}

/** Whether another transaction may begin; a new instance is made where there is none. */
static int is_ready(transactor_t *of) {
  while (of->producer == NULL && !(of->is_fenced && retired) && !finishing) {
    snprintf(of->life, sizeof of->life, "%s.%d", process_life, of->lives++);
    of->producer = new_producer(of->name);
    int64_t begun_us = now_us();
    rd_kafka_error_t *error = rd_kafka_init_transactions(of->producer, CALL_MS);
    if (error == NULL) {
      printf("i %" PRId64 " %s %s %" PRId64 "\n", now_us(), of->name, of->life, begun_us);
      fflush(stdout);
      of->number = 0;
    } else {
      give_up(of, error);
      usleep(100000);
    }
  }
  return of->producer != NULL;
}

static void next(transactor_t *of) {
  snprintf(of->transaction, sizeof of->transaction, "%s/%s/%d", of->name, of->life, ++of->number);
}

static outcome_t said(transactor_t *of, char what, outcome_t outcome) {
  printf("%c %" PRId64 " %s\n", what, now_us(), of->transaction);
  return outcome;
}

static outcome_t abort_it(transactor_t *of) {
  for (;;) {
    rd_kafka_error_t *error = rd_kafka_abort_transaction(of->producer, CALL_MS);
    if (error == NULL) return said(of, 'A', ABORTED);
    if (!rd_kafka_error_is_retriable(error) || finishing) {
      give_up(of, error);
      return LOST;
    }
    rd_kafka_error_destroy(error);
  }
}

static outcome_t commit_it(transactor_t *of) {
  said(of, 'c', COMMITTED);
  fflush(stdout);
  for (;;) {
    rd_kafka_error_t *error = rd_kafka_commit_transaction(of->producer, CALL_MS);
    if (error == NULL) return said(of, 'C', COMMITTED);
    if (rd_kafka_error_txn_requires_abort(error)) {
      rd_kafka_error_destroy(error);
      return abort_it(of);
    }
    if (!rd_kafka_error_is_retriable(error) || finishing) {
      give_up(of, error);
      return LOST;
    }
    rd_kafka_error_destroy(error);
  }
}

/** Where it fails, the transaction is aborted, unless the instance is fenced. */
static outcome_t after_failure(transactor_t *of, rd_kafka_error_t *error) {
  if (rd_kafka_error_is_fatal(error) || rd_kafka_fatal_error(of->producer, NULL, 0)) {
    give_up(of, error);
    return LOST;
  }
  rd_kafka_error_destroy(error);
  return abort_it(of);
}

static outcome_t end(transactor_t *of) {
  if (below(of, 100) >= ABORTED_PERCENT) return commit_it(of);
  if (below(of, 2)) rd_kafka_flush(of->producer, CALL_MS);
  return abort_it(of);
}

static rd_kafka_error_t *send_record(transactor_t *of, int index, const char *topic, int partition) {
  char value[512];
  int length =
      snprintf(value, sizeof value, "%s %d %.*s", of->transaction, index, below(of, sizeof filler), filler);
  sent_t *sent = malloc(sizeof *sent);
  memcpy(sent->transaction, of->transaction, sizeof sent->transaction);
  sent->index = index;
  rd_kafka_resp_err_t code =
      rd_kafka_producev(of->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(value, length),
                        RD_KAFKA_V_OPAQUE(sent), RD_KAFKA_V_END);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return NULL;
  free(sent);
  return rd_kafka_error_new(code, "not queued");
}

static void *write_all(void *opaque) {
  transactor_t *of = opaque;
  for (; !stopping && is_ready(of); usleep(pause_ms * 1000)) {
    next(of);
    int count = 1 + below(of, 4), to[4];
    for (int i = 0; i < count; i++) {
      to[i] = below(of, partitions);
      printf("w %" PRId64 " %s %d %s-%d\n", now_us(), of->transaction, i, in_topic, to[i]);
    }
    fflush(stdout);
    rd_kafka_error_t *error = rd_kafka_begin_transaction(of->producer);
    for (int i = 0; error == NULL && i < count; i++) error = send_record(of, i, in_topic, to[i]);
    if (error != NULL) after_failure(of, error);
    else end(of);
  }
  if (of->producer != NULL) rd_kafka_destroy(of->producer);
  printf("stopped %s\n", of->name);
  fflush(stdout);
  return NULL;
}

// -------------------------------------------------------------------------------------------------------- consumers

/** A consumer, and where its transformer stands with it; given to librdkafka's callback. */
typedef struct {
  char instance[96];
  rd_kafka_t *consumer;
  rd_kafka_consumer_group_metadata_t *metadata;
  int is_new_assignment;
} member_t;

static rd_kafka_t *new_consumer(const char *group, member_t *member, int is_member) {
  char id[128];
  snprintf(id, sizeof id, "%s-%s", round_name, group);
  rd_kafka_conf_t *conf = configuration_under_faults(bootstrap);
  set(conf, "group.id", id);
  set(conf, "isolation.level", "read_committed");
  set(conf, "enable.auto.commit", "false");
  set(conf, "auto.offset.reset", "earliest");
  set(conf, "partition.assignment.strategy", "range");
  set(conf, "session.timeout.ms", "6000");
  set(conf, "heartbeat.interval.ms", "500");
  set(conf, "fetch.wait.max.ms", "100");
  set(conf, "fetch.error.backoff.ms", "50");
  set(conf, "check.crcs", "true");
  rd_kafka_conf_set_opaque(conf, member);
  if (is_member) {
    extern void on_rebalance(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
  }
  rd_kafka_t *consumer = make(RD_KAFKA_CONSUMER, conf);
  rd_kafka_poll_set_consumer(consumer);
  return consumer;
}

/** Puts what the group has committed into the list, asked until it is told; false where everything ends. */
static int begin_at_committed(rd_kafka_t *consumer, const char *instance, rd_kafka_topic_partition_list_t *list) {
  int64_t at_us;
  for (;;) {
    at_us = now_us();
    rd_kafka_resp_err_t error = rd_kafka_committed(consumer, list, 5000);
    for (int i = 0; !error && i < list->cnt; i++) error = list->elems[i].err;
    if (!error) break;
    if (finishing) return 0;
    usleep(50000);
  }
  for (int i = 0; i < list->cnt; i++) {
    rd_kafka_topic_partition_t *each = &list->elems[i];
    if (each->offset < 0) each->offset = 0;
    printf("p %" PRId64 " %s %s-%d %" PRId64 "\n", at_us, instance, each->topic, each->partition, each->offset);
  }
  return 1;
}

/** The member's generation is kept as it is now: after it has been thrown out, librdkafka tells one that nobody checks. */
void on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *list, void *opaque) {
  member_t *member = opaque;
  member->is_new_assignment = 1;
  if (member->metadata != NULL) rd_kafka_consumer_group_metadata_destroy(member->metadata);
  member->metadata = NULL;
  if (what != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS || !begin_at_committed(consumer, member->instance, list)) {
    rd_kafka_assign(consumer, NULL);
    return;
  }
  member->metadata = rd_kafka_consumer_group_metadata(consumer);
  rd_kafka_assign(consumer, list);
}

static void say_polled(const char *instance, int64_t poll, const rd_kafka_message_t *message) {
  char start[160], transaction[96];
  int index;
  snprintf(start, sizeof start, "%.*s", (int)message->len, (const char *)message->payload);
  if (sscanf(start, "%95s %d", transaction, &index) != 2) fail("a record of nobody: %s", start);
  printf("r %" PRId64 " %s %" PRId64 " %s-%d %" PRId64 " %s %d\n", now_us(), instance, poll,
         rd_kafka_topic_name(message->rkt), message->partition, message->offset, transaction, index);
}

/** What has come within 100 ms; gives how many records. */
static int gather(rd_kafka_t *consumer, rd_kafka_message_t **batch) {
  int count = 0;
  int64_t end_us = now_us() + 100000;
  for (int64_t left_us = 100000; count < MAX_BATCH && left_us > 0; left_us = end_us - now_us()) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, count == 0 ? (int)(left_us / 1000) : 2);
    if (message == NULL) break;
    if (message->err) rd_kafka_message_destroy(message);
    else batch[count++] = message;
  }
  return count;
}

// ----------------------------------------------------------------------------------------------------- transforming

static rd_kafka_error_t *send_all(transactor_t *of, member_t *member, rd_kafka_message_t **batch, int count) {
  rd_kafka_error_t *error = rd_kafka_begin_transaction(of->producer);
  for (int i = 0; error == NULL && i < count; i++) error = send_record(of, i, out_topic, batch[i]->partition);
  if (error != NULL) return error;
  rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(MAX_PARTITIONS);
  for (int i = 0; i < count; i++) {
    rd_kafka_topic_partition_t *each = rd_kafka_topic_partition_list_find(offsets, in_topic, batch[i]->partition);
    if (each == NULL) each = rd_kafka_topic_partition_list_add(offsets, in_topic, batch[i]->partition);
    each->offset = batch[i]->offset + 1;
  }
  for (int i = 0; i < offsets->cnt; i++) {
    rd_kafka_topic_partition_t *each = &offsets->elems[i];
    printf("o %" PRId64 " %s " GROUP " %s-%d %" PRId64 "\n", now_us(), of->transaction, in_topic, each->partition,
           each->offset);
  }
  fflush(stdout);
  do {
    if (error != NULL) rd_kafka_error_destroy(error);
    error = rd_kafka_send_offsets_to_transaction(of->producer, offsets, member->metadata, CALL_MS);
  } while (error != NULL && rd_kafka_error_is_retriable(error) && !finishing);
  rd_kafka_topic_partition_list_destroy(offsets);
  return error;
}

static outcome_t transform(transactor_t *of, member_t *member, rd_kafka_message_t **batch, int count) {
  next(of);
  for (int i = 0; i < count; i++) {
    int partition = batch[i]->partition;
    printf("w %" PRId64 " %s %d %s-%d " GROUP " %s-%d %" PRId64 "\n", now_us(), of->transaction, i, out_topic, partition,
           in_topic, partition, batch[i]->offset);
  }
  fflush(stdout);
  rd_kafka_error_t *error = send_all(of, member, batch, count);
  return error != NULL ? after_failure(of, error) : end(of);
}

/** To what the group has committed: where the transaction's end is open, a new instance has settled it. */
static void go_back(transactor_t *of, member_t *member) {
  rd_kafka_topic_partition_list_t *assigned;
  if (!is_ready(of) || rd_kafka_assignment(member->consumer, &assigned)) return;
  if (assigned->cnt > 0 && begin_at_committed(member->consumer, member->instance, assigned))
    rd_kafka_assign(member->consumer, assigned);
  rd_kafka_topic_partition_list_destroy(assigned);
}

static void *transform_all(void *opaque) {
  transactor_t *of = opaque;
  member_t member = {0};
  snprintf(member.instance, sizeof member.instance, GROUP ":%s.%s", of->name, process_life);
  member.consumer = new_consumer(GROUP, &member, 1);
  rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(topics, in_topic, RD_KAFKA_PARTITION_UA);
  if (rd_kafka_subscribe(member.consumer, topics)) fail("not subscribed");
  rd_kafka_message_t *batch[MAX_BATCH];
  for (int64_t poll = 1; !finishing && is_ready(of); poll++) {
    member.is_new_assignment = 0;
    int count = gather(member.consumer, batch);
    // What came before a rebalance may be another member's now, and is read again if it is not.
    int is_mine = !member.is_new_assignment && member.metadata != NULL;
    for (int i = 0; is_mine && i < count; i++) say_polled(member.instance, poll, batch[i]);
    outcome_t outcome = is_mine && count > 0 ? transform(of, &member, batch, count) : COMMITTED;
    for (int i = 0; i < count; i++) rd_kafka_message_destroy(batch[i]);
    if (outcome != COMMITTED || (count > 0 && !is_mine)) go_back(of, &member);
  }
  rd_kafka_consumer_close(member.consumer);
  if (of->producer != NULL) rd_kafka_destroy(of->producer);
  printf("stopped %s\n", of->name);
  fflush(stdout);
  return NULL;
}

// ---------------------------------------------------------------------------------------------------------- reading

static void *read_all(void *unused) {
  member_t member = {0};
  snprintf(member.instance, sizeof member.instance, READER ":%s", process_life);
  rd_kafka_t *consumer = new_consumer(READER, &member, 0);
  rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(2 * MAX_PARTITIONS);
  for (int partition = 0; partition < partitions; partition++) {
    rd_kafka_topic_partition_list_add(all, in_topic, partition);
    rd_kafka_topic_partition_list_add(all, out_topic, partition);
  }
  if (begin_at_committed(consumer, member.instance, all)) rd_kafka_assign(consumer, all);
  rd_kafka_message_t *batch[MAX_BATCH];
  int64_t committed_us = 0;
  for (int64_t poll = 1; !finishing; poll++) {
    int count = gather(consumer, batch);
    for (int i = 0; i < count; i++) {
      say_polled(member.instance, poll, batch[i]);
      rd_kafka_topic_partition_list_find(all, rd_kafka_topic_name(batch[i]->rkt), batch[i]->partition)->offset =
          batch[i]->offset + 1;
      rd_kafka_message_destroy(batch[i]);
    }
    if (now_us() - committed_us < COMMIT_EVERY_MS * 1000) continue;
    fflush(stdout);
    rd_kafka_commit(consumer, all, 0); // one that fails is done again, further on
    committed_us = now_us();
  }
  fflush(stdout);
  return unused;
}

static pthread_t start(const char *kind, int number, void *(*run)(void *)) {
  transactor_t *of = calloc(1, sizeof *of);
  snprintf(of->name, sizeof of->name, "rdkafka-%s%d", kind, number);
  of->random = (unsigned)(seed + number + (kind[0] == 'x' ? 500 : 0));
  pthread_t thread;
  pthread_create(&thread, NULL, run, of);
  return thread;
}

int main(int count, char **arguments) {
  if (count != 9) fail("usage: transactionalload BOOTSTRAP ROUND PARTITIONS LIFE SEED WRITERS TRANSFORMERS PAUSE_MS");
  bootstrap = arguments[1], round_name = arguments[2], process_life = arguments[4];
  partitions = atoi(arguments[3]), seed = atoi(arguments[5]), pause_ms = atoi(arguments[8]);
  int writers = atoi(arguments[6]), transformers = atoi(arguments[7]), threads = 0;
  if (partitions < 1 || partitions > MAX_PARTITIONS) fail("too many partitions");
  if (writers > 8 || transformers > 8) fail("too many threads");
  snprintf(in_topic, sizeof in_topic, "%s-in", round_name);
  snprintf(out_topic, sizeof out_topic, "%s-out", round_name);
  memset(filler, 'x', sizeof filler);
  static char buffer[1 << 16];
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
  pthread_t thread[17];
  for (int i = 0; i < writers; i++) thread[threads++] = start("w", i, write_all);
  for (int i = 0; i < transformers; i++) thread[threads++] = start("x", i, transform_all);
  pthread_create(&thread[threads++], NULL, read_all, NULL);
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    if (strcmp(line, "stop\n") == 0) stopping = 1;
    if (strcmp(line, "retire\n") == 0) retired = 1;
  }
  stopping = finishing = 1;
  for (int i = 0; i < threads; i++) pthread_join(thread[i], NULL);
  fflush(stdout);
  _Exit(0);
}
