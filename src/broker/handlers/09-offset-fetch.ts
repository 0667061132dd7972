/**
 * OffsetFetch 1-9: what a group has committed. v2 may ask for all its partitions (null topics) and has an error for the
 * whole request, v7 asks not to be given offsets that a transaction is about to change (KIP-447), v8 names several groups
 * at once (KIP-709). Nothing committed: offset -1, no error.
 * In v9 members of consumer groups (KIP-848) name themselves and their epoch: STALE_MEMBER_EPOCH. Not here: v0, which reads
 * from ZooKeeper.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { OffsetFetchRequest, OffsetFetchResponse } from '../../protocol/messages/09-offset-fetch.ts'
import type { Handler } from '../services.ts'

export const handleOffsetFetch: Handler<OffsetFetchRequest, OffsetFetchResponse> = (
  { groups },
  request,
  { apiVersion },
) => {
  const { requireStable } = request
  if (apiVersion >= 8) {
    const answers = request.groups.map(({ groupId, topics, memberId, memberEpoch }) => ({
      groupId,
      ...groups.fetchOffsets(groupId, topics, requireStable, { memberId, memberEpoch }),
    }))
    return { topics: [], groups: answers }
  }
  const answer = groups.fetchOffsets(request.groupId, request.topics, requireStable)
  if (apiVersion >= 2 || answer.errorCode === ErrorCode.NONE) return { ...answer, groups: [] }
  return { topics: failedTopics(request.topics ?? [], answer.errorCode), groups: [] }
}

/** v1 has no error for the whole request: each partition carries it. */
function failedTopics(topics: readonly { name: string; partitionIndexes: number[] }[], errorCode: number) {
  return topics.map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((partitionIndex) => ({
      partitionIndex,
      committedOffset: -1,
      metadata: '',
      errorCode,
    })),
  }))
}
