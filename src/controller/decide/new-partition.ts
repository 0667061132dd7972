import type { PartitionStateZnode } from '../znodes.ts'

/**
 * The first state of a partition: the first live replica leads, all live ones are in sync (they are all empty). null when
 * no replica lives: the partition stays new and is tried again when a broker comes.
 */
export function decideNewPartition(
  replicas: readonly number[],
  liveBrokers: ReadonlySet<number>,
  controllerEpoch: number,
): PartitionStateZnode | null {
  const isr = replicas.filter((id) => liveBrokers.has(id))
  if (isr.length === 0) return null
  return { leader: isr[0], leaderEpoch: 0, isr, controllerEpoch, recovering: false }
}
