/** The directory of one partition: made with its first record, and of one topic by its id. */
import { DiskError, type Disk } from '../env/disk.ts'
import { join, PARTITION_METADATA_FILE } from './file-names.ts'
import { readTopicId, writeTopicId } from './partition-metadata.ts'

const NO_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA'

export class PartitionDirectory {
  readonly path: string
  readonly #disk: Disk
  /** null: still to be read from partition.metadata */
  #topicId: string | null
  #exists: boolean
  #isUnwritten = false

  constructor(disk: Disk, path: string, { topicId, exists }: { topicId: string | null; exists: boolean }) {
    this.#disk = disk
    this.path = path
    this.#topicId = topicId
    this.#exists = exists
  }

  /** False before the first record: a crash then loses nothing that the coordination service does not know. */
  get exists(): boolean {
    return this.#exists
  }

  /** Throws DiskError. */
  make(): void {
    this.#disk.makeDirectory(this.path)
    if (this.#topicId !== null) this.#writeTopicId(this.#topicId)
    this.#exists = true
  }

  /** Zeros where no file says it. */
  get topicId(): string {
    if (this.#topicId === null) this.#topicId = readTopicId(this.#disk, this.path)
    return this.#topicId ?? NO_TOPIC_ID
  }

  /** False: it is of another topic of this name. A directory that names no topic belongs to whoever asks. */
  belongsTo(topicId: string): boolean {
    return this.topicId === topicId || this.topicId === NO_TOPIC_ID || topicId === NO_TOPIC_ID
  }

  /**
   * For a directory whose partition.metadata was lost, or never written. On a full disk `complete` writes it later: until then it is
   * known, as it would be without the file. Throws DiskError.
   */
  adopt(topicId: string): void {
    if (this.topicId !== NO_TOPIC_ID || topicId === NO_TOPIC_ID) return
    this.#topicId = topicId
    this.#isUnwritten = true
    try {
      this.complete()
    } catch (error) {
      if (!(error instanceof DiskError && error.code === 'NO_SPACE')) throw error
    }
  }

  /** Writes what there was no room for. Throws DiskError. */
  complete(): void {
    if (this.#isUnwritten) this.#writeTopicId(this.topicId)
    this.#isUnwritten = false
  }

  #writeTopicId(topicId: string): void {
    writeTopicId(this.#disk, join(this.path, PARTITION_METADATA_FILE), topicId)
  }
}
