import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/**
 * One instance of a Kafka Streams application: "word-count NAME=VALUE..." or "ledger NAME=VALUE...", the rest being its
 * configuration. The names of its topics begin with its application.id. It prints a line for each change of its state, with
 * the tasks it has, and leaves its group on SIGTERM. A thread whose exception is not one that Kafka Streams handles itself is
 * replaced, as applications do.
 */
public final class StreamsApp {
    public static void main(String[] args) throws InterruptedException {
        Properties settings = new Properties();
        for (int i = 1; i < args.length; i++) {
            int equals = args[i].indexOf('=');
            settings.put(args[i].substring(0, equals), args[i].substring(equals + 1));
        }
        String prefix = settings.getProperty("application.id") + "-";
        Topology topology = switch (args[0]) {
            case "word-count" -> WordCount.topology(prefix);
            case "ledger" -> Ledger.topology(prefix);
            default -> throw new IllegalArgumentException(args[0]);
        };
        KafkaStreams streams = new KafkaStreams(topology, settings);
        streams.setStateListener((now, before) -> say("state " + now + tasks(streams)));
        streams.setUncaughtExceptionHandler(error -> {
            say("exception " + error);
            error.printStackTrace();
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        CountDownLatch closed = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(new KafkaStreams.CloseOptions().leaveGroup(true));
            say("closed");
            closed.countDown();
        }));
        streams.start();
        closed.await();
    }

    /** The tasks that this instance has, each behind a space. */
    private static String tasks(KafkaStreams streams) {
        return streams.metadataForLocalThreads().stream()
            .flatMap(thread -> thread.activeTasks().stream())
            .map(task -> " " + task.taskId())
            .collect(Collectors.joining());
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
