import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterReplicaLogDirsResult;
import org.apache.kafka.common.TopicPartitionReplica;

/**
 * What kafka-reassign-partitions asks of AlterReplicaLogDirs, without the reassignment. Arguments: bootstrap servers, broker
 * id, topic, partition, directory. Says "moving", or the class of the error.
 */
public final class MoveReplica {
    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        int broker = Integer.parseInt(args[1]);
        TopicPartitionReplica replica = new TopicPartitionReplica(args[2], Integer.parseInt(args[3]), broker);
        try (Admin admin = Admin.create(properties)) {
            AlterReplicaLogDirsResult result = admin.alterReplicaLogDirs(Map.of(replica, args[4]));
            result.values().get(replica).get();
            System.out.println("moving");
        } catch (ExecutionException refused) {
            System.out.println(refused.getCause().getClass().getSimpleName());
        }
    }
}
