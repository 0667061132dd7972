import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A transactional producer, and a consumer that reads what is committed. The first argument says what to do: "write BOOTSTRAP
 * TOPIC ID COUNT" commits and aborts in turns, "open BOOTSTRAP TOPIC ID" leaves a transaction open, "fence BOOTSTRAP TOPIC ID" has
 * a second producer fence the first, "read BOOTSTRAP TOPIC COUNT" prints the values of so many committed records.
 */
public final class Transactions {
    public static void main(String[] args) {
        switch (args[0]) {
            case "write" -> write(args[1], args[2], args[3], Integer.parseInt(args[4]));
            case "open" -> open(args[1], args[2], args[3]);
            case "fence" -> fence(args[1], args[2], args[3]);
            case "read" -> read(args[1], args[2], Integer.parseInt(args[3]));
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static KafkaProducer<String, String> producer(String bootstrap, String id) {
        Properties settings = new Properties();
        settings.putAll(Map.of("bootstrap.servers", bootstrap, "transactional.id", id));
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
