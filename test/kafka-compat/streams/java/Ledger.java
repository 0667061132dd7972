import java.util.Set;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorSupplier;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * Orders "ACCOUNT BRANCH AMOUNT", keyed by a number of their own, become entries of their account, "NUMBER ENTRY BALANCE":
 * ENTRY counts the account's entries from 1, BALANCE is the sum of them. What every branch has sold is a table of its own.
 * Twice or never, a record would show in every number after it.
 */
final class Ledger {
    private static final Serde<String> TEXT = Serdes.String();

    private Ledger() {}

    static Topology topology(String prefix) {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> orders = builder
            .stream(prefix + "orders", Consumed.with(TEXT, TEXT))
            .map((number, order) -> KeyValue.pair(order.split(" ")[0], number + " " + order));
        KStream<String, String> ofAccounts =
            orders.repartition(Repartitioned.with(TEXT, TEXT).withName("accounts"));
        ofAccounts.processValues(new Accounts()).to(prefix + "entries", Produced.with(TEXT, TEXT));
        ofAccounts
            .groupBy((account, order) -> order.split(" ")[2], Grouped.with("branches", TEXT, TEXT))
            .aggregate(
                () -> 0L,
                (branch, order, sold) -> sold + Long.parseLong(order.split(" ")[3]),
                Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("branches"))
                    .withKeySerde(TEXT).withValueSerde(Serdes.Long()))
            .toStream()
            .mapValues(String::valueOf)
            .to(prefix + "branches", Produced.with(TEXT, TEXT));
        return builder.build();
    }

    /** Brings its store, whose changelog carries it from one instance to the next. */
    private static final class Accounts implements FixedKeyProcessorSupplier<String, String, String> {
        @Override
        public Set<StoreBuilder<?>> stores() {
            return Set.of(Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("accounts"), TEXT, TEXT));
        }

        @Override
        public FixedKeyProcessor<String, String, String> get() {
            return new Account();
        }
    }

    private static final class Account implements FixedKeyProcessor<String, String, String> {
        private FixedKeyProcessorContext<String, String> context;
        private KeyValueStore<String, String> accounts;

        @Override
        public void init(FixedKeyProcessorContext<String, String> context) {
            this.context = context;
            accounts = context.getStateStore("accounts");
        }

        @Override
        public void process(FixedKeyRecord<String, String> order) {
            String[] fields = order.value().split(" ");
            String before = accounts.get(order.key());
            String[] last = (before == null ? "0 0" : before).split(" ");
            long entry = Long.parseLong(last[0]) + 1;
            long balance = Long.parseLong(last[1]) + Long.parseLong(fields[3]);
            accounts.put(order.key(), entry + " " + balance);
            context.forward(order.withValue(fields[0] + " " + entry + " " + balance));
        }
    }
}
