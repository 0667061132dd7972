/** A broker asks to be relieved of its leaderships before it stops. */
import { ErrorCode } from '../protocol/error-codes.ts'
import { leadershipOf, replicasOf } from './cluster-state.ts'
import { decideShutdown } from './decide/controlled-shutdown.ts'
import { changePartitions } from './partition-changes.ts'
import { RequestBatch } from './request-batch.ts'
import type { Term } from './term.ts'

export interface ControlledShutdownResult {
  readonly error: number
  /** What the broker still leads, and somebody else should: it asks again until there is nothing. */
  readonly remaining: readonly { readonly topic: string; readonly partition: number }[]
}

/** `brokerEpoch` -1: not known. Partitions with one replica are not moved, and not counted. */
export async function controlledShutdown(
  term: Term,
  broker: number,
  brokerEpoch: number,
): Promise<ControlledShutdownResult> {
  const { state, channels, logger, epoch } = term
  const known = state.brokers.get(broker)
  if (known === undefined) return { error: ErrorCode.BROKER_NOT_AVAILABLE, remaining: [] }
  if (brokerEpoch >= 0 && brokerEpoch < known.epoch)
    return { error: ErrorCode.STALE_BROKER_EPOCH, remaining: [] }
  logger.log('info', 'a broker is about to shut down', { broker })
  state.shuttingDown.add(broker)
  const concerned = state.servedPartitions().filter((ref) => {
    const replicas = replicasOf(ref)
    return replicas.length > 1 && replicas.includes(broker) && leadershipOf(ref) !== undefined
  })
  const followed = new Set(concerned.filter((ref) => leadershipOf(ref)!.leader !== broker))
  // First it ceases to fetch: a leader would take it into the in-sync set again.
  const stop = new RequestBatch(state, channels)
  for (const ref of followed) stop.stopReplica(broker, ref, false)
  stop.send()
  await changePartitions(term, concerned, (ref, current) => {
    const isOnline = (replica: number): boolean => state.isOnline(ref, replica)
    return decideShutdown(current, broker, { assigned: replicasOf(ref), isOnline }, epoch)
  })
  const batch = new RequestBatch(state, channels)
  for (const ref of concerned) {
    const told = replicasOf(ref).filter((id) => state.isServing(ref, id))
    if (!followed.has(ref)) batch.leaderAndIsr(ref, told)
    else
      batch.leaderAndIsr(
        ref,
        told.filter((id) => id !== broker),
      )
  }
  batch.send()
  const remaining = concerned
    .filter((ref) => leadershipOf(ref)?.leader === broker)
    .map(({ topic, partition }) => ({ topic, partition }))
  return { error: ErrorCode.NONE, remaining }
}
