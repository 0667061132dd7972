// Members of groups on librdkafka, each in a thread of its own: `churnmembers BOOTSTRAP`. What it obeys and says is what
// java/ChurnMembers.java does; groups/history.ts says what the lines mean.
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "client.h"

enum { MAX_MEMBERS = 2000, MAX_PARTITIONS = 4096, COMMIT_EVERY_MS = 300, LINE_BYTES = 1 << 16 };
static const char *bootstrap;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

typedef struct {
  char name[128];
  char command[1024];
  int next[MAX_PARTITIONS]; // the offset after the last one read and not committed; 0: none
  int cooperative;
  int assigned; // ever
  FILE *log;    // what librdkafka says, where it is asked for
  volatile int closing;
} member_t;

static member_t *members[MAX_MEMBERS];
static int member_count;

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void say(const member_t *member, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  pthread_mutex_lock(&lock);
  printf("%" PRId64 " %s ", now_ms(), member->name);
  vprintf(format, arguments);
  putchar('\n');
  fflush(stdout);
  pthread_mutex_unlock(&lock);
  va_end(arguments);
}

static const char *indexes(const rd_kafka_topic_partition_list_t *list, char *text) {
  int length = 0;
  text[0] = 0;
  for (int i = 0; i < list->cnt; i++)
    length += sprintf(text + length, "%s%d", i ? "," : "", list->elems[i].partition);
  return text;
}

// A commit that fails is not told; what was read stays read.
static void commit(rd_kafka_t *consumer, member_t *member, const char *topic) {
  char text[LINE_BYTES];
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  for (int i = 0; i < MAX_PARTITIONS; i++)
    if (member->next[i]) rd_kafka_topic_partition_list_add(list, topic, i)->offset = member->next[i];
  int length = 0;
  if (list->cnt > 0 && rd_kafka_commit(consumer, list, 0) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    for (int i = 0; i < list->cnt; i++) {
      rd_kafka_topic_partition_t *each = &list->elems[i];
      if (each->err) continue;
      length += sprintf(text + length, "%s%d:%" PRId64, length ? "," : "", each->partition, each->offset);
      member->next[each->partition] = 0;
    }
    if (length) say(member, "c %s", text);
  }
  rd_kafka_topic_partition_list_destroy(list);
}

// The generation stands behind the magic of the serialised metadata ("CGMDv2:"), as this machine writes an int32.
static int generation_of(rd_kafka_t *consumer) {
  rd_kafka_consumer_group_metadata_t *metadata = rd_kafka_consumer_group_metadata(consumer);
  void *bytes;
  size_t size;
  int32_t generation = -1;
  if (metadata == NULL) return -1;
  rd_kafka_error_t *error = rd_kafka_consumer_group_metadata_write(metadata, &bytes, &size);
  if (error == NULL) {
    if (size >= 11 && memcmp(bytes, "CGMDv2:", 7) == 0) memcpy(&generation, (char *)bytes + 7, 4);
    rd_kafka_mem_free(consumer, bytes);
  }
  rd_kafka_consumer_group_metadata_destroy(metadata);
  return generation;
}

static void forget(member_t *member, const rd_kafka_topic_partition_list_t *list) {
  for (int i = 0; i < list->cnt; i++) member->next[list->elems[i].partition] = 0;
}

static void on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *list,
                         void *opaque) {
  member_t *member = opaque;
  char text[LINE_BYTES];
  int cooperative = member->cooperative;
  rd_kafka_error_t *error = NULL;
  if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    member->assigned = 1;
    if (cooperative) error = rd_kafka_incremental_assign(consumer, list);
    else rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_t *all;
    if (rd_kafka_assignment(consumer, &all) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      say(member, "a %d %s", generation_of(consumer), indexes(all, text));
      rd_kafka_topic_partition_list_destroy(all);
    }
  } else {
    int lost = rd_kafka_assignment_lost(consumer);
    if (!lost && list->cnt > 0) commit(consumer, member, list->elems[0].topic);
    forget(member, list);
    say(member, "%s %s", lost ? "l" : "v", indexes(list, text));
    if (cooperative) error = rd_kafka_incremental_unassign(consumer, list);
    else rd_kafka_assign(consumer, NULL);
  }
  if (error != NULL) {
    say(member, "f %s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
  }
}

static void on_log(const rd_kafka_t *consumer, int level, const char *facility, const char *text) {
  member_t *member = rd_kafka_opaque(consumer);
  (void)level;
  fprintf(member->log, "%" PRId64 " %s %s\n", now_ms(), facility, text);
}

// ODRADEK_GROUPS_RDKAFKA_LOGS names a directory: a file there for each member.
static void log_into_file(rd_kafka_conf_t *conf, member_t *member) {
  const char *directory = getenv("ODRADEK_GROUPS_RDKAFKA_LOGS");
  char path[512];
  if (directory == NULL) return;
  snprintf(path, sizeof path, "%s/%s.log", directory, member->name);
  member->log = fopen(path, "w");
  if (member->log == NULL) fail("%s cannot be written", path);
  setlinebuf(member->log); // the process may be killed
  set(conf, "log_level", "7");
  set(conf, "debug", "cgrp,protocol");
  rd_kafka_conf_set_log_cb(conf, on_log);
}

