/**
 * Kafka's checkpoint files: text, line 1 the version 0, line 2 the number of entries, then one entry a line.
 * A file whose count does not match is invalid as a whole; an empty file holds no entries.
 */
import { DiskError, type Disk } from '../env/disk.ts'

/** Lines of words. null where there is no file, or an invalid one: also one that ends within a line, torn by a crash. */
export function readCheckpointLines(disk: Disk, path: string): string[][] | null {
  let text: string
  try {
    text = disk.readFile(path).toString('utf8')
  } catch (error) {
    if (error instanceof DiskError && error.code === 'NOT_FOUND') return null
    throw error
  }
  if (text.trim() === '') return []
  if (!text.endsWith('\n')) return null
  const lines = text.split('\n').map((line) => line.trim())
  lines.pop()
  if (lines[0] !== '0' || Number(lines[1]) !== lines.length - 2) return null
  return lines.slice(2).map((line) => line.split(/\s+/))
}

export function formatCheckpoint(entries: readonly string[]): string {
  return `0\n${entries.length}\n${entries.map((entry) => `${entry}\n`).join('')}`
}

export interface PartitionOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** Key of a partition in the maps of this folder: its directory's name. */
export function partitionKey(topic: string, partition: number): string {
  return `${topic}-${partition}`
}

/** Offsets by `partitionKey`. Empty where the file is missing; `valid` is false where it is there but broken. */
export function readOffsetCheckpoint(
  disk: Disk,
  path: string,
): { offsets: Map<string, number>; valid: boolean } {
  const offsets = new Map<string, number>()
  const lines = readCheckpointLines(disk, path)
  if (lines === null) return { offsets, valid: disk.stat(path) === null }
  for (const words of lines) {
    const partition = Number(words[1])
    const offset = Number(words[2])
    if (words.length !== 3 || !Number.isSafeInteger(partition) || !Number.isSafeInteger(offset)) {
      return { offsets: new Map(), valid: false }
    }
    offsets.set(partitionKey(words[0], partition), offset)
  }
  return { offsets, valid: true }
}

export function writeOffsetCheckpoint(
  disk: Disk,
  path: string,
  entries: readonly PartitionOffset[],
  options: { durable: boolean },
): void {
  const lines = entries.map(({ topic, partition, offset }) => `${topic} ${partition} ${offset}`)
  disk.replaceFile(path, formatCheckpoint(lines), options)
}
