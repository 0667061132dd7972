/**
 * OffsetCommit 1-9: stores a group's positions in `__consumer_offsets`. v1 carries a timestamp for each partition, v2-4 a
 * retention for the whole request, v6 the leader epoch, v7 the instance id of a static member (KIP-345).
 * Members of consumer groups (KIP-848) commit with v9 and their epoch: STALE_MEMBER_EPOCH. Not here: v0, which writes to
 * ZooKeeper.
 */
import type { OffsetCommitRequest, OffsetCommitResponse } from '../../protocol/messages/08-offset-commit.ts'
import type { Handler } from '../services.ts'

export const handleOffsetCommit: Handler<OffsetCommitRequest, OffsetCommitResponse> = (
  services,
  request,
  { apiVersion },
) => services.groups.offsetCommit(request, apiVersion)
