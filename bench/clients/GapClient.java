import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Properties;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * A producer that knows how long each partition went without an acknowledgement.
 *
 * <pre>GapClient topic=NAME partitions=N interval.ms=N name=value...</pre>
 *
 * One record goes to every partition each interval; every other name=value is the producer's configuration. On standard
 * input it takes commands, a line each: `mark` forgets the gaps so far; `read` prints one line of JSON: per partition
 * the longest time between two acknowledgements since the mark, the time since the last one, and the records acknowledged
 * since the mark; and how many records have failed, ever; `pause` sends nothing more until `resume`, and what was not
 * sent makes no gap. It ends with its standard input.
 */
public final class GapClient {
    private static final class Partition {
        long lastNs = System.nanoTime();
        long longestNs;
        long acknowledged;
    }

    private static final byte[] VALUE = new byte[100];
    private static Partition[] partitions;
    private static long failed;
    private static String lastError = "";
    private static volatile boolean isPaused;

    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        for (String arg : args) properties.put(arg.substring(0, arg.indexOf('=')), arg.substring(arg.indexOf('=') + 1));
        String topic = (String) properties.remove("topic");
        partitions = new Partition[Integer.parseInt((String) properties.remove("partitions"))];
        for (int i = 0; i < partitions.length; i++) partitions[i] = new Partition();
        long intervalNs = Long.parseLong((String) properties.remove("interval.ms")) * 1_000_000;
        Thread commands = new Thread(GapClient::obey);
        commands.start();
        KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
        for (long nextNs = System.nanoTime(); commands.isAlive(); nextNs += intervalNs) {
            for (int partition = 0; partition < partitions.length && !isPaused; partition++) {
                int sentTo = partition;
                producer.send(
                        new ProducerRecord<>(topic, partition, null, VALUE), (metadata, error) -> answered(sentTo, error));
            }
            long leftNs = nextNs + intervalNs - System.nanoTime();
            if (leftNs > 0) LockSupport.parkNanos(leftNs);
        }
        // What is still on its way is nobody's figure.
        Runtime.getRuntime().halt(failed == 0 ? 0 : 1);
    }

    private static synchronized void answered(int index, Exception error) {
        if (error != null) {
            failed++;
            lastError = error.toString();
            return;
        }
        Partition partition = partitions[index];
        long nowNs = System.nanoTime();
        partition.longestNs = Math.max(partition.longestNs, nowNs - partition.lastNs);
        partition.lastNs = nowNs;
        partition.acknowledged++;
    }

    private static void obey() {
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(System.in))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (line.equals("mark")) mark();
                else if (line.equals("pause")) isPaused = true;
                else if (line.equals("resume")) resume();
                else System.out.println(gaps());
            }
        } catch (java.io.IOException closed) {
            // Nobody commands any more.
        }
    }

    private static synchronized void mark() {
        for (Partition partition : partitions) partition.longestNs = partition.acknowledged = 0;
    }

    private static synchronized void resume() {
        for (Partition partition : partitions) partition.lastNs = System.nanoTime();
        isPaused = false;
    }

    private static synchronized String gaps() {
        StringBuilder json = new StringBuilder("{\"failed\":" + failed);
        json.append(",\"lastError\":\"").append(lastError.replaceAll("[\"\\\\\\n]", " ")).append("\",\"partitions\":[");
        long nowNs = System.nanoTime();
        for (int i = 0; i < partitions.length; i++) {
            Partition partition = partitions[i];
            if (i > 0) json.append(',');
            json.append("{\"longestMs\":").append(partition.longestNs / 1e6);
            json.append(",\"openMs\":").append((nowNs - partition.lastNs) / 1e6);
            json.append(",\"acknowledged\":").append(partition.acknowledged).append('}');
        }
        return json.append("]}").toString();
    }
}
