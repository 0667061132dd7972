import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupCurrentMemberAssignmentKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupCurrentMemberAssignmentValue;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupMemberMetadataKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupMemberMetadataValue;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupMetadataKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupMetadataValue;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupPartitionMetadataKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupPartitionMetadataValue;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupRegularExpressionKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupRegularExpressionValue;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupTargetAssignmentMemberKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupTargetAssignmentMemberValue;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupTargetAssignmentMetadataKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupTargetAssignmentMetadataValue;
import org.apache.kafka.coordinator.transaction.generated.TransactionLogValue;

/** Writes what Kafka 4.1's classes make of consumer groups (KIP-848), and of transactions (KIP-890). Run by generate.sh. */
public class Generate {
    /** A key is written with the number of its kind where others have their version. */
    static final Object[][] RECORDS = {
        {3, new ConsumerGroupMetadataKey(), new ConsumerGroupMetadataValue()},
        {4, new ConsumerGroupPartitionMetadataKey(), new ConsumerGroupPartitionMetadataValue()},
        {5, new ConsumerGroupMemberMetadataKey(), new ConsumerGroupMemberMetadataValue()},
        {6, new ConsumerGroupTargetAssignmentMetadataKey(), new ConsumerGroupTargetAssignmentMetadataValue()},
        {7, new ConsumerGroupTargetAssignmentMemberKey(), new ConsumerGroupTargetAssignmentMemberValue()},
        {8, new ConsumerGroupCurrentMemberAssignmentKey(), new ConsumerGroupCurrentMemberAssignmentValue()},
        {16, new ConsumerGroupRegularExpressionKey(), new ConsumerGroupRegularExpressionValue()},
    };

    public static void main(String[] args) throws Exception {
        Path directory = Path.of(args[0]);
        for (String spec : Arrays.copyOfRange(args, 1, args.length)) {
            String[] parts = spec.split("[:-]");
            String suffix = parts[1].equals("0") ? "" : "-4.1";
            Golden.writeApi(directory, Short.parseShort(parts[0]), Short.parseShort(parts[1]), Short.parseShort(parts[2]), suffix);
        }
        Golden.writeJson(directory.resolve("consumer-group-records.json"), records());
        Golden.writeJson(directory.resolve("consumer-assignments.json"), Assignments.all());
        Golden.writeJson(directory.resolve("transaction-records-4.1.json"), ofTransactions());
        Golden.writeJson(directory.resolve("metadata-hashes.json"), MetadataHashes.all());
    }

    /** Version 1, whose tagged fields came with KIP-890. */
    static List<Object> ofTransactions() throws Exception {
        List<Object> records = new ArrayList<>();
        Golden.CoordinatorRecords.add(records, "value", new TransactionLogValue(), (short) 1);
        return records;
    }

    static List<Object> records() throws Exception {
        List<Object> records = new ArrayList<>();
        for (Object[] kind : RECORDS) {
            int number = (Integer) kind[0];
            Golden.CoordinatorRecords.addKey(records, number, (Message) kind[1]);
            Golden.CoordinatorRecords.add(records, "value", (Message) kind[2], (short) 0);
        }
        return records;
    }
}
