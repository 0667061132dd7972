import type { TopicState } from '../cluster-state.ts'

/** What is to be done about the marker of a topic that is to go. */
export type DeletionDecision =
  /** Nothing to delete, or deletion is switched off: only the marker goes. */
  | 'drop-marker'
  /** A replica cannot be told now, or not delete; it would bring the topic's files back later. */
  | 'wait-for-brokers'
  | 'delete'

export function decideDeletion(
  topic: Pick<TopicState, 'replicas' | 'offlineReplicas'> | undefined,
  liveBrokers: ReadonlySet<number>,
  deletionEnabled: boolean,
): DeletionDecision {
  if (topic === undefined || !deletionEnabled) return 'drop-marker'
  const reachable = topic.replicas.every((replicas) => replicas.every((id) => liveBrokers.has(id)))
  const isOffline = topic.offlineReplicas.some((replicas) => replicas !== undefined && replicas.length > 0)
  return reachable && !isOffline ? 'delete' : 'wait-for-brokers'
}
