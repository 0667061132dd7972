/**
 * TxnOffsetCommit 0-5: offsets that a group has reached in a producer's transaction (KIP-98); they count when it is committed.
 * v2 carries the leader epoch, v3 the member that commits (KIP-447), v4 knows TRANSACTION_ABORTABLE (KIP-890), v5 puts the
 * group's partition into the transaction (KIP-890, part 2).
 */
import { andThen } from '../../coordinator/later.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  TxnOffsetCommitRequest,
  TxnOffsetCommitResponse,
} from '../../protocol/messages/28-txn-offset-commit.ts'
import type { Handler } from '../services.ts'

/** Producers before 2.3 fail when they hear of loading (KAFKA-7296). */
const FIRST_VERSION_OF_LOADING = 2

export const handleTxnOffsetCommit: Handler<TxnOffsetCommitRequest, TxnOffsetCommitResponse> = (
  services,
  request,
  context,
) =>
  andThen(services.groups.txnOffsetCommit(request, context), (response) =>
    context.apiVersion < FIRST_VERSION_OF_LOADING ? withoutLoading(response) : response,
  )

function withoutLoading({ topics }: TxnOffsetCommitResponse): TxnOffsetCommitResponse {
  return {
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, errorCode }) => {
        const isLoading = errorCode === ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        return { partitionIndex, errorCode: isLoading ? ErrorCode.COORDINATOR_NOT_AVAILABLE : errorCode }
      }),
    })),
  }
}
