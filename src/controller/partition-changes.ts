/** New states of partitions: decided, written, and given back for the brokers to be told. */
import { keyOf, leadershipOf, replicasOf } from './cluster-state.ts'
import type { Leadership, PartitionRef } from './cluster-state.ts'
import { decideNewPartition } from './decide/new-partition.ts'
import { decideLeadership, needsUncleanElection } from './decide/offline-replicas.ts'
import { decideWithoutReturned } from './decide/returned-replicas.ts'
import type { DecidedPartition } from './fenced-writes.ts'
import { readTopicSetting } from './read-cluster.ts'
import type { RequestBatch } from './request-batch.ts'
import type { Term } from './term.ts'
import type { DealtWith, PartitionStateZnode } from './znodes.ts'

const UNCLEAN_ELECTION = 'unclean.leader.election.enable'

/** null: it stays as it is. */
export type Decision = (ref: PartitionRef, current: Leadership) => PartitionStateZnode | null

/**
 * Decides and writes, again where another hand was quicker. Gives the partitions whose state is not what the brokers were
 * told last.
 */
export async function changePartitions(
  term: Term,
  partitions: readonly PartitionRef[],
  decide: Decision,
): Promise<PartitionRef[]> {
  const changed = new Map<string, PartitionRef>()
  for (let pending = partitions; pending.length > 0;) {
    const decided: DecidedPartition[] = []
    for (const ref of pending) {
      const current = leadershipOf(ref)
      const state = current === undefined ? null : decide(ref, current)
      if (state === null) continue
      decided.push({ ...ref, state })
      changed.set(keyOf(ref), ref)
    }
    if (decided.length === 0) break
    pending = await term.writes.updatePartitions(decided)
  }
  return [...changed.values()]
}

/** Gives partitions without a state their first one, where a replica lives; returns what is new. */
export async function createPartitions(
  { state, writes, epoch }: Term,
  partitions: readonly PartitionRef[],
): Promise<PartitionRef[]> {
  const created: DecidedPartition[] = []
  const live = state.liveBrokers()
  for (const ref of partitions) {
    if (leadershipOf(ref) !== undefined) continue
    const first = decideNewPartition(replicasOf(ref), live, epoch)
    if (first !== null) created.push({ ...ref, state: first })
  }
  if (created.length > 0) await writes.createPartitions(created)
  return created
}

/** Who leads, and who is in sync, of these partitions, by which replicas are online now. */
export async function settlePartitions(
  term: Term,
  partitions: readonly PartitionRef[],
): Promise<PartitionRef[]> {
  const { state, epoch } = term
  const unclean = new Map<string, boolean>()
  const changed = new Set<PartitionRef>()
  for (let pending = partitions; pending.length > 0;) {
    await readUncleanElection(term, topicsInNeed(term, pending), unclean)
    const settled = await changePartitions(term, pending, (ref, current) => {
      const isOnline = (replica: number): boolean => state.isOnline(ref, replica)
      const allowsUnclean = unclean.get(ref.topic) ?? false
      return decideLeadership(current, { assigned: replicasOf(ref), isOnline, allowsUnclean }, epoch)
    })
    for (const ref of settled) changed.add(ref)
    // Where another hand was quicker, an in-sync set may be another than the one that was looked at.
    const inNeed = topicsInNeed(term, settled).filter((topic) => !unclean.has(topic))
    pending = settled.filter(({ topic }) => inNeed.includes(topic))
  }
  return [...changed]
}

/**
 * At the beginning of a term: a broker whose registration is younger than a partition's state (`writtenZxids`) has come back
 * since, and no controller has dealt with that; nor has one with a registration that the controller before us, if it was one of
 * ours, has not left as `dealtWith`, though it may have written the state later.
 */
export async function leaveOutReturned(
  term: Term,
  writtenZxids: ReadonlyMap<PartitionRef, number>,
  dealtWith: DealtWith | null,
): Promise<void> {
  const { state, epoch } = term
  const known = dealtWith?.controllerEpoch === epoch - 1 ? dealtWith.brokerEpochs : null
  const hasReturnedSince = (replica: number, zxid: number): boolean => {
    const brokerEpoch = state.brokers.get(replica)?.epoch ?? -1
    return brokerEpoch > zxid || (brokerEpoch >= 0 && known !== null && known.get(replica) !== brokerEpoch)
  }
  const decided: DecidedPartition[] = []
  for (const [ref, writtenZxid] of writtenZxids) {
    const current = leadershipOf(ref)
    if (current === undefined || state.deletions.has(ref.topic)) continue
    const next = decideWithoutReturned(
      current,
      {
        assigned: replicasOf(ref),
        isOnline: (replica) => state.isOnline(ref, replica),
        hasReturned: (replica) => hasReturnedSince(replica, writtenZxid),
      },
      epoch,
    )
    if (next !== null) decided.push({ ...ref, state: next })
  }
  // Where another hand was quicker the state is younger than the registration now.
  if (decided.length > 0) await term.writes.updatePartitions(decided)
}

/** Topics that have a partition which only an unclean election could give a leader. */
function topicsInNeed({ state }: Term, partitions: readonly PartitionRef[]): string[] {
  const topics = new Set<string>()
  for (const ref of partitions) {
    const current = leadershipOf(ref)
    if (current === undefined || topics.has(ref.topic)) continue
    if (needsUncleanElection(current, (replica) => state.isOnline(ref, replica))) topics.add(ref.topic)
  }
  return [...topics]
}

/** What stands in the topics' configuration now. */
async function readUncleanElection(
  { session, settings }: Term,
  topics: readonly string[],
  into: Map<string, boolean>,
): Promise<void> {
  const byDefault = String(settings.uncleanElectionEnabled())
  const own = await readTopicSetting(session, topics, UNCLEAN_ELECTION)
  for (const topic of topics) into.set(topic, (own.get(topic) ?? byDefault) === 'true')
}

/** Partitions that were created or changed: to their serving replicas, and as metadata to all. */
export function tellChanges(
  { state }: Term,
  batch: RequestBatch,
  {
    created,
    changed,
  }: { readonly created: readonly PartitionRef[]; readonly changed: readonly PartitionRef[] },
): void {
  const tell = (ref: PartitionRef, isNew: boolean): void => {
    const serving = replicasOf(ref).filter((id) => state.isServing(ref, id))
    batch.leaderAndIsr(ref, serving, isNew)
  }
  for (const ref of created) tell(ref, true)
  for (const ref of changed) tell(ref, false)
}
