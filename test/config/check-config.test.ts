import { describe, expect, it } from 'vitest'
import { BrokerConfig } from '../../src/broker/config/broker-config.ts'
import { ConfigError } from '../../src/broker/config/config-types.ts'

const KRAFT = { 'process.roles': 'broker,controller', 'node.id': '1' }

describe('A configuration that contradicts itself or asks for what is not there', () => {
  it.each<[Record<string, string>, string]>([
    [{ 'zookeeper.connect': 'localhost:2181:3' }, 'expected host:port,host:port/chroot'],
    [{ 'zookeeper.connect': 'a:2181,,b:2181' }, 'expected host:port,host:port/chroot'],
    [{ 'zookeeper.connect': 'a:2181/odradek/../x' }, 'expected host:port,host:port/chroot'],
    [{ ...KRAFT, 'zookeeper.connect': 'a:2181' }, 'a node with process.roles does not use ZooKeeper'],
    [{ 'zookeeper.set.acl': 'true' }, 'set zookeeper.digest=user:password'],
    [{ 'zookeeper.ssl.client.enable': 'true' }, 'it must be false'],
    [
      { 'authorizer.class.name': 'kafka.security.authorizer.AclAuthorizer' },
      'authorizers come with a later release',
    ],
    [{ 'zookeeper.metadata.migration.enable': 'true' }, 'it must be false'],
    [{ 'remote.log.storage.system.enable': 'true' }, 'it must be false'],
    [{ 'broker.id': '1001' }, 'broker.id=1001: expected an integer from -1 to reserved.broker.max.id (1000)'],
    [{ 'broker.id': '-2' }, 'broker.id=-2: expected an integer from -1'],
    [
      { 'broker.id.generation.enable': 'false' },
      'expected 0 or more where broker.id.generation.enable is false',
    ],
    [{ 'broker.id': '1', 'node.id': '2' }, 'node.id=2: expected the same number as broker.id (1)'],
    [{ 'process.roles': 'broker' }, 'node.id: missing'],
    [{ ...KRAFT, 'process.roles': 'worker' }, 'process.roles=worker: expected broker, or broker,controller'],
    [{ ...KRAFT, 'process.roles': 'controller' }, 'a controller alone is not needed'],
    [
      { ...KRAFT, 'controller.quorum.voters': '1@a:9093,2@b:9093,3@c:9093' },
      'for one broker set controller.quorum.voters=1@localhost:9093',
    ],
    [
      { ...KRAFT, 'controller.quorum.voters': '2@b:9093' },
      'the voter is another node than this one (node.id=1)',
    ],
    [{ ...KRAFT, 'controller.quorum.voters': 'b:9093' }, 'expected id@host:port'],
    [{ ...KRAFT, 'controller.quorum.bootstrap.servers': 'a:1,b:1' }, 'a quorum of several nodes'],
    [{ 'log.roll.ms': '0' }, 'log.roll.ms=0: expected at least 1'],
    [{ 'log.roll.jitter.ms': '-1' }, 'log.roll.jitter.ms=-1: expected at least 0'],
    [{ 'log.retention.ms': '0' }, 'log.retention.ms=0: expected -1 (without limit) or at least 1'],
    [{ 'log.retention.hours': '0' }, 'log.retention.hours=0: expected -1'],
    [{ 'log.dirs': ' , ' }, 'expected at least one directory'],
    [{ 'log.cleaner.dedupe.buffer.size': '1048576' }, 'expected more than 1 MiB'],
    [
      { 'log.cleaner.min.compaction.lag.ms': '9', 'log.cleaner.max.compaction.lag.ms': '8' },
      'expected at most log.cleaner.max',
    ],
    [{ 'replica.fetch.wait.max.ms': '40000' }, 'expected at most replica.socket.timeout.ms (30000)'],
    [{ 'replica.lag.time.max.ms': '100' }, 'expected at most replica.lag.time.max.ms (100)'],
    [
      { 'replica.selector.class': 'com.example.Nearest' },
      'expected org.apache.kafka.common.replica.RackAwareReplicaSelector or org.apache.kafka.common.replica.LeaderSelector',
    ],
    [{ 'offsets.commit.required.acks': '4' }, 'expected -1 to offsets.topic.replication.factor (3)'],
    [
      { 'group.min.session.timeout.ms': '9', 'group.max.session.timeout.ms': '8' },
      'expected at most group.max.session.timeout.ms',
    ],
    [{ 'group.coordinator.rebalance.protocols': 'consumer' }, 'expected `classic` among them'],
    [{ 'group.consumer.assignors': '' }, 'expected at least one'],
    [{ 'group.consumer.assignors': 'sticky' }, 'uniform'],
    [{ 'group.consumer.session.timeout.ms': '44999' }, 'expected 45000 to 60000'],
    [{ 'group.consumer.heartbeat.interval.ms': '15001' }, 'expected 5000 to 15000'],
    [
      {
        'group.consumer.max.heartbeat.interval.ms': '45000',
        'group.consumer.heartbeat.interval.ms': '45000',
      },
      'expected less than group.consumer.session.timeout.ms (45000)',
    ],
    [{ 'group.consumer.migration.policy': 'sideways' }, 'bidirectional'],
    [{ 'max.connections.per.ip': '0' }, 'expected more than 0'],
    [{ 'queued.max.request.bytes': '10' }, 'expected at least socket.request.max.bytes'],
  ])('%j is refused in one line', (properties, reason) => {
    let error: unknown
    try {
      new BrokerConfig(properties).get('broker.id')
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as Error).message).toContain(reason)
    expect((error as Error).message).not.toContain('\n')
  })

  it('is not one where a key is only near the edge', () => {
    expect(() => new BrokerConfig({ 'broker.id': '1000', 'zookeeper.connect': '' })).not.toThrow()
    expect(() => new BrokerConfig({ 'log.retention.hours': '0', 'log.retention.ms': '5' })).not.toThrow()
    expect(() => new BrokerConfig({ ...KRAFT, 'node.id': '5000' })).not.toThrow()
    expect(() => new BrokerConfig({ ...KRAFT, 'controller.quorum.voters': '1@localhost:9093' })).not.toThrow()
  })

  it('includes a cluster id that Kafka would not take', () => {
    expect(() => new BrokerConfig({}, { clusterId: 'not an id' })).toThrow('CLUSTER_ID=not an id')
    expect(() => new BrokerConfig({}, { clusterId: '5L6g3nShT-eMCtK--X86sw' })).not.toThrow()
  })
})
