/** What is found in the files of a log, piece by piece: one object is one line of output, as text or as JSON. */
import type { Record, RecordHeader } from '../../protocol/record-batch.ts'

export interface DumpedBatch {
  readonly type: 'batch'
  readonly position: number
  readonly sizeBytes: number
  readonly magic: number
  readonly baseOffset: number
  readonly lastOffset: number
  /** null in formats 0 and 1, which do not say it. */
  readonly count: number | null
  readonly compression: string
  /** null in format 0. */
  readonly timestampType: 'CreateTime' | 'LogAppendTime' | null
  /** -1: none. */
  readonly maxTimestampMs: number
  readonly crc: number
  /** The CRC is right; null where the batch is too large to be looked into. */
  readonly isValid: boolean | null
  /** Format 2 only. */
  readonly partitionLeaderEpoch?: number
  /** -1, and so its epoch and sequences: the producer is not idempotent. */
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly lastSequence?: number
  readonly isTransactional?: boolean
  readonly isControl?: boolean
  /** null: none. */
  readonly deleteHorizonMs?: number | null
}

/** What a record of an internal topic says; `value` is null for a tombstone. */
export interface DecodedRecord {
  readonly key: object
  readonly value: object | null
}

export interface ControlMarker {
  readonly controlType: string
  /** Of ABORT and COMMIT. */
  readonly coordinatorEpoch?: number
}

export interface DumpedRecord {
  readonly type: 'record'
  readonly offset: number
  readonly timestampType: DumpedBatch['timestampType']
  readonly timestampMs: number
  /** -1: null. */
  readonly keySize: number
  readonly valueSize: number
  readonly sequence?: number
  readonly headerKeys?: readonly string[]
  readonly control?: ControlMarker
  /** The next three where contents are asked for. */
  readonly key?: Record['key']
  readonly value?: Record['value']
  readonly headers?: readonly RecordHeader[]
  /** In place of key and value where the topic's format is known. */
  readonly decoded?: DecodedRecord
}

export interface DumpedProducer {
  readonly type: 'producer'
  readonly producerId: number
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  /** -1: no transaction is open. */
  readonly currentTxnFirstOffset: number
  readonly lastTimestampMs: number
  /** Its last batch, if it has one. */
  readonly firstSequence?: number
  readonly lastSequence?: number
  readonly lastOffset?: number
  readonly offsetDelta?: number
}

export type Dumped =
  | { readonly type: 'file'; readonly kind: string; readonly sizeBytes: number }
  | DumpedBatch
  | DumpedRecord
  | {
      /** Ends a segment. Offsets are -1 where it has no batch; `gaps`: how often offsets are left out between batches. */
      readonly type: 'segmentEnd'
      readonly batches: number
      readonly records: number
      readonly firstOffset: number
      readonly lastOffset: number
      readonly validBytes: number
      readonly gaps: number
    }
  | { readonly type: 'offsetIndexEntry'; readonly offset: number; readonly position: number }
  | { readonly type: 'timeIndexEntry'; readonly timestampMs: number; readonly offset: number }
  | {
      readonly type: 'abortedTransaction'
      readonly producerId: number
      readonly firstOffset: number
      readonly lastOffset: number
      readonly lastStableOffset: number
    }
  | { readonly type: 'indexEnd'; readonly entries: number; readonly zeroFillBytes: number }
  | DumpedProducer
  | { readonly type: 'leaderEpoch'; readonly epoch: number; readonly startOffset: number }
  | {
      readonly type: 'checkpoint'
      readonly topic: string
      readonly partition: number
      readonly offset: number
    }
  | { readonly type: 'property'; readonly name: string; readonly value: string }
  | { readonly type: 'note' | 'problem'; readonly message: string }

/** Something is wrong with the file: the command ends with 1. */
export const problem = (message: string): Dumped => ({ type: 'problem', message })
/** Worth knowing, and nothing wrong. */
export const note = (message: string): Dumped => ({ type: 'note', message })
