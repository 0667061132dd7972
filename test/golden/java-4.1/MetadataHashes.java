import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.metadata.PartitionRecord;
import org.apache.kafka.common.metadata.RegisterBrokerRecord;
import org.apache.kafka.common.metadata.TopicRecord;
import org.apache.kafka.coordinator.group.Utils;
import org.apache.kafka.image.MetadataDelta;
import org.apache.kafka.image.MetadataImage;
import org.apache.kafka.image.MetadataProvenance;

/** The hashes that tell a consumer group that its topics have changed, as Kafka computes them. */
class MetadataHashes {
    /** Of brokers 0, 1, 2, ...; "-": none. */
    static final String[] RACKS = {"-", "-", "rack-a", "rack-b", "žluťoučký-🐎", "-"};

    static List<Object> all() {
        List<Object> cases = new ArrayList<>();
        String[] names = {"t", "orders", "a-topic-with-quite-a-long-name-that-fills-more-than-one-stripe.of.the.hash", "x".repeat(249)};
        int[] sizes = {1, 2, 3, 7, 12, 31, 33, 60, 100, 256, 300, 1000};
        Map<String, Long> hashes = new HashMap<>();
        int n = 0;
        for (String name : names) {
            for (int partitions : sizes) {
                n++;
                Uuid id = new Uuid(n * 0x0123456789abcdefL, ~n * 0x1fffffffffffL);
                String topic = name.length() > 200 ? name.substring(0, 249 - n % 50) : name + n;
                List<List<Integer>> replicas = new ArrayList<>();
                for (int i = 0; i < partitions; i++) {
                    replicas.add(n % 2 == 0 ? Arrays.asList(i % 6, (i + 1) % 6, (i + 4) % 6) : Arrays.asList(i % 2));
                }
                long hash = Utils.computeTopicHash(topic, image(topic, id, replicas));
                hashes.put(topic, hash);
                Map<String, Object> row = new LinkedHashMap<>();
                row.put("topic", topic);
                row.put("topicId", id.toString());
                row.put("partitions", partitions);
                row.put("replicas", n % 2 == 0 ? 3 : 1);
                row.put("hash", String.format("%016x", hash));
                row.put("group", String.format("%016x", Utils.computeGroupHash(hashes)));
                cases.add(row);
            }
        }
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("racks", Arrays.asList(RACKS));
        all.put("topics", cases);
        return List.of(all);
    }

    static MetadataImage image(String topic, Uuid id, List<List<Integer>> replicas) {
        MetadataDelta delta = new MetadataDelta(MetadataImage.EMPTY);
        for (int broker = 0; broker < RACKS.length; broker++) {
            delta.replay(new RegisterBrokerRecord().setBrokerId(broker).setRack(RACKS[broker].equals("-") ? null : RACKS[broker]));
        }
        delta.replay(new TopicRecord().setName(topic).setTopicId(id));
        for (int i = 0; i < replicas.size(); i++) {
            List<Integer> who = replicas.get(i);
            delta.replay(new PartitionRecord().setTopicId(id).setPartitionId(i).setReplicas(who).setIsr(who).setLeader(who.get(0)));
        }
        return delta.apply(MetadataProvenance.EMPTY);
    }
}