static rd_kafka_conf_t *configuration(member_t *member, const char *group, char **rest) {
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", bootstrap);
  set(conf, "group.id", group);
  set(conf, "client.id", member->name);
  set(conf, "enable.auto.commit", "false");
  set(conf, "auto.offset.reset", "earliest");
  set(conf, "reconnect.backoff.ms", "50");
  set(conf, "reconnect.backoff.max.ms", "500");
  set(conf, "socket.timeout.ms", "10000");
  set(conf, "fetch.error.backoff.ms", "100");
  set(conf, "topic.metadata.refresh.interval.ms", "5000");
  set(conf, "log_level", "0");
  log_into_file(conf, member);
  for (char *each = strtok_r(NULL, " ", rest); each != NULL; each = strtok_r(NULL, " ", rest)) {
    char *value = strchr(each, '=');
    *value = 0;
    set(conf, each, value + 1);
    if (strcmp(value + 1, "cooperative-sticky") == 0) member->cooperative = 1;
  }
  rd_kafka_conf_set_opaque(conf, member);
  rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
  rd_kafka_conf_set_error_cb(conf, on_error);
  return conf;
}

// Gives 0 when the consumer has ended for ever: after a fatal error, of which it tells in a message, it never joins again.
static int poll_once(rd_kafka_t *consumer, member_t *member) {
  rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 100);
  if (message == NULL) return 1;
  int lives = message->err != RD_KAFKA_RESP_ERR__FATAL;
  if (!message->err) {
    say(member, "r %d %" PRId64 " %.*s", message->partition, message->offset, (int)message->len,
        (const char *)message->payload);
    member->next[message->partition] = (int)message->offset + 1;
  }
  rd_kafka_message_destroy(message);
  return lives;
}

// Closes it and tells what the error was and which member id it had then: groups/group-run.ts judges whether that may be.
static void end_fatally(rd_kafka_t *consumer, member_t *member) {
  char text[512];
  rd_kafka_resp_err_t error = rd_kafka_fatal_error(consumer, text, sizeof text);
  char *id = rd_kafka_memberid(consumer);
  rd_kafka_consumer_close(consumer);
  say(member, "f %s as \"%s\"", rd_kafka_err2name(error), id == NULL ? "" : id);
  rd_kafka_mem_free(consumer, id);
}

static void *run(void *opaque) {
  member_t *member = opaque;
  char *rest;
  strtok_r(member->command, " ", &rest); // "start"
  strtok_r(NULL, " ", &rest);            // the name
  const char *group = strtok_r(NULL, " ", &rest), *topic = strtok_r(NULL, " ", &rest);
  rd_kafka_t *consumer = make(RD_KAFKA_CONSUMER, configuration(member, group, &rest));
  rd_kafka_poll_set_consumer(consumer);
  rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
  if (rd_kafka_subscribe(consumer, topics)) fail("not subscribed");
  rd_kafka_topic_partition_list_destroy(topics);
  int lives = 1;
  for (int64_t committed_ms = now_ms(); lives && !member->closing;) {
    lives = poll_once(consumer, member);
    if (now_ms() - committed_ms < COMMIT_EVERY_MS) continue;
    commit(consumer, member, topic);
    committed_ms = now_ms();
  }
  if (lives) {
    rd_kafka_consumer_close(consumer);
    say(member, "x");
  } else end_fatally(consumer, member);
  // librdkafka before 2.3 aborts when it destroys a cooperative member that never had an assignment (its issue 4312).
  if (!member->cooperative || member->assigned) rd_kafka_destroy(consumer);
  return NULL;
}

static void start(const char *line, const char *name) {
  member_t *member = calloc(1, sizeof *member);
  snprintf(member->name, sizeof member->name, "%s", name);
  snprintf(member->command, sizeof member->command, "%s", line);
  if (member_count == MAX_MEMBERS) fail("too many members");
  members[member_count++] = member;
  pthread_t thread;
  pthread_create(&thread, NULL, run, member);
  pthread_detach(thread);
}

int main(int count, char **arguments) {
  if (count != 2) fail("usage: churnmembers BOOTSTRAP");
  bootstrap = arguments[1];
  char line[1024];
  while (fgets(line, sizeof line, stdin)) {
    char verb[16], name[128];
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "%15s %127s", verb, name) != 2) fail("what is: %s", line);
    if (strcmp(verb, "start") == 0) start(line, name);
    for (int i = 0; i < member_count && strcmp(verb, "close") == 0; i++)
      if (strcmp(members[i]->name, name) == 0) members[i]->closing = 1;
  }
  fflush(stdout);
  _Exit(0);
}
