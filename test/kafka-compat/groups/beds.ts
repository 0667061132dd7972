/** Where the groups live: one broker that is restarted and killed, or three of one process whose coordinator dies. */
import { startCluster } from '../../../src/index.ts'
import { startBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import type { Times } from './specs.ts'

export interface Bed {
  readonly bootstrap: string
  readonly ports: readonly number[]
  /** What goes wrong with it, by name; each resolves when everything runs again. */
  readonly faults: Readonly<Record<string, () => Promise<void>>>
  stop(): Promise<void>
}

const groupConfig = ({ sessionMs, heartbeatMs }: Times): Record<string, string> => ({
  'group.consumer.min.session.timeout.ms': '3000',
  'group.consumer.session.timeout.ms': String(sessionMs),
  'group.consumer.min.heartbeat.interval.ms': '200',
  'group.consumer.heartbeat.interval.ms': String(heartbeatMs / 2),
  'group.initial.rebalance.delay.ms': '500',
  'auto.create.topics.enable': 'false',
})

export async function singleBed(times: Times): Promise<Bed> {
  const broker = await startBroker({ config: groupConfig(times) })
  const { bootstrap, port } = broker
  return {
    bootstrap,
    ports: [port],
    faults: {
      async restart() {
        await broker.shutDown()
        await broker.start()
      },
      async kill() {
        await broker.kill()
        await broker.start()
      },
    },
    stop: () => broker.stop(),
  }
}

/** The offsets topic has one partition, so that all groups lose their coordinator at once. */
export async function clusterBed(times: Times): Promise<Bed> {
  const cluster = await startCluster({
    brokers: 3,
    host: '127.0.0.1',
    config: { ...groupConfig(times), 'offsets.topic.num.partitions': '1' },
  })
  const coordinator = () =>
    eventually('somebody coordinates', () => cluster.leaderOf('__consumer_offsets', 0))
  return {
    bootstrap: cluster.bootstrapServers,
    ports: cluster.brokers.map(({ port }) => port),
    faults: {
      async 'the coordinator dies'() {
        const before = await coordinator()
        await before.kill()
        await eventually('another coordinates', async () => (await coordinator()).id !== before.id)
        await before.start()
      },
      async 'the coordinator stops'() {
        const before = await coordinator()
        await before.stop()
        await before.start()
      },
    },
    stop: () => cluster.stop(),
  }
}
