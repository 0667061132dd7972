/** Sends consumers to a replica near them (KIP-392), where `replica.selector.class` says so. */
import type { Partition } from '../replication/partition.ts'
import { replicaInRack } from '../replication/read-replica.ts'
import type { RequestContext, Services } from './services.ts'

export const RACK_AWARE_SELECTOR = 'org.apache.kafka.common.replica.RackAwareReplicaSelector'

/** -1: the leader, who is asked, is the one to read from. */
export function preferredReplica(
  services: Services,
  context: RequestContext,
  partition: Partition,
  wanted: { readonly rackId: string; readonly fetchOffset: number },
): number {
  const { rackId, fetchOffset } = wanted
  if (rackId === '' || partition.followers.length === 0 || !partition.isLeader) return -1
  if (services.config.get('replica.selector.class') !== RACK_AWARE_SELECTOR) return -1
  const { brokerId, metadata, env } = services
  const nowMs = env.clock.monotonicMs()
  const { isr } = partition
  const readable = partition.followers.flatMap((follower) => {
    const broker = metadata.broker(follower.brokerId)
    const hasIt = follower.logEndOffset >= fetchOffset && follower.logStartOffset <= fetchOffset
    if (!hasIt || !isr.includes(follower.brokerId) || !broker?.endpoints.has(context.listenerName)) return []
    const { logEndOffset, lastCaughtUpMs } = follower
    return [{ brokerId: broker.id, rack: broker.rack, logEndOffset, behindMs: nowMs - lastCaughtUpMs }]
  })
  const rack = metadata.broker(brokerId)?.rack ?? null
  const leader = { brokerId, rack, logEndOffset: partition.log.logEndOffset, behindMs: 0 }
  const chosen = replicaInRack(rackId, leader, readable)
  return chosen === leader ? -1 : chosen.brokerId
}
