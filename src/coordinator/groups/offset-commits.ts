/** OffsetCommit and TxnOffsetCommit: what a group, or a producer for it, has reached. Source of the rules: coordinators.md 5. */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { OffsetCommitRequest, OffsetCommitResponse } from '../../protocol/messages/08-offset-commit.ts'
import type {
  TxnOffsetCommitRequest,
  TxnOffsetCommitResponse,
} from '../../protocol/messages/28-txn-offset-commit.ts'
import { andThen } from '../later.ts'
import type { Later } from '../later.ts'
import { AskedCommits } from './asked-commits.ts'
import type { AnsweredTopic, AskedTopic } from './asked-commits.ts'
import type { Commit, Group } from './group.ts'
import type { GroupAccess } from './group-access.ts'
import type { CommittingProducer } from './group-runtime.ts'
import { checkOffsetCommit, checkTxnOffsetCommit, NO_RETENTION } from './offsets.ts'
import type { GroupPartition } from './replay.ts'
import { commitStoreError } from './store-errors.ts'

export interface OffsetCommitsParts extends GroupAccess {
  /**
   * Whether the producer's transaction includes a partition of `__consumer_offsets`: an error code, and what an append to it
   * needs (AppendWishes.guard). `apiVersion`: of TxnOffsetCommit, which from 4 on knows TRANSACTION_ABORTABLE.
   */
  verifyTransaction(
    partition: number,
    transaction: {
      readonly transactionalId: string
      readonly producerId: number
      readonly producerEpoch: number
    },
    apiVersion: number,
  ): Later<{ readonly error: number; readonly guard: CommittingProducer['guard'] }>
}

export class OffsetCommits {
  readonly #parts: OffsetCommitsParts
  readonly #partitionCount: (topic: string) => number | undefined

  constructor(parts: OffsetCommitsParts) {
    this.#parts = parts
    this.#partitionCount = (topic) => parts.metadata.partitionCount(topic)
  }

  commit(request: OffsetCommitRequest, apiVersion: number): Later<OffsetCommitResponse> {
    return this.#answer(request.topics, (asked) => this.#commit(request, apiVersion, asked))
  }

  commitInTransaction(request: TxnOffsetCommitRequest, apiVersion: number): Later<TxnOffsetCommitResponse> {
    return this.#answer(request.topics, (asked) => this.#commitInTransaction(request, apiVersion, asked))
  }

  #answer(
    topics: readonly AskedTopic[],
    commit: (asked: AskedCommits) => Later<number>,
  ): Later<{ topics: AnsweredTopic[] }> {
    const asked = new AskedCommits(topics, this.#partitionCount)
    const outcome = asked.hasAny ? commit(asked) : ErrorCode.NONE
    return andThen(outcome, (error) => asked.answered(error))
  }

  /** The error for all of them; what is wrong with one alone is put into its answer. */
  #commit(request: OffsetCommitRequest, apiVersion: number, asked: AskedCommits): Later<number> {
    const { runtime, consumers } = this.#parts
    const partition = this.#parts.anyPartitionOf(request.groupId)
    if (typeof partition === 'number') return partition
    const { groupId, retentionTimeMs: retentionMs, generationIdOrMemberEpoch: generationId } = request
    // A generation of a group that is not there is an old one.
    if (generationId >= 0 && !partition.groups.has(groupId)) return ErrorCode.ILLEGAL_GENERATION
    const group = runtime.groupFor(partition, groupId)
    if (group === undefined) return ErrorCode.COORDINATOR_NOT_AVAILABLE
    const again = (): Later<number> => this.#commit(request, apiVersion, asked)
    const queued = consumers.afterStoring(group, again, (error) => error)
    if (queued !== null) return queued
    const { memberId, groupInstanceId } = request
    const committer = { memberId, groupInstanceId, generationId, apiVersion }
    const error = checkOffsetCommit(group, committer, runtime.nowMs)
    if (error !== ErrorCode.NONE) return error
    return this.#store(partition, group, this.#commitsOf(asked, retentionMs))
  }

  /** As `#commit`. The first time, the transaction's coordinator is asked whether it knows (KIP-890). */
  #commitInTransaction(
    request: TxnOffsetCommitRequest,
    apiVersion: number,
    asked: AskedCommits,
  ): Later<number> {
    const { runtime, consumers, partitionOf } = this.#parts
    const { groupId, producerId, producerEpoch } = request
    const home = partitionOf(groupId)
    if (typeof home === 'number') return home
    const verified = this.#parts.verifyTransaction(home.index, request, apiVersion)
    return andThen(verified, ({ error: refused, guard }) => {
      if (refused !== ErrorCode.NONE) return commitStoreError(refused)
      const partition = partitionOf(groupId)
      if (typeof partition === 'number') return partition
      // As of OffsetCommit; before version 5, as in Kafka 3.9, it is the member who is unknown.
      const isOld = apiVersion >= 5 && request.generationId >= 0 && !partition.groups.has(groupId)
      if (isOld) return ErrorCode.ILLEGAL_GENERATION
      const group = runtime.groupFor(partition, groupId)
      if (group === undefined) return ErrorCode.COORDINATOR_NOT_AVAILABLE
      const again = (): Later<number> => this.#commitInTransaction(request, apiVersion, asked)
      const queued = consumers.afterStoring(group, again, (code) => code)
      if (queued !== null) return queued
      const error = checkTxnOffsetCommit(group, request)
      if (error !== ErrorCode.NONE) {
        runtime.settle(partition, group)
        return error
      }
      const commits = this.#commitsOf(asked, NO_RETENTION)
      return this.#store(partition, group, commits, { producerId, producerEpoch, guard })
    })
  }

  #commitsOf(asked: AskedCommits, retentionMs: number): Commit[] {
    const { config, runtime } = this.#parts
    return asked.commits(config.offsetMetadataMaxBytes, { wallMs: runtime.wallMs, retentionMs })
  }

  #store(
    partition: GroupPartition,
    group: Group,
    commits: readonly Commit[],
    producer?: CommittingProducer,
  ): Later<number> {
    const { runtime } = this.#parts
    const outcome =
      commits.length === 0 ? ErrorCode.NONE : runtime.commit(partition, group, commits, producer)
    return andThen(outcome, (failure) => {
      runtime.settle(partition, group)
      return commitStoreError(failure)
    })
  }
}
