import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The Java client's load on a cluster: BOOTSTRAP TOPIC PARTITIONS RECORDS_PER_SECOND GROUP. One idempotent producer, one
 * member of the group, and one consumer that reads all partitions from their start; all of it goes on until told to stop.
 * What they see goes to standard output in lines (cluster/load.ts reads them):
 *
 *   s PRODUCER PARTITION UPTO               sequences below UPTO may be sent from now on
 *   a PRODUCER PARTITION SEQUENCE OFFSET    acknowledged
 *   e PRODUCER PARTITION SEQUENCE ERROR     failed
 *   g CONSUMER PARTITION OFFSET             owns the partition, and begins there
 *   r CONSUMER PARTITION OFFSET PRODUCER SEQUENCE
 *   c CONSUMER PARTITION OFFSET             committed
 *   produced                                after the line `stop` on standard input, when nothing is outstanding
 *
 * The end of standard input ends the process.
 */
public final class ClusterLoad {
    private static final int MAX_OUTSTANDING = 1_000;
    private static final int TICK_MS = 20;
    private static final int COMMIT_EVERY_MS = 500;
    private static final String PRODUCER = "java";
    private static final String FILLER = "the quick brown spool rolls down the stairs ".repeat(10);

    private static final PrintStream out =
            new PrintStream(new java.io.BufferedOutputStream(System.out, 1 << 16), false, StandardCharsets.UTF_8);
    private static String bootstrap;
    private static String topic;
    private static int partitions;
    private static volatile boolean stopping;

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        topic = args[1];
        partitions = Integer.parseInt(args[2]);
        int recordsPerSecond = Integer.parseInt(args[3]);
        run("producer", () -> produce(recordsPerSecond));
        run("member", () -> consumeInGroup(args[4]));
        run("reader", ClusterLoad::readAll);
        run("flusher", () -> {
            for (; ; Thread.sleep(TICK_MS)) out.flush();
        });
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            if (line.equals("stop")) stopping = true;
        }
        out.flush();
        Runtime.getRuntime().halt(0);
    }

    private interface Task {
        void run() throws Exception;
    }

    /** A client that fails for good ends the process, which the test notices. */
    private static void run(String name, Task task) {
        Thread thread = new Thread(() -> {
            try {
                task.run();
            } catch (Throwable failure) {
                failure.printStackTrace();
                out.flush();
                Runtime.getRuntime().halt(1);
            }
        }, name);
        thread.setDaemon(true);
        thread.start();
    }

    private static void produce(int recordsPerSecond) throws InterruptedException {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "acks", "all",
                "enable.idempotence", "true", "linger.ms", "5", "delivery.timeout.ms", "900000",
                "request.timeout.ms", "5000", "max.block.ms", "900000", "metadata.max.age.ms", "5000",
                "retry.backoff.ms", "20", "retry.backoff.max.ms", "200"));
        config.putAll(Map.of("reconnect.backoff.ms", "20", "reconnect.backoff.max.ms", "500",
                "socket.connection.setup.timeout.ms", "1000", "socket.connection.setup.timeout.max.ms", "2000"));
        KafkaProducer<String, String> producer =
                new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
        int[] next = new int[partitions];
        AtomicInteger outstanding = new AtomicInteger();
        double due = 0;
        for (int count = 0; !stopping; Thread.sleep(TICK_MS)) {
            due = Math.min(due + recordsPerSecond * TICK_MS / 1000.0, recordsPerSecond);
            for (; due >= 1 && outstanding.get() < MAX_OUTSTANDING; due--, count++) {
                int partition = count % partitions;
                int sequence = next[partition]++;
                say("s " + PRODUCER + " " + partition + " " + next[partition]);
                outstanding.incrementAndGet();
                String value = PRODUCER + " " + sequence + " " + FILLER.substring(0, sequence * 7919 % 400);
                producer.send(new ProducerRecord<>(topic, partition, PRODUCER, value), (metadata, error) -> {
                    String place = PRODUCER + " " + partition + " " + sequence + " ";
                    if (error == null) say("a " + place + metadata.offset());
                    else say("e " + place + error.getClass().getSimpleName());
                    outstanding.decrementAndGet();
                });
            }
        }
        producer.flush();
        say("produced");
    }

    private static KafkaConsumer<String, String> consumer(Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "auto.offset.reset",
                "earliest", "enable.auto.commit", "false", "fetch.max.wait.ms", "200", "request.timeout.ms", "5000",
                "default.api.timeout.ms", "10000", "metadata.max.age.ms", "5000", "retry.backoff.ms", "20",
                "reconnect.backoff.ms", "20", "reconnect.backoff.max.ms", "500"));
        config.putAll(Map.of("socket.connection.setup.timeout.ms", "1000",
                "socket.connection.setup.timeout.max.ms", "2000"));
        config.putAll(more);
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    private static void readAll() {
        List<TopicPartition> all = new ArrayList<>();
        for (int partition = 0; partition < partitions; partition++) all.add(new TopicPartition(topic, partition));
        KafkaConsumer<String, String> consumer = consumer(Map.of());
        consumer.assign(all);
        consumer.seekToBeginning(all);
        for (int partition = 0; partition < partitions; partition++) say("g java-reader " + partition + " 0");
        for (;;) {
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                polled("java-reader", record);
            }
        }
    }

    private static void consumeInGroup(String group) {
        KafkaConsumer<String, String> consumer = consumer(Map.of("group.id", group, "session.timeout.ms", "10000",
                "heartbeat.interval.ms", "1000", "partition.assignment.strategy",
                "org.apache.kafka.clients.consumer.RangeAssignor"));
        Map<TopicPartition, Long> read = new HashMap<>();
        consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
                for (TopicPartition each : assigned) {
                    say("g java-member " + each.partition() + " " + positionOf(consumer, each));
                }
            }

            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
                commit(consumer, read);
                read.clear();
            }

            @Override
            public void onPartitionsLost(Collection<TopicPartition> lost) {
                read.clear();
            }
        });
        for (long committedMs = 0;;) {
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                polled("java-member", record);
                read.put(new TopicPartition(topic, record.partition()), record.offset() + 1);
            }
            if (System.currentTimeMillis() - committedMs < COMMIT_EVERY_MS) continue;
            commit(consumer, read);
            committedMs = System.currentTimeMillis();
        }
    }

    private static long positionOf(KafkaConsumer<String, String> consumer, TopicPartition partition) {
        return consumer.position(partition, Duration.ofMinutes(5));
    }

    /** A commit that fails is not told; what was read stays read. */
    private static void commit(KafkaConsumer<String, String> consumer, Map<TopicPartition, Long> read) {
        if (read.isEmpty()) return;
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        read.forEach((partition, offset) -> offsets.put(partition, new OffsetAndMetadata(offset)));
        try {
            consumer.commitSync(offsets, Duration.ofSeconds(3));
        } catch (KafkaException failed) {
            return;
        }
        read.forEach((partition, offset) -> say("c java-member " + partition.partition() + " " + offset));
        read.clear();
    }

    private static void polled(String consumer, ConsumerRecord<String, String> record) {
        String[] words = record.value().split(" ", 3);
        say("r " + consumer + " " + record.partition() + " " + record.offset() + " " + words[0] + " " + words[1]);
    }

    private static void say(String line) {
        out.print(line + "\n");
    }
}
