import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.coordinator.group.api.assignor.GroupAssignment;
import org.apache.kafka.coordinator.group.api.assignor.PartitionAssignor;
import org.apache.kafka.coordinator.group.api.assignor.SubscribedTopicDescriber;
import org.apache.kafka.coordinator.group.api.assignor.SubscriptionType;
import org.apache.kafka.coordinator.group.assignor.RangeAssignor;
import org.apache.kafka.coordinator.group.assignor.UniformAssignor;
import org.apache.kafka.coordinator.group.modern.Assignment;
import org.apache.kafka.coordinator.group.modern.GroupSpecImpl;
import org.apache.kafka.coordinator.group.modern.MemberSubscriptionAndAssignmentImpl;

/** What Kafka's server-side assignors make of groups that change step by step, each step from the result of the one before. */
class Assignments {
    static final int GROUPS = 40;
    static final int STEPS = 5;

    static class Member {
        final String instanceId;
        Set<Uuid> topics;

        Member(String instanceId, Set<Uuid> topics) {
            this.instanceId = instanceId;
            this.topics = topics;
        }
    }

    static List<Object> all() {
        List<Object> groups = new ArrayList<>();
        for (int seed = 0; seed < GROUPS; seed++) groups.add(group(new Random(seed), seed));
        return groups;
    }

    static Object group(Random random, int seed) {
        boolean homogeneous = seed % 2 == 0;
        PartitionAssignor assignor = seed % 3 == 0 ? new RangeAssignor() : new UniformAssignor();
        Map<Uuid, Integer> topics = new LinkedHashMap<>();
        for (int i = 0; i <= random.nextInt(6); i++) topics.put(new Uuid(random.nextLong(), random.nextLong()), 1 + random.nextInt(24));
        Map<String, Member> members = new LinkedHashMap<>();
        Map<String, Map<Uuid, Set<Integer>>> target = new HashMap<>();
        List<Object> steps = new ArrayList<>();
        for (int step = 0; step < STEPS; step++) {
            change(random, homogeneous, topics, members);
            target.keySet().retainAll(members.keySet());
            steps.add(step(assignor, homogeneous, topics, members, target));
        }
        Map<String, Object> row = new LinkedHashMap<>();
        row.put("assignor", assignor.name());
        row.put("homogeneous", homogeneous);
        row.put("steps", steps);
        return row;
    }

    static void change(Random random, boolean homogeneous, Map<Uuid, Integer> topics, Map<String, Member> members) {
        int joining = members.isEmpty() ? 1 + random.nextInt(12) : random.nextInt(4);
        for (int i = 0; i < joining; i++) {
            String id = new Uuid(random.nextLong(), random.nextLong()).toString();
            members.put(id, new Member(random.nextInt(4) == 0 ? "instance-" + random.nextInt(1000) : null, null));
        }
        for (String id : new ArrayList<>(members.keySet())) {
            if (members.size() > 1 && random.nextInt(6) == 0) members.remove(id);
        }
        if (random.nextInt(3) == 0) {
            Uuid grown = new ArrayList<>(topics.keySet()).get(random.nextInt(topics.size()));
            topics.put(grown, topics.get(grown) + random.nextInt(9));
        }
        if (random.nextInt(4) == 0) topics.put(new Uuid(random.nextLong(), random.nextLong()), 1 + random.nextInt(20));
        Set<Uuid> shared = some(random, topics.keySet());
        for (Member member : members.values()) {
            if (homogeneous) member.topics = shared;
            else if (member.topics == null || random.nextInt(4) == 0) member.topics = some(random, topics.keySet());
        }
    }

    static Set<Uuid> some(Random random, Set<Uuid> of) {
        Set<Uuid> some = new TreeSet<>();
        for (Uuid id : of) if (random.nextInt(4) > 0) some.add(id);
        if (some.isEmpty()) some.add(of.iterator().next());
        return some;
    }

    static Object step(PartitionAssignor assignor, boolean homogeneous, Map<Uuid, Integer> topics,
                       Map<String, Member> members, Map<String, Map<Uuid, Set<Integer>>> target) {
        Map<String, MemberSubscriptionAndAssignmentImpl> specs = new HashMap<>();
        Map<Uuid, Map<Integer, String>> owners = new HashMap<>();
        Map<String, Object> said = new LinkedHashMap<>();
        members.forEach((id, member) -> {
            Map<Uuid, Set<Integer>> before = target.getOrDefault(id, Map.of());
            specs.put(id, new MemberSubscriptionAndAssignmentImpl(
                Optional.empty(), Optional.ofNullable(member.instanceId), member.topics, new Assignment(before)));
            before.forEach((topic, partitions) -> {
                for (int partition : partitions) owners.computeIfAbsent(topic, __ -> new HashMap<>()).put(partition, id);
            });
            Map<String, Object> one = new LinkedHashMap<>();
            one.put("instanceId", member.instanceId);
            one.put("topics", member.topics.stream().map(Uuid::toString).toList());
            said.put(id, one);
        });
        GroupAssignment result = assignor.assign(
            new GroupSpecImpl(Collections.unmodifiableMap(specs),
                homogeneous ? SubscriptionType.HOMOGENEOUS : SubscriptionType.HETEROGENEOUS, owners),
            new SubscribedTopicDescriber() {
                @Override
                public int numPartitions(Uuid topicId) {
                    return topics.getOrDefault(topicId, -1);
                }

                @Override
                public Set<String> racksForPartition(Uuid topicId, int partition) {
                    return Set.of();
                }
            });
        Map<String, Object> after = new TreeMap<>();
        members.keySet().forEach(id -> {
            Map<Uuid, Set<Integer>> own = result.members().containsKey(id) ? result.members().get(id).partitions() : Map.of();
            after.put(id, plain(own));
            // As it comes back from its record.
            Map<Uuid, Set<Integer>> inOrder = new TreeMap<>(Comparator.comparing(Uuid::toString));
            inOrder.putAll(own);
            Map<Uuid, Set<Integer>> read = new HashMap<>();
            inOrder.forEach((topic, partitions) -> read.put(topic, new HashSet<>(new ArrayList<>(new TreeSet<>(partitions)))));
            target.put(id, read);
        });
        Map<String, Object> counts = new LinkedHashMap<>();
        topics.forEach((id, partitions) -> counts.put(id.toString(), partitions));
        Map<String, Object> row = new LinkedHashMap<>();
        row.put("topics", counts);
        row.put("members", said);
        row.put("after", after);
        return row;
    }

    static Map<String, Object> plain(Map<Uuid, Set<Integer>> assignment) {
        Map<String, Object> plain = new TreeMap<>();
        assignment.forEach((topic, partitions) -> plain.put(topic.toString(), new ArrayList<>(new TreeSet<>(partitions))));
        return plain;
    }
}
