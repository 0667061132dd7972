/** Whether a topic can be made or grown as asked: numbers, replicas, configuration. Order and codes are Kafka's. */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { TopicZnode } from '../znodes.ts'

export interface NewTopic {
  readonly name: string
  /** -1: the broker's default (KIP-464), or `assignments` says it. */
  readonly numPartitions: number
  readonly replicationFactor: number
  /** Empty: the broker places the replicas. */
  readonly assignments: readonly { readonly partitionIndex: number; readonly brokerIds: readonly number[] }[]
  readonly configs: readonly { readonly name: string; readonly value: string | null }[]
}

export interface Refusal {
  readonly error: number
  readonly message: string
}

export interface CheckedTopic {
  readonly numPartitions: number
  readonly replicationFactor: number
  /** Replicas by partition; null: to be placed. */
  readonly assignments: readonly (readonly number[])[] | null
  readonly configs: Readonly<Record<string, string>>
}

/** One topic of one request cannot ask for more (the cap of a KRaft controller): every partition costs files and memory. */
const MAX_PARTITIONS_PER_TOPIC = 10_000

export function checkNewTopic(
  topic: NewTopic,
  cluster: {
    readonly brokers: ReadonlySet<number>
    readonly numPartitions: number
    readonly replicationFactor: number
  },
): CheckedTopic | Refusal {
  const nulls = topic.configs.filter(({ value }) => value === null).map(({ name }) => name)
  if (nulls.length > 0) {
    return refuse(ErrorCode.INVALID_CONFIG, `Null value not supported for topic configs: ${nulls.join(',')}`)
  }
  const configs = Object.fromEntries(topic.configs.map(({ name, value }) => [name, value!]))
  if (topic.assignments.length > 0) {
    if (topic.numPartitions !== -1 || topic.replicationFactor !== -1) {
      const message =
        'Both numPartitions or replicationFactor and replicasAssignments were set. Both cannot be used at the same time.'
      return refuse(ErrorCode.INVALID_REQUEST, message)
    }
    const assignments = manualAssignment(topic.assignments, cluster.brokers)
    if ('error' in assignments) return assignments
    const replicationFactor = assignments[0].length
    return { numPartitions: assignments.length, replicationFactor, assignments, configs }
  }
  const numPartitions = topic.numPartitions === -1 ? cluster.numPartitions : topic.numPartitions
  const replicationFactor =
    topic.replicationFactor === -1 ? cluster.replicationFactor : topic.replicationFactor
  const refused = checkNumbers(numPartitions, replicationFactor, cluster.brokers.size)
  return refused ?? { numPartitions, replicationFactor, assignments: null, configs }
}

function checkNumbers(numPartitions: number, replicationFactor: number, brokers: number): Refusal | null {
  if (numPartitions <= 0)
    return refuse(ErrorCode.INVALID_PARTITIONS, 'Number of partitions must be larger than 0.')
  if (numPartitions > MAX_PARTITIONS_PER_TOPIC) {
    const message = `Number of partitions must not be larger than ${MAX_PARTITIONS_PER_TOPIC}.`
    return refuse(ErrorCode.INVALID_PARTITIONS, message)
  }
  if (replicationFactor <= 0)
    return refuse(ErrorCode.INVALID_REPLICATION_FACTOR, 'Replication factor must be larger than 0.')
  if (replicationFactor > brokers) {
    const message = `Replication factor: ${replicationFactor} larger than available brokers: ${brokers}.`
    return refuse(ErrorCode.INVALID_REPLICATION_FACTOR, message)
  }
  return null
}

function manualAssignment(
  assignments: NewTopic['assignments'],
  brokers: ReadonlySet<number>,
): readonly (readonly number[])[] | Refusal {
  const byPartition: (readonly number[])[] = []
  for (const { partitionIndex, brokerIds } of assignments) {
    if (
      partitionIndex < 0 ||
      partitionIndex >= assignments.length ||
      byPartition[partitionIndex] !== undefined
    ) {
      return refuse(
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        'partitions should be a consecutive 0-based integer sequence',
      )
    }
    byPartition[partitionIndex] = brokerIds
  }
  return checkReplicas(byPartition, byPartition[0].length, brokers) ?? byPartition
}

/** Every partition has `replicationFactor` different brokers that are there. */
function checkReplicas(
  partitions: readonly (readonly number[])[],
  replicationFactor: number,
  brokers: ReadonlySet<number>,
): Refusal | null {
  const invalid = (message: string): Refusal => refuse(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)
  for (const replicas of partitions) {
    if (replicas.length === 0) return invalid('A partition needs at least one replica.')
    if (replicas.length !== replicationFactor)
      return invalid('All partitions should have the same number of replicas')
    if (new Set(replicas).size !== replicas.length)
      return invalid(`Duplicate replica assignment found: ${replicas.join(', ')}`)
    const unknown = replicas.filter((id) => !brokers.has(id))
    if (unknown.length > 0) return invalid(`Unknown broker(s) in replica assignment: ${unknown.join(', ')}.`)
  }
  return null
}

export function checkAddedPartitions(
  request: { readonly count: number; readonly assignments: readonly (readonly number[])[] | null },
  topic: TopicZnode,
  brokers: ReadonlySet<number>,
): Refusal | null {
  const current = topic.partitions.length
  const { count, assignments } = request
  if (Object.keys(topic.addingReplicas).length + Object.keys(topic.removingReplicas).length > 0) {
    const message = 'A partition reassignment of this topic is in progress.'
    return refuse(ErrorCode.REASSIGNMENT_IN_PROGRESS, message)
  }
  if (count < current) {
    const message = `Topic currently has ${current} partitions, which is higher than the requested ${count}.`
    return refuse(ErrorCode.INVALID_PARTITIONS, message)
  }
  if (count === current)
    return refuse(ErrorCode.INVALID_PARTITIONS, `Topic already has ${current} partitions.`)
  const replicationFactor = topic.partitions[0].length
  const numbers = checkNumbers(count, replicationFactor, assignments === null ? brokers.size : Infinity)
  if (numbers !== null || assignments === null) return numbers
  if (assignments.length !== count - current) {
    const message = `Increasing the number of partitions by ${count - current} but ${assignments.length} assignments provided.`
    return refuse(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)
  }
  return checkReplicas(assignments, replicationFactor, brokers)
}

function refuse(error: number, message: string): Refusal {
  return { error, message }
}
