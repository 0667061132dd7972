/** What one partition owes: everything that was acknowledged, once, in order. Held against what each start finds. */
import {
  keyOf,
  MAX_BATCH_RECORDS,
  RETENTION_BYTES,
  type Found,
  type FoundRecord,
  type Topic,
} from './partitions.ts'

export class Ledger {
  readonly #topic: Topic
  /** Acknowledged, or found by a start. By offset. */
  #records: FoundRecord[] = []
  #endOffset = 0
  /** Found by a start: on the disk, so that no later one finds less. */
  #logStartOffset = 0
  /** Of DeleteRecords. */
  #highestRaise = 0
  /** A truncation that may have happened in part. */
  #truncatingTo: number | null = null
  /** Of the process that was the last to append: what it was about to append has the ids from there on. */
  #nextId = 0
  /** Records. */
  readonly counts = { acknowledged: 0, compacted: 0, deleted: 0 }
  /** Up to there all was found by a start. */
  verifiedTo = 0

  constructor(topic: Topic) {
    this.#topic = topic
  }

  /** A process begins to work. */
  begins(firstId: number): void {
    this.#nextId = firstId
  }

  /** Gives what is wrong; null if nothing is. */
  appended(offset: number, id: number, count: number): string | null {
    if (offset !== this.#endOffset || id !== this.#nextId)
      return this.#says(`id ${id} at ${offset}, where id ${this.#nextId} at ${this.#endOffset} is next`)
    for (let index = 0; index < count; index++) this.#records.push({ offset: offset + index, id: id + index })
    this.#endOffset += count
    this.#nextId += count
    this.counts.acknowledged += count
    return null
  }

  truncating(offset: number): void {
    this.#truncatingTo = offset
    this.verifiedTo = Math.min(this.verifiedTo, offset)
  }

  truncated(): void {
    this.#endOffset = this.#truncatingTo!
    this.#records = this.#records.filter(({ offset }) => offset < this.#endOffset)
    this.#truncatingTo = null
  }

  raising(offset: number): void {
    this.#highestRaise = Math.max(this.#highestRaise, offset)
  }

  #says(problem: string): string {
    return `${this.#topic}: ${problem}`
  }

  /** Gives what is wrong; null if nothing is: then what was found is owed from now on. */
  found(found: Found): string | null {
    const problem = this.#problemOfStart(found) ?? this.#problemOfRecords(found)
    if (problem !== null) return this.#says(problem)
    const below = this.#records.filter(({ offset }) => offset >= found.logStartOffset && offset < found.from)
    this.counts.deleted += this.#records.filter(({ offset }) => offset < found.logStartOffset).length
    this.#records = [...below, ...found.records]
    this.#endOffset = found.logEndOffset
    this.#logStartOffset = found.logStartOffset
    this.#truncatingTo = null
    this.verifiedTo = found.logEndOffset
    return null
  }

  #problemOfStart({ logStartOffset, sizeBytes }: Found): string | null {
    if (logStartOffset < this.#logStartOffset)
      return `starts at ${logStartOffset}, it started at ${this.#logStartOffset} before`
    if (logStartOffset <= Math.max(this.#highestRaise, this.#logStartOffset)) return null
    const isRetention = this.#topic === 'retained' && sizeBytes >= RETENTION_BYTES
    return isRetention ? null : `starts at ${logStartOffset} and has ${sizeBytes} bytes`
  }

  #problemOfRecords(found: Found): string | null {
    const { records, from, logEndOffset } = found
    const owed = this.#records.filter(({ offset }) => offset >= from)
    const head = records.filter(({ offset }) => offset < this.#endOffset)
    const tail = records.slice(head.length)
    let index = 0
    const missing: FoundRecord[] = []
    for (const { offset, id } of head) {
      while (index < owed.length && owed[index].offset < offset) missing.push(owed[index++])
      const expected = owed[index++]
      if (expected === undefined || expected.offset !== offset)
        return `offset ${offset} was never there: ${id}`
      if (expected.id !== id) return `offset ${offset} holds id ${id}, not ${expected.id}`
    }
    const lost = owed.slice(index)
    const problem =
      this.#problemOfMissing(missing, found) ?? this.#problemOfLost(lost) ?? this.#problemOfTail(tail)
    if (problem !== null) return problem
    const endOffset = tail.at(-1) ?? (lost.length > 0 ? { offset: lost[0].offset - 1 } : null)
    const expectedEnd = endOffset === null ? this.#endOffset : endOffset.offset + 1
    return logEndOffset === expectedEnd ? null : `ends at ${logEndOffset}, not ${expectedEnd}`
  }

  /** Compaction alone takes records out of the middle: below the active segment, of keys that have a newer record. */
  #problemOfMissing(missing: readonly FoundRecord[], { records, activeBaseOffset }: Found): string | null {
    if (missing.length === 0) return null
    const newest = new Map(records.map(({ offset, id }) => [keyOf(id), offset]))
    const wrong = missing.find(
      ({ offset, id }) =>
        this.#topic !== 'compacted' || offset >= activeBaseOffset || (newest.get(keyOf(id)) ?? -1) <= offset,
    )
    this.counts.compacted += missing.length
    return wrong === undefined ? null : `offset ${wrong.offset} (id ${wrong.id}) is missing`
  }

  #problemOfLost(lost: readonly FoundRecord[]): string | null {
    if (lost.length === 0 || (this.#truncatingTo !== null && lost[0].offset >= this.#truncatingTo))
      return null
    return `${lost.length} acknowledged records are lost from offset ${lost[0].offset} (id ${lost[0].id}) on`
  }

  /** What was about to be acknowledged: one batch. */
  #problemOfTail(tail: readonly FoundRecord[]): string | null {
    const isExpected = tail.every(
      ({ offset, id }, index) => offset === this.#endOffset + index && id === this.#nextId + index,
    )
    if (isExpected && tail.length <= MAX_BATCH_RECORDS) return null
    return `ends with ${tail.length} records that nobody appended: ${JSON.stringify(tail.slice(0, 5))}`
  }
}
