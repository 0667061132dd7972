// One side of a lane of the round trip: `produce` or `consume`, bootstrap servers, lane, seed, count, first timestamp.
// The records are those of roundtrip/records.ts. A producer tells its progress in lines `acked N`; a consumer
// reads until it has as many records as the lane holds (or nothing has come for a minute) and then reports a
// line for each partition: topic, partition, count, checksum.
#include <inttypes.h>
#include <string.h>
#include "client.h"

enum { CODECS = 5, PARTITIONS = 4, POOL_BYTES = 1 << 20, KEYS = 5000, LARGE_EVERY = 1501 };
static const char *codecs[CODECS] = {"none", "gzip", "snappy", "lz4", "zstd"};
static const int idle_limit_ms = 60000;

static uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

static uint32_t next(uint32_t *state) {
  *state += 0x6d2b79f5u;
  return mix(*state);
}

static uint8_t pool[POOL_BYTES];

static void make_pool(uint32_t seed) {
  uint32_t state = mix(seed);
  for (int position = 0; position < POOL_BYTES; position += 4) {
    uint32_t bits = next(&state);
    pool[position] = 97 + (bits & 15);
    pool[position + 1] = 97 + ((bits >> 4) & 15);
    pool[position + 2] = 97 + ((bits >> 8) & 15);
    pool[position + 3] = 32;
  }
}

static uint32_t value_bytes(uint32_t index, uint32_t bits) {
  if (index % LARGE_EVERY == LARGE_EVERY - 1) return 10000 + bits % 890000;
  uint32_t kind = bits % 100, rest = bits >> 8;
  if (kind < 70) return rest % 200;
  if (kind < 95) return rest % 800;
  return 800 + rest % 224;
}

static uint32_t acked;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
  (void)client, (void)opaque;
  if (message->err) fail("not delivered: %s", rd_kafka_err2str(message->err));
  if (++acked % 1000 == 0) printf("acked %u\n", acked), fflush(stdout);
}

static rd_kafka_t *make_producer(const char *bootstrap, const char *codec) {
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", bootstrap);
  set(conf, "enable.idempotence", "true");
  set(conf, "compression.codec", codec);
  set(conf, "linger.ms", "5");
  set(conf, "log_level", "0");
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  rd_kafka_conf_set_error_cb(conf, on_error);
  return make(RD_KAFKA_PRODUCER, conf);
}

static void add_header(rd_kafka_headers_t *headers, const char *name, int64_t number) {
  char text[24];
  int length = snprintf(text, sizeof text, "%" PRId64, number);
  rd_kafka_header_add(headers, name, -1, text, length);
}

static void produce(const char *bootstrap, const char *lane, uint32_t seed, uint32_t count, int64_t first_timestamp_ms) {
  rd_kafka_t *producers[CODECS];
  char topics[CODECS][128];
  static uint32_t sent[CODECS][PARTITIONS];
  for (int i = 0; i < CODECS; i++) {
    producers[i] = make_producer(bootstrap, codecs[i]);
    snprintf(topics[i], sizeof topics[i], "%s-%s", lane, codecs[i]);
  }
  make_pool(seed);
  for (uint32_t index = 0; index < count; index++) {
    uint32_t state = mix(seed + index * 0x9e3779b9u);
    uint32_t topic = index % CODECS;
    uint32_t key_number = next(&state) % KEYS, partition = key_number % PARTITIONS;
    uint32_t size = value_bytes(index, next(&state));
    uint32_t start = next(&state) % (POOL_BYTES - size);
    uint32_t flags = next(&state);
    int is_null = (flags & 127) == 0 && size < 10000;
    char key[24];
    int key_length = snprintf(key, sizeof key, "key-%u", key_number);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(3);
    add_header(headers, "seq", sent[topic][partition]++);
    if (((flags >> 8) & 3) == 0) add_header(headers, "index", index);
    if (((flags >> 12) & 15) == 0) rd_kafka_header_add(headers, "empty", -1, "", 0);
    for (;;) {
      rd_kafka_resp_err_t error = rd_kafka_producev(
          producers[topic], RD_KAFKA_V_TOPIC(topics[topic]), RD_KAFKA_V_PARTITION(partition),
          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_length),
          RD_KAFKA_V_VALUE(is_null ? NULL : pool + start, is_null ? 0 : size), RD_KAFKA_V_HEADERS(headers),
          RD_KAFKA_V_TIMESTAMP(first_timestamp_ms + index), RD_KAFKA_V_END);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) break;
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) fail("not queued: %s", rd_kafka_err2str(error));
      for (int i = 0; i < CODECS; i++) rd_kafka_poll(producers[i], i == (int)topic ? 10 : 0);
    }
    if (index % 256 == 0)
      for (int i = 0; i < CODECS; i++) rd_kafka_poll(producers[i], 0);
  }
  for (int i = 0; i < CODECS; i++) {
    if (rd_kafka_flush(producers[i], 120000)) fail("not flushed");
    rd_kafka_destroy(producers[i]);
  }
  if (acked != count) fail("only %u were acknowledged", acked);
}

