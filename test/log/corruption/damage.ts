/** Damages one file of a data directory as a bad disk would, by a seed. */
import type { SimDisk } from '../../../src/env/sim/disk.ts'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { baseOffset, batchSize } from '../../../src/protocol/record-batch.ts'

export interface Damage {
  readonly path: string
  /** `.log`, `.index`, ... or the whole name. */
  readonly kind: string
  readonly how: string
  /** The first changed byte. */
  readonly position: number
  readonly before: Buffer
  readonly after: Buffer
}

export function filesBelow(disk: SimDisk, directory: string): string[] {
  return disk.list(directory).flatMap((name) => {
    const path = `${directory}/${name}`
    return disk.stat(path)!.isDirectory ? filesBelow(disk, path) : [path]
  })
}

function kindOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  return /^\d{20}(\..*)$/.exec(name)?.[1] ?? name
}

type Change = readonly [how: string, change: (bytes: Buffer, random: SeededRandom) => Buffer]

const flipBit = (bytes: Buffer, random: SeededRandom): Buffer => {
  if (bytes.length > 0) bytes[random.integer(bytes.length)] ^= 1 << random.integer(8)
  return bytes
}

const changes: readonly Change[] = [
  ['a bit', flipBit],
  [
    'a bit near the start',
    (bytes, random) =>
      Buffer.concat([flipBit(Buffer.from(bytes.subarray(0, 61)), random), bytes.subarray(61)]),
  ],
  [
    'a bit near the end',
    (bytes, random) =>
      Buffer.concat([bytes.subarray(0, -70), flipBit(Buffer.from(bytes.subarray(-70)), random)]),
  ],
  [
    'a byte',
    (bytes, random) => {
      if (bytes.length > 0) bytes[random.integer(bytes.length)] = random.integer(256)
      return bytes
    },
  ],
  [
    'some bits',
    (bytes, random) => {
      for (let count = 2 + random.integer(5); count > 0; count--) flipBit(bytes, random)
      return bytes
    },
  ],
  [
    'zeros',
    (bytes, random) => {
      const from = random.integer(bytes.length + 1)
      return bytes.fill(0, from, Math.min(bytes.length, from + 1 + random.integer(600)))
    },
  ],
  ['cut', (bytes, random) => bytes.subarray(0, random.integer(bytes.length + 1))],
  [
    'longer',
    (bytes, random) => {
      const tail = Buffer.alloc(1 + random.integer(200))
      if (random.next() < 0.5)
        for (let index = 0; index < tail.length; index++) tail[index] = random.integer(256)
      return Buffer.concat([bytes, tail])
    },
  ],
]

function firstDifference(one: Buffer, other: Buffer): number {
  const length = Math.min(one.length, other.length)
  for (let at = 0; at < length; at++) if (one[at] !== other[at]) return at
  return length
}

/** Half of them in records and indexes; each other kind as often as any. */
export function damage(disk: SimDisk, seed: number): Damage {
  const random = new SeededRandom(seed)
  const byKind = new Map<string, string[]>()
  for (const path of filesBelow(disk, '/data'))
    byKind.set(kindOf(path), [...(byKind.get(kindOf(path)) ?? []), path])
  const often = ['.log', '.log', '.log', '.index', '.timeindex', '.txnindex'].filter((kind) =>
    byKind.has(kind),
  )
  const kinds = random.next() < 0.5 ? often : [...byKind.keys()]
  const kind = kinds[random.integer(kinds.length)]
  const paths = byKind.get(kind)!
  const path = paths[random.integer(paths.length)]
  const before = disk.readFile(path)
  const [how, change] = changes[random.integer(changes.length)]
  const after = Buffer.from(change(Buffer.from(before), random))
  disk.replaceFile(path, after)
  return { path, kind, how, position: firstDifference(before, after), before, after }
}

/** Of the first damaged batch in a `.log`; the end of what was there where only more has come. */
export function firstDamagedOffset({ before, position, path }: Damage): number {
  let at = 0
  let end = Number(/(\d{20})\./.exec(path)![1])
  while (at < before.length) {
    const size = batchSize(before, at)
    if (position < at + size) return baseOffset(before, at)
    end = baseOffset(before, at) + before.readInt32BE(at + 23) + 1
    at += size
  }
  return end
}
