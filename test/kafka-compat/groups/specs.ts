/** The groups of the suite: which client, in which protocol, with which assignor. */
import type { Family } from './member-host.ts'

export interface GroupSpec {
  /** Of the group and of its topic. */
  readonly id: string
  readonly family: Family
  readonly size: number
  readonly partitions: number
  readonly times: Times
  /** kafkajs knows no static members. */
  readonly canBeStatic: boolean
  /** Settings of the number-th member that is started; `instanceId` null: a dynamic one. */
  settings(number: number, instanceId: string | null): string[]
}

/** Large groups share a machine that small ones have for themselves. */
export interface Times {
  readonly sessionMs: number
  readonly heartbeatMs: number
  readonly rebalanceMs: number
  /** How long a fetch waits for records: hundreds of members that ask all the time would leave no time for anything else. */
  readonly fetchMs: number
  /** Between two changes: of a large group long enough for most of its members to hear of a rebalance, by their heartbeats. */
  readonly stepMs: number
  /** Between two batches of records; three of them between two looks at the group. */
  readonly tickMs: number
}
const small: Times = {
  sessionMs: 10_000,
  heartbeatMs: 1_000,
  rebalanceMs: 30_000,
  fetchMs: 500,
  stepMs: 700,
  tickMs: 100,
}
const medium: Times = {
  sessionMs: 20_000,
  heartbeatMs: 3_000,
  rebalanceMs: 30_000,
  fetchMs: 1_000,
  stepMs: 4_000,
  tickMs: 100,
}
const large: Times = {
  sessionMs: 45_000,
  heartbeatMs: 5_000,
  rebalanceMs: 120_000,
  fetchMs: 5_000,
  stepMs: 10_000,
  tickMs: 1_000,
}
export const partitionsFor = (size: number): number => (size < 10 ? 2 * size : size)
export const timesOf = (size: number): Times => (size < 20 ? small : size < 100 ? medium : large)

const classicTimes = ({ sessionMs, heartbeatMs }: Times): string[] => [
  `session.timeout.ms=${sessionMs}`,
  `heartbeat.interval.ms=${heartbeatMs}`,
]
const pollTime = ({ rebalanceMs }: Times): string => `max.poll.interval.ms=${rebalanceMs}`
const instance = (instanceId: string | null): string[] =>
  instanceId === null ? [] : [`group.instance.id=${instanceId}`]
const javaClassic = (assignor: string, times: Times): string[] => [
  'group.protocol=classic',
  `partition.assignment.strategy=org.apache.kafka.clients.consumer.${assignor}`,
  pollTime(times),
  `fetch.max.wait.ms=${times.fetchMs}`,
  ...classicTimes(times),
]
const javaConsumer = (assignor: string, times: Times): string[] => [
  'group.protocol=consumer',
  `group.remote.assignor=${assignor}`,
  pollTime(times),
  `fetch.max.wait.ms=${times.fetchMs}`,
]
const rdkafka = (assignor: string, times: Times): string[] => [
  `partition.assignment.strategy=${assignor}`,
  pollTime(times),
  `fetch.wait.max.ms=${times.fetchMs}`,
  ...classicTimes(times),
]
const kafkajs = ({ sessionMs, heartbeatMs, rebalanceMs }: Times): string[] => [
  `session=${sessionMs}`,
  `heartbeat=${heartbeatMs}`,
  `rebalance=${rebalanceMs}`,
  'assigner=roundRobin',
]

type Settings = (times: Times, number: number, isStatic: boolean) => string[]
type Kind = Pick<GroupSpec, 'family' | 'canBeStatic'> & { of: Settings }

const java = (of: Settings): Kind => ({ family: 'java', canBeStatic: true, of })
const kinds = {
  'java-range': java((times) => javaClassic('RangeAssignor', times)),
  'java-roundrobin': java((times) => javaClassic('RoundRobinAssignor', times)),
  'java-cooperative': java((times) => javaClassic('CooperativeStickyAssignor', times)),
  'java-consumer-uniform': java((times) => javaConsumer('uniform', times)),
  'java-consumer-range': java((times) => javaConsumer('range', times)),
  // Of both protocols, all the time: the group goes over to the new one, and back when the last of its members has gone.
  'java-mixed-eager': java((times, number) =>
    number % 2 === 0 ? javaClassic('RangeAssignor', times) : javaConsumer('uniform', times),
  ),
  // Of both, too, but never without a member of the new one: a classic group that goes over in the middle of a rebalance gives what
  // cooperative members keep to others; Kafka forgets it just so (ConsumerGroup.fromClassicGroup).
  'java-mixed-cooperative': java((times, _, isStatic) =>
    isStatic ? javaConsumer('range', times) : javaClassic('CooperativeStickyAssignor', times),
  ),
  'rdkafka-range': { family: 'rdkafka', canBeStatic: true, of: (times) => rdkafka('range', times) },
  'rdkafka-cooperative': {
    family: 'rdkafka',
    canBeStatic: true,
    of: (times) => rdkafka('cooperative-sticky', times),
  },
  'kafkajs-roundrobin': { family: 'kafkajs', canBeStatic: false, of: kafkajs },
} satisfies Record<string, Kind>

export type KindName = keyof typeof kinds
export const kindNames = Object.keys(kinds) as KindName[]

export function groupSpec(name: KindName, size: number, partitions: number): GroupSpec {
  const { family, canBeStatic, of }: Kind = kinds[name]
  const times = timesOf(size)
  return {
    id: `${name}-${size}`,
    family,
    size,
    partitions,
    canBeStatic,
    times,
    settings: (number, instanceId) => [...of(times, number, instanceId !== null), ...instance(instanceId)],
  }
}
