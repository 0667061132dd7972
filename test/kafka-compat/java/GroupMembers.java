import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;

/**
 * Consumers that come and go by command, each in a thread of its own. A command is a line: "start NAME key=value ...",
 * "stop NAME", "produce TOPIC COUNT", "state". Each is answered by a line; "state" tells, as JSON, what each consumer has and
 * what it failed with, and how many different records all of them have seen of each topic.
 */
public class GroupMembers {
    static class Member extends Thread {
        final KafkaConsumer<String, String> consumer;
        final Map<String, String> options;
        volatile boolean running = true;
        volatile List<String> assignment = List.of();
        volatile String failure = null;

        Member(String name, Map<String, String> options, String bootstrap) {
            super(name);
            this.options = options;
            Properties properties = new Properties();
            properties.put("bootstrap.servers", bootstrap);
            properties.put("group.id", options.get("group"));
            properties.put("group.protocol", options.getOrDefault("protocol", "consumer"));
            properties.put("client.id", name);
            properties.put("auto.offset.reset", "earliest");
            properties.put("auto.commit.interval.ms", "200");
            properties.put("metadata.max.age.ms", "1000");
            properties.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
            properties.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
            if (options.containsKey("instance")) properties.put("group.instance.id", options.get("instance"));
            if (options.containsKey("assignor")) properties.put("group.remote.assignor", options.get("assignor"));
            if (options.containsKey("session")) properties.put("session.timeout.ms", options.get("session"));
            consumer = new KafkaConsumer<>(properties);
        }

        @Override
        public void run() {
            try {
                if (options.containsKey("regex")) consumer.subscribe(new SubscriptionPattern(options.get("regex")));
                else consumer.subscribe(Arrays.asList(options.get("topics").split(",")));
                while (running) {
                    for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                        SEEN.computeIfAbsent(record.topic(), __ -> ConcurrentHashMap.newKeySet()).add(record.value());
                    }
                    assignment = consumer.assignment().stream().map(TopicPartition::toString).sorted().collect(Collectors.toList());
                }
            } catch (WakeupException e) {
                // It is to stop.
            } catch (Throwable e) {
                failure = e.toString();
            } finally {
                consumer.close();
            }
        }

        void end() throws InterruptedException {
            running = false;
            join();
        }
    }

    static final Map<String, Set<String>> SEEN = new ConcurrentHashMap<>();

    public static void main(String[] args) throws Exception {
        String bootstrap = args[0];
        Map<String, Member> members = new TreeMap<>();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        int produced = 0;
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.trim().split(" ");
            switch (words[0]) {
                case "start": {
                    Map<String, String> options = new HashMap<>();
                    for (int i = 2; i < words.length; i++) {
                        int at = words[i].indexOf('=');
                        options.put(words[i].substring(0, at), words[i].substring(at + 1));
                    }
                    Member member = new Member(words[1], options, bootstrap);
                    members.put(words[1], member);
                    member.start();
                    System.out.println("started");
                    break;
                }
                case "stop":
                    members.remove(words[1]).end();
                    System.out.println("stopped");
                    break;
                case "produce": {
                    Properties properties = new Properties();
                    properties.put("bootstrap.servers", bootstrap);
                    properties.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
                    properties.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
                    try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties)) {
                        for (int i = 0; i < Integer.parseInt(words[2]); i++) {
                            String value = "record " + produced++;
                            producer.send(new ProducerRecord<>(words[1], value, value));
                        }
                    }
                    System.out.println("produced");
                    break;
                }
                default:
                    System.out.println(state(members));
            }
        }
        for (Member member : members.values()) member.end();
    }

    static String state(Map<String, Member> members) {
        List<String> parts = new ArrayList<>();
        members.forEach((name, member) -> {
            String list = member.assignment.stream().map(each -> '"' + each + '"').collect(Collectors.joining(","));
            String failure = member.failure == null ? "null" : '"' + member.failure.replaceAll("[\\\\\"\n]", " ") + '"';
            parts.add("\"" + name + "\":{\"assignment\":[" + list + "],\"failure\":" + failure + "}");
        });
        String seen = SEEN.entrySet().stream()
            .map(each -> "\"" + each.getKey() + "\":" + each.getValue().size())
            .collect(Collectors.joining(","));
        return "{\"members\":{" + String.join(",", parts) + "},\"seen\":{" + seen + "}}";
    }
}
