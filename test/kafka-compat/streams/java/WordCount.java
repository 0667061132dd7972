import java.time.Duration;
import java.util.List;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.Stores;

/** The words of lines, counted: of all time, and by the minute. */
final class WordCount {
    private static final Duration MINUTE = Duration.ofMinutes(1);
    private static final Duration HOUR = Duration.ofHours(1);

    private WordCount() {}

    static Topology topology(String prefix) {
        StreamsBuilder builder = new StreamsBuilder();
        KGroupedStream<String, String> words = builder
            .stream(prefix + "lines", Consumed.with(Serdes.String(), Serdes.String()))
            .flatMapValues(line -> List.of(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.with("words", Serdes.String(), Serdes.String()));
        words
            .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts")))
            .toStream()
            .mapValues(String::valueOf)
            .to(prefix + "counts", Produced.with(Serdes.String(), Serdes.String()));
        words
            .windowedBy(TimeWindows.ofSizeAndGrace(MINUTE, HOUR))
            .count(Materialized.<String, Long>as(
                Stores.inMemoryWindowStore("counts-by-minute", HOUR.plus(MINUTE), MINUTE, false)))
            .toStream()
            .map((word, count) -> KeyValue.pair(word.key() + "@" + word.window().start(), String.valueOf(count)))
            .to(prefix + "counts-by-minute", Produced.with(Serdes.String(), Serdes.String()));
        return builder.build();
    }
}
