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

export class CommitScan {
  /** Of the commit read last. */
  groupId = ''
  topic = ''
  partition = 0
  readonly #bytes: Buffer
  /** Where the names of the commit before begin, with the key's version; how many bytes they are, -1: there is none. */
  #namesAt = 0
  #namesBytes = -1

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
    if (keyBytes < 2 || valueBytes < 2) return null
    if (bytes[keyAt] !== 0 || bytes[keyAt + 1] > LATEST_KEY_VERSION) return null
    const version = bytes[valueAt + 1]
    if (bytes[valueAt] !== 0 || version > LATEST_VALUE_VERSION) return null
    try {
      this.#readKey(keyAt, keyBytes)
      return commitOf(version, new Reader(bytes, valueAt + 2, valueAt + valueBytes), recordOffset)
    } catch (error) {
      if (error instanceof MalformedMessageError) return null
      throw error
    }
  }

  #readKey(keyAt: number, keyBytes: number): void {
    const namesBytes = keyBytes - PARTITION_BYTES
    const reader = new Reader(this.#bytes, keyAt, keyAt + keyBytes)
    if (namesBytes === this.#namesBytes && this.#hasSameNames(keyAt)) {
      reader.position = keyAt + namesBytes
      this.partition = reader.int32()
      return
    }
    this.#namesBytes = -1
    reader.int16()
    this.groupId = reader.string()
    this.topic = reader.string()
    this.partition = reader.int32()
    // Whatever follows the partition is not looked at: such a key is no measure for the next one.
    if (reader.remaining === 0) {
      this.#namesAt = keyAt
      this.#namesBytes = namesBytes
    }
  }

  #hasSameNames(keyAt: number): boolean {
    const bytes = this.#bytes
    for (let i = this.#namesBytes - 1, at = this.#namesAt; i >= 0; i--) {
      if (bytes[at + i] !== bytes[keyAt + i]) return false
    }
    return true
  }
}

/** Throws MalformedMessageError. */
function commitOf(version: number, value: Reader, recordOffset: number): CommittedOffset {
  const offset = value.int64()
  const leaderEpoch = version >= 3 ? value.int32() : -1
  const metadata = value.string()
  const commitTimestampMs = value.int64()
  const expireTimestampMs = version === 1 ? value.int64() : -1
  return { offset, leaderEpoch, metadata, commitTimestampMs, expireTimestampMs, recordOffset }
}
