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
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The Java client's transactions: BOOTSTRAP ROUND PARTITIONS LIFE SEED WRITERS TRANSFORMERS PAUSE_MS. Writers write to
 * ROUND-in, in transactions of a few records to any partitions, some of which they abort; transformers, members of one
 * group, make a record of ROUND-out of each that is committed there; one reader reads both. What they do and see goes to
 * standard output in lines (test/kafka-compat/transactions/history.ts), and further: `stopped NAME`, a thread has ended.
 *
 * Lines on standard input: `stop`, and the writers end; `retire`, and whoever is fenced ends and is not initialised again,
 * for a successor has been started. The end of standard input ends everything, after the transactions that are open.
 */
public final class TransactionalLoad {
    private static final String FAMILY = "java";
    private static final int COMMIT_EVERY_MS = 500;
    private static final int ABORTED_PERCENT = 15;
    private static final String FILLER = "every transaction is whole or it is not there ".repeat(10);

    private static final PrintStream out =
            new PrintStream(new java.io.BufferedOutputStream(System.out, 1 << 16), false, StandardCharsets.UTF_8);
    private static String bootstrap;
    private static String round;
    private static int partitions;
    private static String processLife;
    private static long pauseMs;
    private static volatile boolean stopping;
    private static volatile boolean retired;
    private static volatile boolean finishing;

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        round = args[1];
        partitions = Integer.parseInt(args[2]);
        processLife = args[3];
        long seed = Long.parseLong(args[4]);
        int writers = Integer.parseInt(args[5]);
        int transformers = Integer.parseInt(args[6]);
        pauseMs = Long.parseLong(args[7]);
        CountDownLatch left = new CountDownLatch(writers + transformers + 1);
        for (int i = 0; i < writers; i++) run(new Writer(FAMILY + "-w" + i, new Random(seed + i)), left);
        for (int i = 0; i < transformers; i++) run(new Transformer(FAMILY + "-x" + i, new Random(seed - 1 - i)), left);
        run(new Reader(), left);
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            if (line.equals("stop")) stopping = true;
            if (line.equals("retire")) retired = true;
        }
        stopping = true;
        finishing = true;
        left.await();
        out.flush();
        Runtime.getRuntime().halt(0);
    }

    private interface Task {
        String name();

        void run() throws Exception;
    }

    /** What nobody expects ends the process, which the test notices. */
    private static void run(Task task, CountDownLatch left) {
        Thread thread = new Thread(() -> {
            try {
                task.run();
                tell("stopped " + task.name());
                left.countDown();
            } catch (Throwable failure) {
                failure.printStackTrace();
                out.flush();
                Runtime.getRuntime().halt(1);
            }
        }, task.name());
        thread.setDaemon(true);
        thread.start();
    }

    private static long nowUs() {
        return System.nanoTime() / 1000;
    }

    private static String topic(String name) {
        return round + "-" + name;
    }

    private static void say(String line) {
        out.print(line + "\n");
    }

    /** What is said so is known whatever becomes of the process. */
    private static void tell(String line) {
        say(line);
        out.flush();
    }

    private static Map<String, Object> common() {
        return new HashMap<>(Map.of("bootstrap.servers", bootstrap, "request.timeout.ms", "5000", "metadata.max.age.ms",
                "5000", "retry.backoff.ms", "20", "retry.backoff.max.ms", "200", "reconnect.backoff.ms", "20",
                "reconnect.backoff.max.ms", "500", "socket.connection.setup.timeout.ms", "1000",
                "socket.connection.setup.timeout.max.ms", "2000"));
    }

    private enum Outcome { COMMITTED, ABORTED, LOST }

    /** One transactional id, and the instance that it has just now. */
    private abstract static class Transactor implements Task {
        private final String name;
        final Random random;
        KafkaProducer<String, String> producer;
        private String life;
        private int lives;
        private int number;
        private boolean isFenced;

        Transactor(String name, Random random) {
            this.name = name;
            this.random = random;
        }

        @Override
        public final String name() {
            return name;
        }

        interface Body {
            void send(String transaction);
        }

        /** Whether another transaction may begin; a new instance is made where there is none. */
        final boolean isReady() throws InterruptedException {
            while (producer == null && !(isFenced && retired) && !finishing) {
                life = processLife + "." + lives++;
                Map<String, Object> config = common();
                config.putAll(Map.of("transactional.id", topic(name), "transaction.timeout.ms", "10000", "linger.ms", "2",
                        "delivery.timeout.ms", "20000", "max.block.ms", "20000"));
                KafkaProducer<String, String> made =
                        new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
                long begunUs = nowUs();
                try {
                    made.initTransactions();
                    tell("i " + nowUs() + " " + name + " " + life + " " + begunUs);
                    producer = made;
                    number = 0;
                } catch (KafkaException failed) {
                    giveUp(made, failed);
                    Thread.sleep(100);
                }
            }
            return producer != null;
        }

        final String next() {
            return name + "/" + life + "/" + ++number;
        }

        final Outcome transact(String transaction, Body body) {
            try {
                producer.beginTransaction();
                body.send(transaction);
                if (random.nextInt(100) < ABORTED_PERCENT) {
                    if (random.nextBoolean()) producer.flush();
                    producer.abortTransaction();
                    say("A " + nowUs() + " " + transaction);
                    return Outcome.ABORTED;
                }
                tell("c " + nowUs() + " " + transaction);
                producer.commitTransaction();
                say("C " + nowUs() + " " + transaction);
                return Outcome.COMMITTED;
            } catch (ProducerFencedException | InvalidProducerEpochException fenced) {
                isFenced = true;
                giveUp(producer, fenced);
                return Outcome.LOST;
            } catch (RuntimeException failed) {
                return afterFailure(transaction, failed);
            }
        }

        /** Kafka's producer refuses to abort what may be committed. */
        private Outcome afterFailure(String transaction, RuntimeException failed) {
            try {
                producer.abortTransaction();
                say("A " + nowUs() + " " + transaction);
                return Outcome.ABORTED;
            } catch (RuntimeException refused) {
                isFenced = refused instanceof ProducerFencedException;
                giveUp(producer, failed);
                return Outcome.LOST;
            }
        }

        private void giveUp(KafkaProducer<String, String> given, Exception why) {
            tell("f " + nowUs() + " " + name + " " + life + " " + why.getClass().getSimpleName());
            given.close(Duration.ZERO);
            producer = null;
        }

        final void send(String transaction, int index, TopicPartition to) {
            String value = transaction + " " + index + " " + FILLER.substring(0, random.nextInt(300));
            producer.send(new ProducerRecord<>(to.topic(), to.partition(), null, value), (metadata, error) -> {
                if (error != null) return;
                say("s " + nowUs() + " " + transaction + " " + index + " " + to + " " + metadata.offset());
            });
        }
    }

    private static final class Writer extends Transactor {
        Writer(String name, Random random) {
            super(name, random);
        }

        @Override
        public void run() throws InterruptedException {
            for (; !stopping && isReady(); Thread.sleep(pauseMs)) {
                String transaction = next();
                List<TopicPartition> to = new ArrayList<>();
                for (int i = random.nextInt(4); i >= 0; i--) {
                    to.add(new TopicPartition(topic("in"), random.nextInt(partitions)));
                }
                for (int i = 0; i < to.size(); i++) say("w " + nowUs() + " " + transaction + " " + i + " " + to.get(i));
                out.flush();
                transact(transaction, (of) -> {
                    for (int i = 0; i < to.size(); i++) send(of, i, to.get(i));
                });
            }
            if (producer != null) producer.close();
        }
    }

    private static KafkaConsumer<String, String> consumer(String group, Map<String, Object> more) {
        Map<String, Object> config = common();
        config.putAll(Map.of("group.id", topic(group), "isolation.level", "read_committed", "auto.offset.reset", "earliest",
                "enable.auto.commit", "false", "fetch.max.wait.ms", "100", "default.api.timeout.ms", "10000"));
        config.putAll(more);
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    /** Members of a group that make one record of each. What a transaction that was not committed has read is read again. */
    private static final class Transformer extends Transactor {
        private static final String GROUP = FAMILY + "-transform";
        private KafkaConsumer<String, String> consumer;
        private String instance;
        private int consumers;
        private long polls;

        Transformer(String name, Random random) {
            super(name, random);
        }

        @Override
        public void run() throws InterruptedException {
            while (!finishing && isReady()) {
                try {
                    if (consumer == null) subscribe();
                    ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
                    polls++;
                    records.forEach((record) -> polled(instance, polls, record));
                    if (!records.isEmpty() && transform(records) != Outcome.COMMITTED) goBack();
                } catch (KafkaException failed) {
                    consumer.close(Duration.ofSeconds(1));
                    consumer = null;
                }
            }
            if (consumer != null) consumer.close(Duration.ofSeconds(5));
            if (producer != null) producer.close();
        }

        private void subscribe() {
            instance = GROUP + ":" + name() + "." + processLife + "." + consumers++;
            consumer = consumer(GROUP, Map.of("session.timeout.ms", "6000", "heartbeat.interval.ms", "500",
                    "max.poll.records", "40"));
            consumer.subscribe(List.of(topic("in")), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
                    for (TopicPartition each : assigned) {
                        long atUs = nowUs();
                        positioned(instance, atUs, each, consumer.position(each, Duration.ofMinutes(1)));
                    }
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> revoked) {}
            });
        }

        private Outcome transform(ConsumerRecords<String, String> records) {
            String transaction = next();
            List<TopicPartition> to = new ArrayList<>();
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            for (ConsumerRecord<String, String> record : records) {
                TopicPartition from = new TopicPartition(record.topic(), record.partition());
                offsets.put(from, new OffsetAndMetadata(record.offset() + 1));
                to.add(new TopicPartition(topic("out"), record.partition()));
                say("w " + nowUs() + " " + transaction + " " + (to.size() - 1) + " " + to.get(to.size() - 1) + " " + GROUP
                        + " " + from + " " + record.offset());
            }
            offsets.forEach((from, offset) -> say("o " + nowUs() + " " + transaction + " " + GROUP + " " + from + " "
                    + offset.offset()));
            out.flush();
            return transact(transaction, (of) -> {
                for (int i = 0; i < to.size(); i++) send(of, i, to.get(i));
                producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
            });
        }

        /** To what the group has committed: where the transaction's end is open, a new instance has settled it. */
        private void goBack() throws InterruptedException {
            if (!isReady()) return;
            Set<TopicPartition> assigned = consumer.assignment();
            long atUs = nowUs();
            Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(assigned);
            for (TopicPartition each : assigned) {
                OffsetAndMetadata offset = committed.get(each);
                long next = offset == null ? 0 : offset.offset();
                consumer.seek(each, next);
                positioned(instance, atUs, each, next);
            }
        }
    }

    /** Reads all partitions, goes on at its last commit. */
    private static final class Reader implements Task {
        private static final String GROUP = FAMILY + "-reader";

        @Override
        public String name() {
            return GROUP;
        }

        @Override
        public void run() throws InterruptedException {
            int tries = 0;
            while (!finishing) {
                String instance = GROUP + ":" + processLife + "." + tries++;
                try (KafkaConsumer<String, String> consumer = consumer(GROUP, Map.of())) {
                    read(consumer, instance);
                } catch (KafkaException failed) {
                    Thread.sleep(100);
                }
            }
        }

        private void read(KafkaConsumer<String, String> consumer, String instance) {
            List<TopicPartition> all = new ArrayList<>();
            for (int partition = 0; partition < partitions; partition++) {
                all.add(new TopicPartition(topic("in"), partition));
                all.add(new TopicPartition(topic("out"), partition));
            }
            consumer.assign(all);
            for (TopicPartition each : all) positioned(instance, nowUs(), each, consumer.position(each));
            long committedMs = 0;
            for (long poll = 1; !finishing; poll++) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                    polled(instance, poll, record);
                }
                if (System.currentTimeMillis() - committedMs < COMMIT_EVERY_MS) continue;
                out.flush();
                consumer.commitSync();
                committedMs = System.currentTimeMillis();
            }
        }
    }

    private static void positioned(String consumer, long atUs, TopicPartition partition, long offset) {
        say("p " + atUs + " " + consumer + " " + partition + " " + offset);
    }

    private static void polled(String consumer, long poll, ConsumerRecord<String, String> record) {
        String[] words = record.value().split(" ", 3);
        say("r " + nowUs() + " " + consumer + " " + poll + " " + record.topic() + "-" + record.partition() + " "
                + record.offset() + " " + words[0] + " " + words[1]);
    }
}
