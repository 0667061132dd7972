/**
 * Commits as they lie in a batch of `__consumer_offsets`. A load reads millions of them: nothing is sliced or looked up in a
 * table here, and the names of a record that has those of the one before (a request commits many partitions) are not read again.
 * Source of the layout: coordinators.md 3.
 */
import { MalformedMessageError, Reader } from '../../protocol/reader.ts'
import type { RecordCursor } from '../../protocol/record-batch.ts'
import type { CommittedOffset } from './group.ts'

const LATEST_KEY_VERSION = 1
/** From 4 on the value has tagged fields. */
const LATEST_VALUE_VERSION = 3
const PARTITION_BYTES = 4
/** Version, offset, no metadata, commit timestamp. */
const SHORTEST_VALUE_BYTES = 20

/** Less than any key has, also one that is too short, or null. */
const NO_NAMES = -100

export class CommitScan {
  /** Of the commit read last. */
  groupId = ''
  topic = ''
  partition = 0
  readonly #bytes: Buffer
  /** Where the names of the commit before begin, with the key's version; how many bytes they are. */
  #namesAt = 0
  #namesBytes = NO_NAMES

  /** `bytes`: the records of one batch, uncompressed. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /**
   * The commit that the record at the cursor is. null: it is another record, a tombstone, malformed, or in a form that is not
   * read here: `decodeRecord` says what it is.
   */
  read({ keyAt, keyBytes, valueAt, valueBytes }: RecordCursor, recordOffset: number): CommittedOffset | null {
    const bytes = this.#bytes
    if (valueBytes < SHORTEST_VALUE_BYTES) return null
    const version = bytes[valueAt + 1]
    if (bytes[valueAt] !== 0 || version > LATEST_VALUE_VERSION) return null
    const metadataAt = valueAt + (version >= 3 ? 16 : 12)
    const metadataBytes = int16At(bytes, metadataAt - 2)
    const timestampAt = metadataAt + metadataBytes
    const end = timestampAt + (version === 1 ? 16 : 8)
    if (metadataBytes < 0 || end > valueAt + valueBytes || !this.#readKey(keyAt, keyBytes)) return null
    return {
      offset: int64At(bytes, valueAt + 2),
      leaderEpoch: version >= 3 ? int32At(bytes, valueAt + 10) : -1,
      metadata: metadataBytes === 0 ? '' : bytes.toString('utf8', metadataAt, timestampAt),
      commitTimestampMs: int64At(bytes, timestampAt),
      expireTimestampMs: version === 1 ? int64At(bytes, timestampAt + 8) : -1,
      recordOffset,
    }
  }

  /** False: it is not the key of a commit. */
  #readKey(keyAt: number, keyBytes: number): boolean {
    const namesBytes = keyBytes - PARTITION_BYTES
    if (namesBytes !== this.#namesBytes || !this.#hasSameNames(keyAt)) {
      if (!this.#readNames(keyAt, keyBytes)) return false
      this.#namesAt = keyAt
      this.#namesBytes = namesBytes
    }
    this.partition = int32At(this.#bytes, keyAt + namesBytes)
    return true
  }

  #hasSameNames(keyAt: number): boolean {
    const bytes = this.#bytes
    for (let i = this.#namesBytes - 1, at = this.#namesAt; i >= 0; i--) {
      if (bytes[at + i] !== bytes[keyAt + i]) return false
    }
    return true
  }

  /** False also where bytes follow the partition, which a decoder passes over. */
  #readNames(keyAt: number, keyBytes: number): boolean {
    const bytes = this.#bytes
    if (keyBytes < 2 || bytes[keyAt] !== 0 || bytes[keyAt + 1] > LATEST_KEY_VERSION) return false
    const reader = new Reader(bytes, keyAt + 2, keyAt + keyBytes)
    try {
      this.groupId = reader.string()
      this.topic = reader.string()
    } catch (error) {
      if (!(error instanceof MalformedMessageError)) throw error
      this.#namesBytes = NO_NAMES
      return false
    }
    this.#namesBytes = NO_NAMES
    return reader.remaining === PARTITION_BYTES
  }
}

/** Bytes are combined by hand, as in Reader, and 64-bit numbers saturate as there. */
function int16At(bytes: Buffer, at: number): number {
  return (((bytes[at] << 8) | bytes[at + 1]) << 16) >> 16
}

function int32At(bytes: Buffer, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
}

function int64At(bytes: Buffer, at: number): number {
  const value = int32At(bytes, at) * 4294967296 + (int32At(bytes, at + 4) >>> 0)
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value))
}
