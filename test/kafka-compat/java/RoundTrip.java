import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.CRC32;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * One side of a lane of the round trip: `produce` or `consume`, bootstrap servers, lane, seed, count, first timestamp.
 * The records are those of roundtrip/records.ts. A producer tells its progress in lines `acked N`; a consumer
 * reads until it has as many records as the lane holds (or nothing has come for a minute) and then reports a
 * line for each partition: topic, partition, count, checksum.
 */
public final class RoundTrip {
    private static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
    private static final int PARTITIONS = 4;
    private static final int POOL_BYTES = 1 << 20;
    private static final int KEYS = 5_000;
    private static final int LARGE_EVERY = 1_501;
    private static final long IDLE_LIMIT_MS = 60_000;

    private static int mix(int x) {
        x = (x ^ (x >>> 16)) * 0x7feb352d;
        x = (x ^ (x >>> 15)) * 0x846ca68b;
        return x ^ (x >>> 16);
    }

    private static final class Sequence {
        private int state;

        Sequence(int seed) {
            state = mix(seed);
        }

        int next() {
            state += 0x6d2b79f5;
            return mix(state);
        }

        int below(int limit) {
            return Integer.remainderUnsigned(next(), limit);
        }
    }

    public static void main(String[] args) throws Exception {
        String lane = args[2];
        int seed = (int) Long.parseLong(args[3]);
        int count = Integer.parseInt(args[4]);
        if (args[0].equals("produce")) produce(args[1], lane, seed, count, Long.parseLong(args[5]));
        else consume(args[1], lane, count);
    }

    private static byte[] makePool(int seed) {
        byte[] pool = new byte[POOL_BYTES];
        Sequence sequence = new Sequence(seed);
        for (int position = 0; position < POOL_BYTES; position += 4) {
            int bits = sequence.next();
            pool[position] = (byte) (97 + (bits & 15));
            pool[position + 1] = (byte) (97 + ((bits >>> 4) & 15));
            pool[position + 2] = (byte) (97 + ((bits >>> 8) & 15));
            pool[position + 3] = 32;
        }
        return pool;
    }

    private static int valueBytes(int index, int bits) {
        if (index % LARGE_EVERY == LARGE_EVERY - 1) return 10_000 + Integer.remainderUnsigned(bits, 890_000);
        int kind = Integer.remainderUnsigned(bits, 100);
        int rest = bits >>> 8;
        if (kind < 70) return rest % 200;
        if (kind < 95) return rest % 800;
        return 800 + rest % 224;
    }

    private static void produce(String bootstrap, String lane, int seed, int count, long firstTimestampMs)
            throws Exception {
        List<KafkaProducer<byte[], byte[]>> producers = new ArrayList<>();
        for (String codec : CODECS) {
            producers.add(new KafkaProducer<>(
                    Map.of("bootstrap.servers", bootstrap, "acks", "all", "enable.idempotence", "true",
                            "compression.type", codec, "linger.ms", "5", "batch.size", "65536"),
                    new ByteArraySerializer(), new ByteArraySerializer()));
        }
        byte[] pool = makePool(seed);
        int[][] sent = new int[CODECS.length][PARTITIONS];
        AtomicLong acked = new AtomicLong();
        for (int index = 0; index < count; index++) {
            Sequence sequence = new Sequence(seed + index * 0x9e3779b9);
            int topic = index % CODECS.length;
            int keyNumber = sequence.below(KEYS);
            int partition = keyNumber % PARTITIONS;
            int size = valueBytes(index, sequence.next());
            int start = sequence.below(POOL_BYTES - size);
            int flags = sequence.next();
            RecordHeaders headers = new RecordHeaders();
            headers.add("seq", text(Integer.toString(sent[topic][partition]++)));
            if (((flags >>> 8) & 3) == 0) headers.add("index", text(Integer.toString(index)));
            if (((flags >>> 12) & 15) == 0) headers.add("empty", new byte[0]);
            boolean isNull = (flags & 127) == 0 && size < 10_000;
            byte[] value = isNull ? null : Arrays.copyOfRange(pool, start, start + size);
            ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
                    lane + "-" + CODECS[topic], partition, firstTimestampMs + index,
                    text("key-" + keyNumber), value, headers);
            producers.get(topic).send(record, (metadata, error) -> {
                if (error != null) fail(error);
                long done = acked.incrementAndGet();
                if (done % 1_000 == 0) System.out.println("acked " + done);
            });
        }
        for (KafkaProducer<byte[], byte[]> producer : producers) producer.close();
        if (acked.get() != count) fail(new IllegalStateException("only " + acked.get() + " were acknowledged"));
    }

    private static void consume(String bootstrap, String lane, int count) {
        Map<String, Sum> sums = new TreeMap<>();
        List<TopicPartition> partitions = new ArrayList<>();
        for (String codec : CODECS) {
            for (int partition = 0; partition < PARTITIONS; partition++) {
                partitions.add(new TopicPartition(lane + "-" + codec, partition));
            }
        }
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest", "enable.auto.commit", "false"),
                new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            int read = 0;
            long lastReadMs = System.currentTimeMillis();
            while (read < count && System.currentTimeMillis() - lastReadMs < IDLE_LIMIT_MS) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                    sums.computeIfAbsent(record.topic() + " " + record.partition(), place -> new Sum()).add(record);
                    read++;
                    lastReadMs = System.currentTimeMillis();
                }
            }
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            for (TopicPartition partition : partitions) {
                Sum sum = sums.computeIfAbsent(partition.topic() + " " + partition.partition(), place -> new Sum());
                if (ends.get(partition) != sum.count) sum.fault("the log ends at " + ends.get(partition));
            }
        }
        sums.forEach((place, sum) -> System.out.println(place + " " + sum));
    }

    private static final class Sum {
        private final CRC32 crc = new CRC32();
        private long count;
        private String fault = "";

        void add(ConsumerRecord<byte[], byte[]> record) {
            if (record.offset() != count) fault("offset " + record.offset() + " after " + count + " records");
            byte[] value = record.value();
            int size = value == null ? -1 : value.length;
            crc.update(record.key());
            crc.update(text("|" + record.timestamp() + "|" + size + "|"));
            if (value != null) crc.update(value);
            for (Header header : record.headers()) {
                crc.update(text(header.key() + "="));
                crc.update(header.value());
                crc.update(';');
            }
            crc.update('\n');
            count++;
        }

        void fault(String text) {
            if (fault.isEmpty()) fault = " " + text;
        }

        @Override
        public String toString() {
            return count + " " + String.format("%08x", crc.getValue()) + fault;
        }
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static void fail(Throwable error) {
        error.printStackTrace();
        Runtime.getRuntime().halt(1);
    }
}
