/**
 * Produce 0-12: appends one magic-2 batch per partition; up to v2 message sets of format 0 or 1 too, which are converted.
 * acks 0 sends no reply and closes the connection on an error, 1 answers when the leader has written, -1 when the
 * in-sync set has. v7 allows zstd, v8 adds record errors, v10 names the current leader (KIP-951).
 * v1 tells a throttle time, v2 the log append time, v11 knows TRANSACTION_ABORTABLE. Transactional batches are of one
 * producer; where their transaction is not open in a partition yet, its coordinator is asked, and from v12 on has the
 * partition added (../produce-in-transaction.ts).
 */
import type { AppendOutcome } from '../../log/types.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import { hasWholeMessage } from '../../protocol/message-set/check-message-set.ts'
import type { ProduceRequest, ProduceResponse } from '../../protocol/messages/00-produce.ts'
import type { Partition } from '../../replication/partition.ts'
import { waitUntilCommitted } from '../../replication/wait.ts'
import { nodeEndpointsFor } from '../leader-hints.ts'
import {
  appendVerified,
  hasTransactionalRecords,
  transactionOf,
  type Refusal,
  type Verdicts,
  verificationRefusal,
} from '../produce-in-transaction.ts'
import { isInternalTopic, mayWriteInternalTopics } from '../topic-names.ts'
import type { Verified } from '../txn-verification.ts'
import { CloseConnection, type RequestContext, type Services } from '../services.ts'

type Writable<T> = { -readonly [K in keyof T]: T[K] }
type TopicResponse = ProduceResponse['responses'][number]
type PartitionResponse = Writable<TopicResponse['partitionResponses'][number]>
type TopicReplies = { name: string; partitionResponses: PartitionResponse[] }[]

const ZSTD = 4
const MAGIC_BYTE = 16
const MAGIC_V2 = 2
/** In batches of magic 2. */
const ATTRIBUTES_LOW_BYTE = 22
/** Before it, clients send message sets, or what they take for one. */
const FIRST_VERSION_OF_BATCHES = 3
const ACKS_ALL = -1

/** Why what was appended is not acknowledged. */
const NOT_COMMITTED: Readonly<Record<number, string>> = {
  [ErrorCode.REQUEST_TIMED_OUT]: 'the in-sync set did not follow in time',
  [ErrorCode.NOT_LEADER_OR_FOLLOWER]: 'this broker no longer leads the partition',
  [ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND]:
    'appended, but the in-sync set has fewer replicas than min.insync.replicas asks for',
  [ErrorCode.KAFKA_STORAGE_ERROR]: 'the log directory has failed',
}

type Appended = Extract<AppendOutcome, { error: 0 }>

/** Replies that are not complete until something else has happened. */
type Pending = Promise<void>[]

export function handleProduce(
  services: Services,
  request: ProduceRequest,
  context: RequestContext,
): ProduceResponse | null | Promise<ProduceResponse | null> {
  if (!hasTransactionalRecords(request)) return appendAll(services, request, context)
  const transaction = transactionOf(request)
  if (typeof transaction === 'number') return refuseAll(request, transaction)
  return appendVerified(services, { request, context, transaction }, appendAll)
}

/** `verdicts`: on the partitions of a transaction, where their coordinator had to be asked. */
function appendAll(
  services: Services,
  request: ProduceRequest,
  context: RequestContext,
  verdicts?: Verdicts,
): ProduceResponse | null | Promise<ProduceResponse | null> {
  const pending: Pending = []
  const responses: TopicReplies = []
  for (const topic of request.topicData) {
    const partitionResponses: PartitionResponse[] = []
    for (const { index, records } of topic.partitionData) {
      const refused =
        refusal(services, request, context, { topic: topic.name, index, records }) ??
        verificationRefusal(verdicts, records, context.apiVersion)
      const partition = services.replicas.get(topic.name, index)
      if (refused) partitionResponses.push(failure(index, refused.error, refused.message))
      else if (context.apiVersion < FIRST_VERSION_OF_BATCHES && !hasWholeMessage(records!))
        partitionResponses.push(nothingAppended(partition!))
      else
        partitionResponses.push(
          append(services, partition!, records!, { request, pending, guard: verdicts?.get(records)?.guard }),
        )
    }
    responses.push({ name: topic.name, partitionResponses })
  }
  return whenDone(services, request, context, responses, pending)
}

