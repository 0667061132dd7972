// What the clients on librdkafka share: whatever goes wrong ends the program with one line.
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  fflush(stdout);
  _Exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
  char error[256];
  if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK) fail("%s", error);
}

__attribute__((unused)) static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque) {
  (void)opaque;
  if (code != RD_KAFKA_RESP_ERR__FATAL) return;
  char text[512];
  rd_kafka_fatal_error(client, text, sizeof text);
  fail("fatal: %s (%s)", text, reason);
}

static rd_kafka_t *make(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
  char error[256];
  rd_kafka_t *client = rd_kafka_new(type, conf, error, sizeof error);
  if (client == NULL) fail("%s", error);
  return client;
}

/** For a cluster under faults: soon at the next broker, and nothing on stderr. */
__attribute__((unused)) static rd_kafka_conf_t *configuration_under_faults(const char *bootstrap) {
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", bootstrap);
  set(conf, "socket.timeout.ms", "5000");
  set(conf, "socket.connection.setup.timeout.ms", "1500");
  set(conf, "reconnect.backoff.ms", "20");
  set(conf, "reconnect.backoff.max.ms", "500");
  set(conf, "topic.metadata.refresh.interval.ms", "5000");
  set(conf, "log_level", "0");
  return conf;
}
