import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.coordinator.group.generated.GroupMetadataKey;
import org.apache.kafka.coordinator.group.generated.GroupMetadataValue;
import org.apache.kafka.coordinator.group.generated.OffsetCommitKey;
import org.apache.kafka.coordinator.group.generated.OffsetCommitValue;
import org.apache.kafka.coordinator.transaction.generated.TransactionLogKey;
import org.apache.kafka.coordinator.transaction.generated.TransactionLogValue;

/** Writes what Kafka 3.9's classes make. Run by generate.sh. */
public class Generate {
    public static void main(String[] args) throws Exception {
        Path directory = Path.of(args[0]);
        for (String spec : Arrays.copyOfRange(args, 1, args.length)) {
            String[] parts = spec.split("[:-]");
            Golden.writeApi(directory, Short.parseShort(parts[0]), Short.parseShort(parts[1]), Short.parseShort(parts[2]));
        }
        Golden.writeJson(directory.resolve("record-batches.json"), Golden.Batches.all());
        Golden.writeJson(directory.resolve("message-sets.json"), MessageSets.built());
        Golden.writeJson(directory.resolve("message-sets-down.json"), MessageSets.convertedDown());
        Golden.writeJson(directory.resolve("group-records.json"), ofGroups());
        Golden.writeJson(directory.resolve("transaction-records.json"), ofTransactions());
        Golden.writeJson(directory.resolve("replica-assignments.json"), ReplicaAssignments.all());
    }

    static List<Object> ofTransactions() throws Exception {
        List<Object> records = new ArrayList<>();
        for (short version = 0; version <= TransactionLogKey.HIGHEST_SUPPORTED_VERSION; version++) {
            Golden.CoordinatorRecords.add(records, "key", new TransactionLogKey(), version);
        }
        for (short version = 0; version <= TransactionLogValue.HIGHEST_SUPPORTED_VERSION; version++) {
            Golden.CoordinatorRecords.add(records, "value", new TransactionLogValue(), version);
        }
        return records;
    }

    static List<Object> ofGroups() throws Exception {
        List<Object> records = new ArrayList<>();
        for (short version = 0; version <= OffsetCommitKey.HIGHEST_SUPPORTED_VERSION; version++) {
            Golden.CoordinatorRecords.add(records, "key", new OffsetCommitKey(), version);
        }
        for (short version = 0; version <= OffsetCommitValue.HIGHEST_SUPPORTED_VERSION; version++) {
            Golden.CoordinatorRecords.add(records, "value", new OffsetCommitValue(), version);
        }
        for (short version = 2; version <= GroupMetadataKey.HIGHEST_SUPPORTED_VERSION; version++) {
            Golden.CoordinatorRecords.add(records, "key", new GroupMetadataKey(), version);
        }
        for (short version = 0; version <= GroupMetadataValue.HIGHEST_SUPPORTED_VERSION; version++) {
            Golden.CoordinatorRecords.add(records, "value", new GroupMetadataValue(), version);
        }
        return records;
    }
}
