/** What is to be done about the marker of a topic that is to go. */
export type DeletionDecision =
  /** Nothing to delete, or deletion is switched off: only the marker goes. */
  | 'drop-marker'
  /** A replica cannot be told now; it would bring the topic's files back later. */
  | 'wait-for-brokers'
  | 'delete'

export function decideDeletion(
  topic: { readonly replicas: readonly (readonly number[])[] } | undefined,
  liveBrokers: ReadonlySet<number>,
  deletionEnabled: boolean,
): DeletionDecision {
  if (topic === undefined || !deletionEnabled) return 'drop-marker'
  const reachable = topic.replicas.every((replicas) => replicas.every((id) => liveBrokers.has(id)))
  return reachable ? 'delete' : 'wait-for-brokers'
}
