/**
 * The records of `__transaction_state`, in Kafka's format (coordinators.md 3): keyed by the transactional id, the whole
 * state as the value, a value of null is a tombstone. Field names are those of Kafka's own schema.
 *
 * Written as Kafka 3.9 does, version 0; but version 1 where a client goes by transaction.version 2 (KIP-890), whose ids and
 * epochs need the tagged fields of Kafka 4. Kafka 3.9 reads that, too, and passes over the tags.
 */
import { versioned } from '../../protocol/compile.ts'
import { array, int16, int32, int64, int8, schema, string } from '../../protocol/schema.ts'
import type { Decoded } from '../../protocol/schema.ts'

const transactionLogKeySchema = schema({
  name: 'TransactionLogKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: { transactionalId: string },
})

const transactionLogValueSchema = schema({
  name: 'TransactionLogValue',
  versions: [0, 1],
  flexibleFrom: 1,
  fields: {
    producerId: int64,
    producerEpoch: int16,
    transactionTimeoutMs: int32,
    transactionStatus: int8,
    /** null where the state is Empty. */
    transactionPartitions: array({ topic: string, partitionIds: array(int32) }).nullable(),
    transactionLastUpdateTimestampMs: int64,
    /** -1 when no transaction has begun. */
    transactionStartTimestampMs: int64,
    previousProducerId: int64.default(-1).tagged(0, 1),
    nextProducerId: int64.default(-1).tagged(1, 1),
    clientTransactionVersion: int16.tagged(2, 1),
    /** Of KIP-939, which no client uses here. */
    nextProducerEpoch: int16.default(-1).tagged(3, 1),
  },
})

const transactionLogKey = versioned(transactionLogKeySchema)
const transactionLogValue = versioned(transactionLogValueSchema)

const KEY_VERSION = 0
const PLAIN_VALUE_VERSION = 0
const TAGGED_VALUE_VERSION = 1

export type TransactionLogValue = Decoded<typeof transactionLogValueSchema.fields>

/** `transactionStatus`, by its id. */
export const transactionStates = [
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  'Dead',
] as const

export interface TransactionRecord {
  readonly transactionalId: string
  readonly value: TransactionLogValue | null
}

export function encodeRecord({ transactionalId, value }: TransactionRecord): {
  key: Buffer
  value: Buffer | null
} {
  const key = transactionLogKey.encode(KEY_VERSION, { transactionalId })
  if (value === null) return { key, value }
  const version = value.clientTransactionVersion === 0 ? PLAIN_VALUE_VERSION : TAGGED_VALUE_VERSION
  return { key, value: transactionLogValue.encode(version, value) }
}

/** null for a key of another version, which Kafka passes over too. Throws MalformedMessageError. */
export function decodeRecord(key: Buffer, value: Buffer | null): TransactionRecord | null {
  if (key.length < 2 || key.readInt16BE(0) !== KEY_VERSION) return null
  const { transactionalId } = transactionLogKey.decode(key).value
  return { transactionalId, value: value && transactionLogValue.decode(value).value }
}
