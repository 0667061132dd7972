import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Speaks the API of 0.9, so that it runs against any client since. `produce bootstrap count topic=codec...` sends records
 * `key i`, `value i ...` to each topic; `consume bootstrap group count topic...` reads that many from all of them as a group.
 * Each record is a line: topic, offset, key, value, timestamp (none in 0.9), with tabs between.
 */
public final class OldClient {
    private static final long PATIENCE_MS = 60_000;

    public static void main(String[] args) throws Exception {
        List<String> rest = Arrays.asList(args);
        if (args[0].equals("produce")) produce(args[1], Integer.parseInt(args[2]), rest.subList(3, args.length));
        else consume(args[1], args[2], Integer.parseInt(args[3]), rest.subList(4, args.length));
    }

    private static void produce(String bootstrap, int count, List<String> topics) throws Exception {
        for (String each : topics) {
            String[] parts = each.split("=");
            Map<String, Object> settings = new HashMap<>();
            settings.put("bootstrap.servers", bootstrap);
            settings.put("acks", "all");
            settings.put("linger.ms", "20");
            settings.put("compression.type", parts[1]);
            KafkaProducer<String, String> producer =
                new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                sent.add(producer.send(new ProducerRecord<>(parts[0], "key " + i, value(i))));
            }
            for (int i = 0; i < count; i++) print(parts[0], sent.get(i).get().offset(), "key " + i, value(i), "");
            producer.close();
        }
    }

    private static String value(int i) {
        StringBuilder value = new StringBuilder("value " + i);
        for (int n = 0; n < i % 50; n++) value.append(" of the spool");
        return value.toString();
    }

    private static void consume(String bootstrap, String group, int count, List<String> topics) throws Exception {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("group.id", group);
        settings.put("auto.offset.reset", "earliest");
        KafkaConsumer<String, String> consumer =
            new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(topics);
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        for (int read = 0; read < count && System.currentTimeMillis() < deadline;) {
            for (ConsumerRecord<String, String> record : consumer.poll(200)) {
                print(record.topic(), record.offset(), record.key(), record.value(), timestampOf(record));
                read++;
            }
        }
        consumer.close();
    }

    /** Not in the API of 0.9. */
    private static Object timestampOf(ConsumerRecord<String, String> record) throws Exception {
        try {
            return record.getClass().getMethod("timestamp").invoke(record);
        } catch (NoSuchMethodException none) {
            return "";
        }
    }

    private static void print(Object... fields) throws Exception {
        StringBuilder line = new StringBuilder();
        for (Object field : fields) line.append(line.length() == 0 ? "" : "\t").append(field);
        System.out.write((line + "\n").getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }
}
