import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A transactional producer, and a consumer that reads what is committed. The first argument says what to do: "write BOOTSTRAP
 * TOPIC ID COUNT" commits and aborts in turns, "open BOOTSTRAP TOPIC ID" leaves a transaction open, "fence BOOTSTRAP TOPIC ID" has
 * a second producer fence the first, "read BOOTSTRAP TOPIC COUNT" prints the values of so many committed records, "copy BOOTSTRAP
 * FROM TO ID GROUP" copies what is in a topic, ten records a transaction with the group's offsets, and aborts each second one before it
 * copies the same once more; "late BOOTSTRAP TOPIC ID" is overtaken by the clock, aborts, and goes on.
 */
public final class Transactions {
    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "write" -> write(args[1], args[2], args[3], Integer.parseInt(args[4]));
            case "open" -> open(args[1], args[2], args[3]);
            case "fence" -> fence(args[1], args[2], args[3]);
            case "copy" -> copy(args[1], args[2], args[3], args[4], args[5]);
            case "late" -> late(args[1], args[2], args[3]);
            case "read" -> read(args[1], args[2], Integer.parseInt(args[3]));
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static KafkaProducer<String, String> producer(String bootstrap, String id) {
        return producer(bootstrap, id, 60_000);
    }

    private static KafkaProducer<String, String> producer(String bootstrap, String id, int timeoutMs) {
        Properties settings = new Properties();
        settings.putAll(Map.of("bootstrap.servers", bootstrap, "transactional.id", id));
        settings.put("transaction.timeout.ms", timeoutMs);
        KafkaProducer<String, String> producer =
            new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        return producer;
    }

    private static void write(String bootstrap, String topic, String id, int count) {
        try (KafkaProducer<String, String> producer = producer(bootstrap, id)) {
            for (int i = 0; i < count; i++) {
                boolean aborts = i % 3 == 2;
                producer.beginTransaction();
                for (int j = 0; j < 5; j++) {
                    producer.send(new ProducerRecord<>(topic, (aborts ? "aborted " : "committed ") + i + "." + j));
                }
                if (aborts) {
                    producer.flush();
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                }
            }
        }
        System.out.println("written");
    }

    /** Neither ended nor closed. */
    private static void open(String bootstrap, String topic, String id) {
        KafkaProducer<String, String> producer = producer(bootstrap, id);
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(topic, "open"));
        producer.flush();
        System.out.println("open");
    }

    private static void fence(String bootstrap, String topic, String id) {
        try (KafkaProducer<String, String> first = producer(bootstrap, id)) {
            first.beginTransaction();
            first.send(new ProducerRecord<>(topic, "of a zombie"));
            first.flush();
            try (KafkaProducer<String, String> second = producer(bootstrap, id)) {
                second.beginTransaction();
                second.send(new ProducerRecord<>(topic, "of the second"));
                second.commitTransaction();
            }
            first.commitTransaction();
            System.out.println("not fenced");
        } catch (ProducerFencedException e) {
            System.out.println("fenced");
        }
    }

    private static void copy(String bootstrap, String from, String to, String id, String group) {
        Properties settings = new Properties();
        settings.putAll(Map.of("bootstrap.servers", bootstrap, "isolation.level", "read_committed", "group.id", group,
            "auto.offset.reset", "earliest", "enable.auto.commit", "false", "max.poll.records", "10"));
        int transactions = 0;
        int copied = 0;
        try (KafkaProducer<String, String> producer = producer(bootstrap, id);
                KafkaConsumer<String, String> consumer =
                    new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(from));
            for (int idle = 0; copied == 0 || idle < 3;) {
                var records = consumer.poll(Duration.ofMillis(500));
                if (records.isEmpty()) {
                    idle++;
                    continue;
                }
                producer.beginTransaction();
                records.forEach(record -> producer.send(new ProducerRecord<>(to, record.key(), record.value())));
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                for (var record : records) {
                    offsets.put(new TopicPartition(record.topic(), record.partition()),
                        new OffsetAndMetadata(record.offset() + 1));
                }
                producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
                if (transactions++ % 2 == 0) {
                    producer.abortTransaction();
                    consumer.committed(consumer.assignment()).forEach((partition, offset) ->
                        consumer.seek(partition, offset == null ? 0 : offset.offset()));
                } else {
                    producer.commitTransaction();
                    copied += records.count();
                }
            }
        }
        System.out.println(copied + " copied in " + transactions);
    }

    private static void late(String bootstrap, String topic, String id) throws Exception {
        try (KafkaProducer<String, String> producer = producer(bootstrap, id, 500);
                Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", bootstrap))) {
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "too late"));
            producer.flush();
            while (admin.describeTransactions(List.of(id)).description(id).get().state() != TransactionState.COMPLETE_ABORT) {
                Thread.sleep(100);
            }
            String told = "nothing";
            try {
                producer.send(new ProducerRecord<>(topic, "much too late")).get();
            } catch (ExecutionException e) {
                told = e.getCause().getClass().getSimpleName();
            }
            producer.abortTransaction();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "in time"));
            producer.commitTransaction();
            System.out.println(told);
        }
    }

    private static void read(String bootstrap, String topic, int count) {
        Properties settings = new Properties();
        settings.putAll(Map.of("bootstrap.servers", bootstrap, "isolation.level", "read_committed"));
        try (KafkaConsumer<String, String> consumer =
                new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(topic, info.partition()))
                .collect(Collectors.toList());
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            for (int seen = 0; seen < count;) {
                for (var record : consumer.poll(Duration.ofMillis(500))) {
                    System.out.println(record.value());
                    seen++;
                }
            }
        }
    }
}
