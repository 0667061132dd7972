/** The files beside the segments that are read whole, or entry by entry: aborted transactions, producers, checkpoints. */
import type { Disk, DiskFile } from '../../env/disk.ts'
import { readCheckpointLines } from '../../log/checkpoint-file.ts'
import { firstSequenceOf } from '../../log/producer-entry.ts'
import type { ProducerEntry } from '../../log/producer-entry.ts'
import { decodeProducerSnapshot, faultOfProducerSnapshot } from '../../log/producer-snapshot.ts'
import { decodeTransactionIndexEntry, TRANSACTION_INDEX_ENTRY_BYTES } from '../../log/transaction-index.ts'
import { problem } from './dumped.ts'
import type { Dumped } from './dumped.ts'
import { IndexEntries } from './index-entries.ts'
import type { IndexOptions } from './index-entries.ts'

/** Far more than any of them takes. */
const MAX_FILE_BYTES = 64 * 1024 * 1024

export function* dumpTransactionIndex(
  file: DiskFile,
  { baseOffset, showEntries }: IndexOptions,
): Generator<Dumped> {
  const entries = new IndexEntries(file, TRANSACTION_INDEX_ENTRY_BYTES)
  yield* entries.checkSize()
  let lastOffset = -Infinity
  while (entries.next()) {
    const entry = decodeTransactionIndexEntry(entries.bytes, entries.at)
    if (entry === null) {
      yield problem(`entry ${entries.count - 1} has a version other than 0`)
      continue
    }
    if (showEntries) yield { type: 'abortedTransaction', ...entry }
    if (entry.lastOffset <= lastOffset || entry.firstOffset > entry.lastOffset) {
      yield problem(`the transaction from ${entry.firstOffset} to ${entry.lastOffset} is out of order`)
    }
    if (entry.lastOffset < baseOffset) {
      yield problem(`the transaction that ends at ${entry.lastOffset} ends before the segment begins`)
    }
    lastOffset = entry.lastOffset
  }
  yield entries.end()
}

/** Enough of a line to know it by. */
const beginOf = (line: string): string => line.slice(0, 100)

/** null where the file is too large to be what its name says. */
function readSmallFile(disk: Disk, path: string): Buffer | null {
  return (disk.stat(path)?.size ?? 0) > MAX_FILE_BYTES ? null : disk.readFile(path)
}

const TOO_LARGE = problem(`more than ${MAX_FILE_BYTES} bytes: not looked into`)

/** `offset`: in the file's name; what the snapshot tells of lies below. */
export function* dumpProducerSnapshot(disk: Disk, path: string, offset: number): Generator<Dumped> {
  const bytes = readSmallFile(disk, path)
  if (bytes === null) return yield TOO_LARGE
  const fault = faultOfProducerSnapshot(bytes)
  if (fault !== null) return yield problem(fault)
  for (const entry of decodeProducerSnapshot(bytes) ?? []) {
    yield producerOf(entry)
    const lastOffset = entry.batches.at(-1)?.lastOffset ?? -1
    if (offset >= 0 && lastOffset >= offset) {
      yield problem(
        `producer ${entry.producerId} has offset ${lastOffset}, at or above the snapshot's own ${offset}`,
      )
    }
  }
}

function producerOf(entry: ProducerEntry): Dumped {
  const last = entry.batches.at(-1)
  return {
    type: 'producer',
    producerId: entry.producerId,
    producerEpoch: entry.epoch,
    coordinatorEpoch: entry.coordinatorEpoch,
    currentTxnFirstOffset: entry.transactionFirstOffset,
    lastTimestampMs: entry.lastTimestampMs,
    ...(last && {
      firstSequence: firstSequenceOf(last),
      lastSequence: last.lastSequence,
      lastOffset: last.lastOffset,
      offsetDelta: last.offsetDelta,
    }),
  }
}

export function* dumpLeaderEpochs(disk: Disk, path: string): Generator<Dumped> {
  let [lastEpoch, lastStart] = [-Infinity, -Infinity]
  for (const words of yield* checkpointLines(disk, path)) {
    const [epoch, startOffset] = words.map(Number)
    if (words.length !== 2 || !Number.isSafeInteger(epoch) || !Number.isSafeInteger(startOffset)) {
      yield problem(`"${beginOf(words.join(' '))}" is no leader epoch`)
      continue
    }
    yield { type: 'leaderEpoch', epoch, startOffset }
    if (epoch <= lastEpoch || startOffset < lastStart) {
      yield problem(`epoch ${epoch} from ${startOffset} on is out of order`)
    }
    lastEpoch = epoch
    lastStart = startOffset
  }
}

export function* dumpOffsetCheckpoint(disk: Disk, path: string): Generator<Dumped> {
  for (const words of yield* checkpointLines(disk, path)) {
    const [topic, partition, offset] = [words[0], Number(words[1]), Number(words[2])]
    if (words.length === 3 && Number.isSafeInteger(partition) && Number.isSafeInteger(offset)) {
      yield { type: 'checkpoint', topic, partition, offset }
    } else yield problem(`"${beginOf(words.join(' '))}" is no partition's offset`)
  }
}

function* checkpointLines(disk: Disk, path: string): Generator<Dumped, string[][]> {
  if ((disk.stat(path)?.size ?? 0) > MAX_FILE_BYTES) {
    yield TOO_LARGE
    return []
  }
  const lines = readCheckpointLines(disk, path)
  if (lines === null) yield problem('no checkpoint file of version 0 with as many entries as it says')
  return lines ?? []
}

/** partition.metadata (`name: value`) and meta.properties (`name=value`). */
export function* dumpProperties(disk: Disk, path: string, separator: ':' | '='): Generator<Dumped> {
  const bytes = readSmallFile(disk, path)
  if (bytes === null) return yield TOO_LARGE
  for (const line of bytes.toString('utf8').split(/\r?\n/)) {
    const at = line.indexOf(separator)
    if (line.trim() === '' || line.startsWith('#')) continue
    if (at <= 0) yield problem(`"${beginOf(line)}" is not name${separator}value`)
    else yield { type: 'property', name: line.slice(0, at).trim(), value: line.slice(at + 1).trim() }
  }
}
