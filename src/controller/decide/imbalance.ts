/** Which partitions get their preferred leader back when the controller looks for imbalance (auto.leader.rebalance.enable). */
export interface BalancedPartition {
  /** The preferred leader first. */
  readonly replicas: readonly number[]
  /** -1: none; null: its state has never been written. */
  readonly leader: number | null
  readonly isr: readonly number[]
}

/**
 * The partitions to elect, in the order given. A broker's share of its preferred partitions that others lead must exceed
 * `imbalancePercentage` (leader.imbalance.per.broker.percentage); then all of those whose preferred replica is online and
 * in sync are elected. `partitions`: all but those of topics that are being deleted.
 */
export function decideRebalance<P extends BalancedPartition>(
  partitions: readonly P[],
  imbalancePercentage: number,
  isOnline: (replica: number, partition: P) => boolean,
): P[] {
  const shares = new Map<number, { preferred: number; ledElsewhere: number }>()
  for (const partition of partitions) {
    const broker = partition.replicas[0]
    let share = shares.get(broker)
    if (share === undefined) shares.set(broker, (share = { preferred: 0, ledElsewhere: 0 }))
    share.preferred++
    if (isLedElsewhere(partition)) share.ledElsewhere++
  }
  return partitions.filter((partition) => {
    const broker = partition.replicas[0]
    const { preferred, ledElsewhere } = shares.get(broker)!
    if (ledElsewhere / preferred <= imbalancePercentage / 100) return false
    return isLedElsewhere(partition) && partition.isr.includes(broker) && isOnline(broker, partition)
  })
}

function isLedElsewhere({ replicas, leader }: BalancedPartition): boolean {
  return leader !== null && leader !== replicas[0]
}
