import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Members of groups, each a consumer in a thread of its own, that come and go by command: "start NAME GROUP TOPIC
 * SETTING=VALUE...", "close NAME". What they see goes to standard output in lines; groups/history.ts says which.
 * The end of standard input ends the process, as it stands.
 */
public final class ChurnMembers {
    private static final int COMMIT_EVERY_MS = 300;
    private static final int FLUSH_EVERY_MS = 20;
    private static final PrintStream out =
            new PrintStream(new java.io.BufferedOutputStream(System.out, 1 << 16), false, StandardCharsets.UTF_8);

    public static void main(String[] args) throws Exception {
        Map<String, Member> members = new ConcurrentHashMap<>();
        Thread flusher = new Thread(ChurnMembers::flushForEver, "flusher");
        flusher.setDaemon(true);
        flusher.start();
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String[] words = line.split(" ");
            if (words[0].equals("close")) members.remove(words[1]).running = false;
            else members.computeIfAbsent(words[1], name -> new Member(name, args[0], words)).start();
        }
        Runtime.getRuntime().halt(0);
    }

    private static void flushForEver() {
        try {
            for (; ; Thread.sleep(FLUSH_EVERY_MS)) out.flush();
        } catch (InterruptedException ended) {
            Thread.currentThread().interrupt();
        }
    }

    private static String indexes(Collection<TopicPartition> partitions) {
        return partitions.stream().map(each -> String.valueOf(each.partition())).collect(Collectors.joining(","));
    }

    private static final class Member extends Thread implements ConsumerRebalanceListener {
        private final String topic;
        private final Map<String, Object> settings;
        /** Hundreds of members that look all the time would leave no time for anything else. */
        private final Duration pollTime;
        private final Map<TopicPartition, Long> read = new HashMap<>();
        private KafkaConsumer<String, String> consumer;
        private long committedMs;
        volatile boolean running = true;

        Member(String name, String bootstrap, String[] words) {
            super(name);
            setDaemon(true);
            topic = words[3];
            settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "group.id", words[2], "client.id", name,
                    "auto.offset.reset", "earliest", "enable.auto.commit", "false", "metadata.max.age.ms", "5000",
                    "request.timeout.ms", "10000", "retry.backoff.ms", "50", "reconnect.backoff.ms", "50",
                    "reconnect.backoff.max.ms", "500"));
            settings.putAll(Map.of("receive.buffer.bytes", "16384", "fetch.max.bytes", "65536",
                    "max.partition.fetch.bytes", "16384", "check.crcs", "true"));
            for (int i = 4; i < words.length; i++) {
                int at = words[i].indexOf('=');
                settings.put(words[i].substring(0, at), words[i].substring(at + 1));
            }
            pollTime = Duration.ofMillis(Long.parseLong((String) settings.get("fetch.max.wait.ms")) / 2);
        }

        @Override
        public void run() {
            try {
                consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
                consumer.subscribe(List.of(topic), this);
                while (running) {
                    for (ConsumerRecord<String, String> record : consumer.poll(pollTime)) {
                        say("r " + record.partition() + " " + record.offset() + " " + record.value());
                        read.put(new TopicPartition(topic, record.partition()), record.offset() + 1);
                    }
                    if (System.currentTimeMillis() - committedMs >= COMMIT_EVERY_MS) commit();
                }
                consumer.close();
                say("x");
            } catch (Throwable failure) {
                say("f " + failure.toString().replace('\n', ' '));
            }
        }

        /** A commit that fails is not told; what was read stays read. */
        private void commit() {
            committedMs = System.currentTimeMillis();
            if (read.isEmpty()) return;
            // What is committed has been told as read, whatever becomes of this process.
            synchronized (out) {
                out.flush();
            }
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            read.forEach((partition, offset) -> offsets.put(partition, new OffsetAndMetadata(offset)));
            try {
                consumer.commitSync(offsets, Duration.ofSeconds(5));
            } catch (KafkaException failed) {
                return;
            }
            String committed = read.entrySet().stream()
                    .map(each -> each.getKey().partition() + ":" + each.getValue())
                    .collect(Collectors.joining(","));
            say("c " + committed);
            read.clear();
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> added) {
            say("a " + consumer.groupMetadata().generationId() + " " + indexes(consumer.assignment()));
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
            commit();
            read.keySet().removeAll(revoked);
            say("v " + indexes(revoked));
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> lost) {
            read.keySet().removeAll(lost);
            say("l " + indexes(lost));
        }

        private void say(String what) {
            String line = System.currentTimeMillis() + " " + getName() + " " + what + "\n";
            synchronized (out) {
                out.print(line);
            }
        }
    }
}