static uint32_t crc_table[256];

static void make_crc_table(void) {
  for (uint32_t octet = 0; octet < 256; octet++) {
    uint32_t crc = octet;
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0xedb88320u : crc >> 1;
    crc_table[octet] = crc;
  }
}

static uint32_t crc_of(uint32_t crc, const void *bytes, size_t length) {
  const uint8_t *octets = bytes;
  crc = ~crc;
  for (size_t i = 0; i < length; i++) crc = crc_table[(crc ^ octets[i]) & 255] ^ (crc >> 8);
  return ~crc;
}

struct sum {
  int64_t count;
  uint32_t crc;
  char fault[128];
};

static void add(struct sum *sum, const rd_kafka_message_t *message) {
  if (message->offset != sum->count && sum->fault[0] == 0)
    snprintf(sum->fault, sizeof sum->fault, " offset %" PRId64 " after %" PRId64 " records", message->offset,
             sum->count);
  char text[64];
  int64_t size = message->payload == NULL ? -1 : (int64_t)message->len;
  int length = snprintf(text, sizeof text, "|%" PRId64 "|%" PRId64 "|", rd_kafka_message_timestamp(message, NULL), size);
  uint32_t crc = crc_of(sum->crc, message->key, message->key_len);
  crc = crc_of(crc, text, length);
  if (message->payload != NULL) crc = crc_of(crc, message->payload, message->len);
  rd_kafka_headers_t *headers;
  if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char *name;
    const void *value;
    size_t value_length;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &value_length) == 0; i++) {
      crc = crc_of(crc, name, strlen(name));
      crc = crc_of(crc, "=", 1);
      crc = crc_of(crc, value, value_length);
      crc = crc_of(crc, ";", 1);
    }
  }
  sum->crc = crc_of(crc, "\n", 1);
  sum->count++;
}

static void consume(const char *bootstrap, const char *lane, uint32_t count) {
  static struct sum sums[CODECS][PARTITIONS];
  make_crc_table();
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", bootstrap);
  set(conf, "group.id", "roundtrip");
  set(conf, "enable.auto.commit", "false");
  set(conf, "auto.offset.reset", "error");
  set(conf, "queued.max.messages.kbytes", "65536");
  set(conf, "check.crcs", "true");
  set(conf, "log_level", "0");
  rd_kafka_conf_set_error_cb(conf, on_error);
  rd_kafka_t *consumer = make(RD_KAFKA_CONSUMER, conf);
  rd_kafka_poll_set_consumer(consumer);
  rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_new(CODECS * PARTITIONS);
  char topic[128];
  for (int i = 0; i < CODECS; i++) {
    snprintf(topic, sizeof topic, "%s-%s", lane, codecs[i]);
    for (int partition = 0; partition < PARTITIONS; partition++)
      rd_kafka_topic_partition_list_add(partitions, topic, partition)->offset = 0;
  }
  if (rd_kafka_assign(consumer, partitions)) fail("not assigned");
  uint32_t read = 0;
  for (int idle_ms = 0; read < count && idle_ms < idle_limit_ms;) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 100);
    if (message == NULL) {
      idle_ms += 100;
      continue;
    }
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      const char *codec = strrchr(rd_kafka_topic_name(message->rkt), '-') + 1;
      for (int i = 0; i < CODECS; i++)
        if (strcmp(codec, codecs[i]) == 0) add(&sums[i][message->partition], message);
      read++, idle_ms = 0;
    } else if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
               message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
      fail("offset lost: %s", rd_kafka_message_errstr(message));
    }
    rd_kafka_message_destroy(message);
  }
  for (int i = 0; i < CODECS; i++) {
    snprintf(topic, sizeof topic, "%s-%s", lane, codecs[i]);
    for (int partition = 0; partition < PARTITIONS; partition++) {
      int64_t low, high;
      struct sum *sum = &sums[i][partition];
      if (rd_kafka_query_watermark_offsets(consumer, topic, partition, &low, &high, 10000)) fail("no end offset");
      if (high != sum->count && sum->fault[0] == 0)
        snprintf(sum->fault, sizeof sum->fault, " the log ends at %" PRId64, high);
      printf("%s %d %" PRId64 " %08x%s\n", topic, partition, sum->count, sum->crc, sum->fault);
    }
  }
  rd_kafka_topic_partition_list_destroy(partitions);
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
}

int main(int count, char **arguments) {
  if (count != 7) fail("usage: roundtrip produce|consume BOOTSTRAP LANE SEED COUNT FIRST_TIMESTAMP");
  uint32_t seed = strtoul(arguments[4], NULL, 10), records = strtoul(arguments[5], NULL, 10);
  if (strcmp(arguments[1], "produce") == 0) produce(arguments[2], arguments[3], seed, records, strtoll(arguments[6], NULL, 10));
  else consume(arguments[2], arguments[3], records);
  return 0;
}
