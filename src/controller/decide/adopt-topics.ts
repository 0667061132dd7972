import { CLUSTER_METADATA_TOPIC, topicNameFault } from '../topic-names.ts'

/** A partition directory, as its files tell of it. */
export interface FoundPartition {
  readonly topic: string
  readonly partition: number
  /** null: no partition.metadata says it (Kafka before 2.8). */
  readonly topicId: string | null
  /** -1: none was ever opened. */
  readonly latestLeaderEpoch: number
  readonly isEmpty: boolean
}

export interface AdoptedTopic {
  readonly name: string
  /** null: it is to be given one. */
  readonly topicId: string | null
  readonly partitionCount: number
  /** By partition; undefined: there is no directory, the partition is made empty. */
  readonly latestLeaderEpochs: readonly (number | undefined)[]
}

export interface Adoption {
  readonly topics: readonly AdoptedTopic[]
  /** Their directories stay as they are, and are served to nobody. */
  readonly refused: readonly { readonly name: string; readonly reason: string }[]
}

/** More are no gap: the number in the directory's name is something else (`backup-20240101`). */
export const MAX_MISSING_PARTITIONS = 1000

/**
 * What topics there were, by the directories that are left of them. A topic has as many partitions as its highest number
 * says, and at least `leastPartitions`: groups and transactions are spread over the broker's own topics by that count.
 */
export function decideAdoption(
  found: Iterable<FoundPartition>,
  leastPartitions: (topic: string) => number,
): Adoption {
  const byTopic = new Map<string, FoundPartition[]>()
  for (const partition of found) {
    const known = byTopic.get(partition.topic)
    if (known === undefined) byTopic.set(partition.topic, [partition])
    else known.push(partition)
  }
  const topics: AdoptedTopic[] = []
  const refused: { name: string; reason: string }[] = []
  for (const [name, partitions] of byTopic) {
    const partitionCount = Math.max(highestOf(partitions) + 1, leastPartitions(name))
    const reason = reasonToRefuse(name, partitions)
    if (reason !== null) {
      refused.push({ name, reason })
      continue
    }
    const latestLeaderEpochs = Array<number | undefined>(partitionCount)
    for (const { partition, latestLeaderEpoch } of partitions)
      latestLeaderEpochs[partition] = latestLeaderEpoch
    topics.push({ name, topicId: idsOf(partitions)[0] ?? null, partitionCount, latestLeaderEpochs })
  }
  return { topics, refused }
}

function reasonToRefuse(name: string, partitions: readonly FoundPartition[]): string | null {
  const nameFault = topicNameFault(name)
  if (nameFault !== null) return nameFault
  if (name === CLUSTER_METADATA_TOPIC) return "it is KRaft's metadata log"
  const ids = idsOf(partitions)
  if (ids.length > 1) return `its directories are of different topics: ${ids.join(', ')}`
  if (ids.length === 0 && partitions.every(({ isEmpty }) => isEmpty)) {
    return 'its directories have neither a partition.metadata nor records'
  }
  const missing = highestOf(partitions) + 1 - partitions.length
  if (missing <= MAX_MISSING_PARTITIONS) return null
  return `${missing} of its partitions are missing, more than ${MAX_MISSING_PARTITIONS}`
}

function highestOf(partitions: readonly FoundPartition[]): number {
  return partitions.reduce((highest, { partition }) => Math.max(highest, partition), -1)
}

function idsOf(partitions: readonly FoundPartition[]): string[] {
  return [...new Set(partitions.flatMap(({ topicId }) => topicId ?? []))].sort()
}
