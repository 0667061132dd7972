/**
 * The records of `__transaction_state`, in Kafka's format (coordinators.md 3): keyed by the transactional id, the whole
 * state as the value, a value of null is a tombstone. Field names are those of Kafka's own schema.
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
  },
})

const transactionLogKey = versioned(transactionLogKeySchema)
const transactionLogValue = versioned(transactionLogValueSchema)

const KEY_VERSION = 0
/** What Kafka 3.9 writes; it reads 1 as well. */
const VALUE_VERSION = 0

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
  return { key, value: value && transactionLogValue.encode(VALUE_VERSION, value) }
}

/** null for a key of another version, which Kafka passes over too. Throws MalformedMessageError. */
export function decodeRecord(key: Buffer, value: Buffer | null): TransactionRecord | null {
  if (key.length < 2 || key.readInt16BE(0) !== KEY_VERSION) return null
  const { transactionalId } = transactionLogKey.decode(key).value
  return { transactionalId, value: value && transactionLogValue.decode(value).value }
}
