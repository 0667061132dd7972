import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Transactions one after the other, by one or several producers.
 *
 * <p>It takes commands on standard input, a line each:
 *
 * <pre>BOOTSTRAP TOPIC PARTITIONS RECORDS PRODUCERS WARM-UP-MS MEASURE-MS TRANSACTIONAL-ID</pre>
 *
 * and answers each with a line of JSON: transactions begun and committed in the measured time, per second, and the milliseconds from
 * beginTransaction to the return of commitTransaction. All producers of a command are new; the JVM, and its compiled code, stay.
 */
public final class TransactionLoad {
    private static final byte[] VALUE = new byte[100];

    private record Load(
            String bootstrap, String topic, int partitions, int records, int producers, long warmUpMs, long measureMs, String id) {}

    public static void main(String[] args) throws Exception {
        Arrays.fill(VALUE, (byte) 'x');
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ");
            int[] numbers = new int[words.length];
            for (int i = 2; i < 7; i++) numbers[i] = Integer.parseInt(words[i]);
            System.out.println(run(new Load(
                    words[0], words[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], words[7])));
        }
    }

    private static String run(Load load) throws Exception {
        AtomicReference<Throwable> failure = new AtomicReference<>();
        List<long[]> latencies = new ArrayList<>();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < load.producers; i++) {
            int producer = i;
            threads.add(new Thread(() -> {
                try {
                    long[] own = produce(load, producer);
                    synchronized (latencies) {
                        latencies.add(own);
                    }
                } catch (Throwable error) {
                    failure.set(error);
                }
            }));
        }
        for (Thread thread : threads) thread.start();
        for (Thread thread : threads) thread.join();
        if (failure.get() != null) throw new IllegalStateException(failure.get());
        long[] all = latencies.stream().flatMapToLong(Arrays::stream).sorted().toArray();
        double perSecond = all.length / (load.measureMs / 1000.0);
        return "{\"perSecond\":" + perSecond + ",\"p50\":" + quantile(all, 0.5) + ",\"p99\":" + quantile(all, 0.99) + "}";
    }

    /** Nanoseconds of each transaction that began in the measured time. */
    private static long[] produce(Load load, int producer) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", load.bootstrap);
        properties.put("transactional.id", load.id + "-" + producer);
        properties.put("linger.ms", "0");
        long[] latencies = new long[1 << 20];
        int count = 0;
        try (KafkaProducer<byte[], byte[]> client =
                new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            client.initTransactions();
            long fromNs = System.nanoTime() + load.warmUpMs * 1_000_000;
            long untilNs = fromNs + load.measureMs * 1_000_000;
            int partition = producer;
            for (long nowNs = System.nanoTime(); nowNs < untilNs && count < latencies.length; ) {
                client.beginTransaction();
                for (int i = 0; i < load.records; i++)
                    client.send(new ProducerRecord<>(load.topic, partition++ % load.partitions, null, VALUE));
                client.commitTransaction();
                long endNs = System.nanoTime();
                if (nowNs >= fromNs) latencies[count++] = endNs - nowNs;
                nowNs = endNs;
            }
        }
        return Arrays.copyOf(latencies, count);
    }

    /** Milliseconds. */
    private static double quantile(long[] sorted, double fraction) {
        return sorted.length == 0 ? -1 : sorted[(int) ((sorted.length - 1) * fraction)] / 1e6;
    }
}