function whenDone(
  services: Services,
  request: ProduceRequest,
  context: RequestContext,
  responses: TopicReplies,
  pending: Pending,
): ProduceResponse | null | Promise<ProduceResponse | null> {
  const finish = (): ProduceResponse | null => {
    if (request.acks !== 0) return withLeaderHints(services, context, responses)
    const failed = responses
      .flatMap((topic) => topic.partitionResponses)
      .find((reply) => reply.errorCode !== 0)
    // There is no reply to carry the error: a closed connection makes the producer look again.
    if (failed)
      throw new CloseConnection(`Produce with acks=0 failed: ${failed.errorMessage ?? failed.errorCode}`)
    return null
  }
  return pending.length === 0 ? finish() : Promise.all(pending).then(finish)
}

/** What is wrong with the request as a whole is wrong with all of it. */
function refuseAll(request: ProduceRequest, error: number): ProduceResponse {
  const isOfMore = error === ErrorCode.INVALID_PRODUCER_ID_MAPPING
  const message = isOfMore ? 'Transactional records contained more than one producer ID' : null
  if (request.acks === 0) throw new CloseConnection(`Produce with acks=0 failed: ${message ?? error}`)
  const responses = request.topicData.map(({ name, partitionData }) => ({
    name,
    partitionResponses: partitionData.map(({ index }) => failure(index, error, message)),
  }))
  return { responses }
}

const NO_BATCH: Refusal = {
  error: ErrorCode.INVALID_RECORD,
  message: 'a Produce request carries exactly one batch per partition',
}

/** What a version does not let a client send; Kafka's ProduceRequest.validateRecords. Before version 3 it lets everything. */
function badBytes(apiVersion: number, records: Buffer): Refusal | null {
  if (apiVersion < FIRST_VERSION_OF_BATCHES) return null
  if (records.length === 0) return NO_BATCH
  const magic = records[MAGIC_BYTE]
  if (magic < MAGIC_V2) {
    const message = `Produce version ${apiVersion} is for record batches of magic 2 only, not magic ${magic}`
    return { error: ErrorCode.INVALID_RECORD, message }
  }
  if (apiVersion < 7 && (records[ATTRIBUTES_LOW_BYTE] & 7) === ZSTD) {
    return { error: ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, message: 'zstd needs Produce version 7 or later' }
  }
  return null
}

function refusal(
  services: Services,
  request: ProduceRequest,
  context: RequestContext,
  at: { topic: string; index: number; records: Buffer | null },
): Refusal | null {
  const { topic, index, records } = at
  if (!services.metadata.partition(topic, index)) {
    return { error: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message: `there is no partition ${topic}-${index}` }
  }
  const bad = records === null ? NO_BATCH : badBytes(context.apiVersion, records)
  if (bad !== null) return bad
  if (request.acks < -1 || request.acks > 1) {
    return { error: ErrorCode.INVALID_REQUIRED_ACKS, message: `acks must be -1, 0 or 1, not ${request.acks}` }
  }
  if (isInternalTopic(topic) && !mayWriteInternalTopics(context)) {
    return { error: ErrorCode.INVALID_TOPIC_EXCEPTION, message: `${topic} is written by the broker only` }
  }
  if (!services.replicas.get(topic, index)) {
    return { error: ErrorCode.NOT_LEADER_OR_FOLLOWER, message: 'this broker does not host the partition' }
  }
  return null
}

