/**
 * Produce of transactional batches: before the first one of a transaction in a partition its coordinator is asked (KIP-890), or,
 * for clients of transaction.version 2, has the partition added.
 * Where that takes time, the records are copied, and what comes next on the connection waits its turn.
 */
import { errorName, ErrorCode } from '../protocol/error-codes.ts'
import type { ProduceRequest, ProduceResponse } from '../protocol/messages/00-produce.ts'
import * as batch from '../protocol/record-batch.ts'
import type { RequestContext, Services } from './services.ts'
import type { FirstBatch, Transaction, TransactionClient, Verified } from './txn-verification.ts'

export interface Refusal {
  readonly error: number
  readonly message: string
}

/** By the records that they are about, each a buffer of its own. */
export type Verdicts = ReadonlyMap<Buffer | null, Verified>

type Outcome = ProduceResponse | null
type Append = (
  services: Services,
  request: ProduceRequest,
  context: RequestContext,
  verdicts?: Verdicts,
) => Outcome | Promise<Outcome>

const MAGIC_BYTE = 16
const MAGIC_V2 = 2
const ATTRIBUTES_LOW_BYTE = 22
const TRANSACTIONAL = 0x10
/** It knows TRANSACTION_ABORTABLE. */
const FIRST_VERSION_OF_ABORTABLE = 11
/** Partitions are added by their leaders. */
const FIRST_VERSION_OF_ADDING = 12

function clientOf(apiVersion: number): TransactionClient {
  if (apiVersion >= FIRST_VERSION_OF_ADDING) return 'adds-by-writing'
  return apiVersion >= FIRST_VERSION_OF_ABORTABLE ? 'knows-abortable' : 'old'
}

/** Any batch of magic 2 with the flag: the first of each partition is looked at, and there may be only one. */
export function hasTransactionalRecords(request: ProduceRequest): boolean {
  for (const { partitionData } of request.topicData) {
    for (const { records } of partitionData) if (isTransactional(records)) return true
  }
  return false
}

function isTransactional(records: Buffer | null): records is Buffer {
  return (
    records !== null &&
    records[MAGIC_BYTE] === MAGIC_V2 &&
    (records[ATTRIBUTES_LOW_BYTE] & TRANSACTIONAL) !== 0
  )
}

/** Of a request with transactional records; an error code where they are not of one producer, or of none with a name. */
export function transactionOf({ transactionalId, topicData }: ProduceRequest): Transaction | number {
  if (transactionalId === null) return ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
  const batches = topicData.flatMap(({ partitionData }) =>
    partitionData.map(({ records }) => records).filter((records) => isWholeHeader(records)),
  )
  const [first] = batches
  if (first === undefined) return { transactionalId, producerId: -1, producerEpoch: -1 }
  const producerId = batch.producerId(first, 0)
  const producerEpoch = batch.producerEpoch(first, 0)
  const isOther = (records: Buffer): boolean =>
    batch.producerId(records, 0) !== producerId || batch.producerEpoch(records, 0) !== producerEpoch
  return batches.some(isOther)
    ? ErrorCode.INVALID_PRODUCER_ID_MAPPING
    : { transactionalId, producerId, producerEpoch }
}

/** What is shorter, or has no producer, is refused before it is appended. */
function isWholeHeader(records: Buffer | null): records is Buffer {
  return (
    isTransactional(records) && records.length >= batch.BATCH_OVERHEAD && batch.producerId(records, 0) >= 0
  )
}

interface InTransaction {
  readonly request: ProduceRequest
  readonly context: RequestContext
  readonly transaction: Transaction
}

/** `append` runs once the verdicts are there; at once where nobody far away must be asked. */
export function appendVerified(
  services: Services,
  { request, context, transaction }: InTransaction,
  append: Append,
): Outcome | Promise<Outcome> {
  const { connectionOrder, txnVerification } = services
  const { connectionId, apiVersion } = context
  const verify = (found: readonly Found[]) =>
    txnVerification.verifyPatiently(transaction, found, clientOf(apiVersion))
  const before = connectionOrder.before(connectionId)
  const found = before === null ? firstBatches(services, request) : []
  const verified = before === null ? verify(found) : null
  if (verified !== null && !(verified instanceof Promise))
    return append(services, request, context, verdictsOn(found, verified))
  // What was read goes with the handler.
  const { copy, copies } = copyOf(request)
  const asked =
    verified === null
      ? before!.then(async () => {
          const later = firstBatches(services, copy)
          return verdictsOn(later, await verify(later))
        })
      : verified.then((verdicts) => {
          const copied = found.map(({ records }) => ({ records: copies.get(records)! }))
          return verdictsOn(copied, verdicts)
        })
  return connectionOrder.follow(connectionId, asked, (verdicts) => append(services, copy, context, verdicts))
}

type Found = FirstBatch & { readonly records: Buffer }

/** Those that are hosted here: what is not is refused by the append. */
function firstBatches({ replicas }: Services, { topicData }: ProduceRequest): Found[] {
  const found: Found[] = []
  for (const { name, partitionData } of topicData) {
    for (const { index, records } of partitionData) {
      if (!isWholeHeader(records)) continue
      const partition = replicas.get(name, index)
      if (partition !== undefined)
        found.push({ partition, sequence: batch.baseSequence(records, 0), records })
    }
  }
  return found
}

function verdictsOn(found: readonly { readonly records: Buffer }[], verified: readonly Verified[]): Verdicts {
  return new Map(found.map(({ records }, index) => [records, verified[index]]))
}

function copyOf(request: ProduceRequest): { copy: ProduceRequest; copies: Map<Buffer, Buffer> } {
  const copies = new Map<Buffer, Buffer>()
  const topicData = request.topicData.map(({ name, partitionData }) => ({
    name,
    partitionData: partitionData.map(({ index, records }) => {
      if (records === null) return { index, records }
      const copied = Buffer.from(records)
      copies.set(records, copied)
      return { index, records: copied }
    }),
  }))
  return { copy: { ...request, topicData }, copies }
}

/** Instead of these an error is told that a producer tries again, of whatever age it is. */
const TRIED_AGAIN: readonly number[] = [
  ErrorCode.NETWORK_EXCEPTION,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
]

/** What the coordinator's error is to a producer. */
export function verificationRefusal(
  verdicts: Verdicts | undefined,
  records: Buffer | null,
  apiVersion: number,
): Refusal | null {
  if (verdicts === undefined || !isWholeHeader(records)) return null
  const verdict = verdicts.get(records)
  // It was not hosted here when it was to be verified.
  if (verdict === undefined)
    return { error: ErrorCode.NOT_LEADER_OR_FOLLOWER, message: 'this broker did not lead the partition' }
  const { error } = verdict
  if (error === ErrorCode.NONE) return null
  const isBusy = error === ErrorCode.CONCURRENT_TRANSACTIONS && apiVersion < FIRST_VERSION_OF_ADDING
  if (isBusy || TRIED_AGAIN.includes(error)) {
    const message = `Unable to verify the partition has been added to the transaction. Underlying error: ${errorName(error)}`
    return { error: ErrorCode.NOT_ENOUGH_REPLICAS, message }
  }
  if (error === ErrorCode.INVALID_TXN_STATE)
    return { error, message: 'Partition was not added to the transaction' }
  return { error, message: `the transaction could not be verified: ${errorName(error)}` }
}
