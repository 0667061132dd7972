/** The settings of the broker's own topics. */
import { OFFSETS_TOPIC, TRANSACTIONS_TOPIC } from './topic-names.ts'

export interface InternalTopic {
  readonly partitions: number
  readonly replicationFactor: number
  readonly configs: Readonly<Record<string, string>>
}

interface InternalTopicSettings {
  readonly partitions: number
  readonly replicationFactor: number
  readonly segmentBytes: number
}

export interface InternalTopicsSettings {
  /** `offsets.topic.*` */
  readonly offsets: InternalTopicSettings
  /** `transaction.state.log.*` */
  readonly transactions: InternalTopicSettings & { readonly minInsyncReplicas: number }
}

/** With the configuration that Kafka gives them; undefined for other topics. */
export function internalTopics({
  offsets,
  transactions,
}: InternalTopicsSettings): (name: string) => InternalTopic | undefined {
  const topics = new Map<string, InternalTopic>([
    [OFFSETS_TOPIC, compacted(offsets, { 'compression.type': 'producer' })],
    [
      TRANSACTIONS_TOPIC,
      compacted(transactions, {
        'compression.type': 'uncompressed',
        'min.insync.replicas': String(transactions.minInsyncReplicas),
        'unclean.leader.election.enable': 'false',
      }),
    ],
  ])
  return (name) => topics.get(name)
}

function compacted(
  { partitions, replicationFactor, segmentBytes }: InternalTopicSettings,
  more: Readonly<Record<string, string>>,
): InternalTopic {
  const configs = { 'cleanup.policy': 'compact', 'segment.bytes': String(segmentBytes), ...more }
  return { partitions, replicationFactor, configs }
}
