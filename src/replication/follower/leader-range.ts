/** Asks a leader where its logs begin and end (ListOffsets 9, as a follower does). */
import { NetworkError } from '../../env/network.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { ListOffsetsRequest } from '../../protocol/messages/02-list-offsets.ts'
import type { LeaderChannel, ListOffsetsAnswer } from '../leader-channel.ts'
import type { Followed } from './followed.ts'

const LATEST = -1
/** KIP-405: what lies on the leader's own disk. */
const EARLIEST_LOCAL = -4

export type LeaderRange =
  | { readonly logStartOffset: number; readonly logEndOffset: number }
  /** A Kafka error code; NETWORK_EXCEPTION: the leader could not be asked. */
  | { readonly error: number }

/** Who is missing in the answer was not in the leader's. */
export async function findRanges(
  channel: LeaderChannel,
  brokerId: number,
  wanted: readonly Followed[],
): Promise<Map<Followed, LeaderRange>> {
  const ranges = new Map<Followed, LeaderRange>()
  try {
    const [latest, earliest] = await Promise.all([
      channel.listOffsets(requestFor(wanted, brokerId, LATEST)),
      channel.listOffsets(requestFor(wanted, brokerId, EARLIEST_LOCAL)),
    ])
    const ends = byName(latest)
    const starts = byName(earliest)
    for (const followed of wanted) {
      const end = ends.get(followed.name)
      const start = starts.get(followed.name)
      if (end === undefined || start === undefined) continue
      const error = end.errorCode !== ErrorCode.NONE ? end.errorCode : start.errorCode
      if (error !== ErrorCode.NONE) ranges.set(followed, { error })
      else ranges.set(followed, { logStartOffset: start.offset, logEndOffset: end.offset })
    }
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error
    for (const followed of wanted) ranges.set(followed, { error: ErrorCode.NETWORK_EXCEPTION })
  }
  return ranges
}

function requestFor(wanted: readonly Followed[], brokerId: number, timestamp: number): ListOffsetsRequest {
  const topics = new Map<string, ListOffsetsRequest['topics'][number]['partitions']>()
  for (const { topic, index, leaderEpoch } of wanted) {
    let partitions = topics.get(topic)
    if (partitions === undefined) topics.set(topic, (partitions = []))
    partitions.push({ partitionIndex: index, currentLeaderEpoch: leaderEpoch, timestamp, maxNumOffsets: 1 })
  }
  return {
    replicaId: brokerId,
    isolationLevel: 0,
    topics: [...topics].map(([name, partitions]) => ({ name, partitions })),
  }
}

type PartitionAnswer = ListOffsetsAnswer['topics'][number]['partitions'][number]

function byName({ topics }: ListOffsetsAnswer): Map<string, PartitionAnswer> {
  const answers = new Map<string, PartitionAnswer>()
  for (const { name, partitions } of topics) {
    for (const answer of partitions) answers.set(`${name}-${answer.partitionIndex}`, answer)
  }
  return answers
}