function append(
  services: Services,
  partition: Partition,
  records: Buffer,
  { request, pending, guard }: { request: ProduceRequest; pending: Pending; guard: Verified['guard'] },
): PartitionResponse {
  const outcome = partition.append(records, 'client', request.acks, guard)
  if (outcome.error !== ErrorCode.NONE) return failureOf(partition, outcome)
  const { firstOffset, lastOffset, logAppendTimeMs, convertedRecords } = outcome as Appended
  services.conversions.add(partition.topic, 'produceMessageConversions', convertedRecords)
  // Clients take this error for success without an offset. Nobody hears it before the batch is committed, as of any other.
  const isOfUnknownPlace = firstOffset < 0 && request.acks !== 0
  const response: PartitionResponse = {
    index: partition.index,
    errorCode: isOfUnknownPlace ? ErrorCode.DUPLICATE_SEQUENCE_NUMBER : ErrorCode.NONE,
    baseOffset: firstOffset,
    logAppendTimeMs,
    logStartOffset: partition.log.logStartOffset,
  }
  const fail = (error: number, message: string): void => {
    Object.assign(response, failure(partition.index, error, message))
  }
  if (partition.log.flushDue && request.acks !== 0) {
    pending.push(
      partition.log
        .flush()
        .catch(() => fail(ErrorCode.KAFKA_STORAGE_ERROR, 'the log could not be flushed to disk')),
    )
  }
  if (request.acks === ACKS_ALL && partition.highWatermark <= lastOffset) {
    const { timers } = services.env
    pending.push(
      waitUntilCommitted(timers, partition, lastOffset + 1, request.timeoutMs).then((error) => {
        if (error !== ErrorCode.NONE) fail(error, NOT_COMMITTED[error])
      }),
    )
  }
  return response
}

/** Kafka's answer to a message set without a whole message. */
function nothingAppended(partition: Partition): PartitionResponse {
  const { logStartOffset } = partition.log
  return {
    index: partition.index,
    errorCode: ErrorCode.NONE,
    baseOffset: -1,
    logAppendTimeMs: -1,
    logStartOffset,
  }
}

/** These say nothing of the log; other errors tell its start, as Kafka does. */
const SILENT_OF_LOG_START: readonly number[] = [
  ErrorCode.NOT_LEADER_OR_FOLLOWER,
  ErrorCode.MESSAGE_TOO_LARGE,
  ErrorCode.RECORD_LIST_TOO_LARGE,
  ErrorCode.CORRUPT_MESSAGE,
  ErrorCode.KAFKA_STORAGE_ERROR,
]

function failureOf(partition: Partition, outcome: AppendOutcome): PartitionResponse {
  const { error, message, recordErrors } = outcome as Exclude<AppendOutcome, { error: 0 }>
  const response = failure(partition.index, error, message)
  if (!SILENT_OF_LOG_START.includes(error)) response.logStartOffset = partition.log.logStartOffset
  if (recordErrors) {
    response.recordErrors = recordErrors.map((record) => ({
      batchIndex: record.batchIndex,
      batchIndexErrorMessage: record.message,
    }))
  }
  return response
}

function failure(index: number, errorCode: number, errorMessage: string | null): PartitionResponse {
  return { index, errorCode, baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1, errorMessage }
}

function withLeaderHints(
  services: Services,
  context: RequestContext,
  responses: TopicReplies,
): ProduceResponse {
  if (context.apiVersion < 10) return { responses }
  const leaders = new Set<number>()
  for (const topic of responses) {
    for (const response of topic.partitionResponses) {
      if (response.errorCode !== ErrorCode.NOT_LEADER_OR_FOLLOWER) continue
      const known = services.metadata.partition(topic.name, response.index)
      if (!known || known.leader < 0) continue
      response.currentLeader = { leaderId: known.leader, leaderEpoch: known.leaderEpoch }
      leaders.add(known.leader)
    }
  }
  return { responses, nodeEndpoints: nodeEndpointsFor(services, context, leaders) }
}
