import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.kafka.admin.AdminUtils;
import org.apache.kafka.admin.BrokerMetadata;

/** Where Kafka's AdminUtils places the replicas of new partitions. */
class ReplicaAssignments {
    /** The rack of each broker, one letter a broker; "-": no broker has one. */
    static final String[] CLUSTERS = {"-", "--", "-----", "a", "ab", "aab", "abc", "accbba", "aaabbc", "abcabcab", "aaaaab", "dcba"};

    static List<Object> all() {
        List<Object> cases = new ArrayList<>();
        for (String cluster : CLUSTERS) {
            List<BrokerMetadata> brokers = new ArrayList<>();
            for (int i = 0; i < cluster.length(); i++) {
                char rack = cluster.charAt(i);
                brokers.add(new BrokerMetadata(i * 3, rack == '-' ? Optional.empty() : Optional.of("rack-" + rack)));
            }
            for (int factor = 1; factor <= brokers.size(); factor++) {
                for (int start = 0; start < brokers.size(); start += 1 + brokers.size() / 3) {
                    for (int firstPartition : new int[] {0, 5}) {
                        int partitions = 2 * brokers.size() + 1;
                        Map<Integer, List<Integer>> placed =
                            AdminUtils.assignReplicasToBrokers(brokers, partitions, factor, start, firstPartition);
                        Map<String, Object> row = new LinkedHashMap<>();
                        row.put("racks", cluster);
                        row.put("replicationFactor", factor);
                        row.put("start", start);
                        row.put("firstPartition", firstPartition);
                        row.put("replicas", new ArrayList<>(new TreeMap<>(placed).values()));
                        cases.add(row);
                    }
                }
            }
        }
        return cases;
    }
}
