/** What becomes of a partition when one of its replicas is about to shut down (ControlledShutdown). */
import type { PartitionStateZnode } from '../znodes.ts'

/**
 * Leadership goes to the first assigned replica that stays and is in sync, and the broker leaves the in-sync set, which
 * keeps its last member. null: nothing can be done, or nothing is to be. A partition that nobody else can lead stays with
 * the broker until it is gone.
 */
export function decideShutdown(
  current: PartitionStateZnode,
  broker: number,
  {
    assigned,
    isOnline,
  }: { readonly assigned: readonly number[]; readonly isOnline: (id: number) => boolean },
  controllerEpoch: number,
): PartitionStateZnode | null {
  const leaderEpoch = current.leaderEpoch + 1
  if (current.leader === broker) {
    const leader = assigned.find((id) => current.isr.includes(id) && isOnline(id))
    if (leader === undefined) return null
    const isr = current.isr.filter(isOnline)
    return { ...current, leader, isr, leaderEpoch, controllerEpoch }
  }
  if (!current.isr.includes(broker) || current.isr.length === 1) return null
  return { ...current, isr: current.isr.filter((id) => id !== broker), leaderEpoch, controllerEpoch }
}
