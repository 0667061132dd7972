/**
 * What must hold after every event. Everything that any broker has called committed (below its high watermark) is kept
 * here, as the batches' own bytes: every other broker must have the same there, and a new leader must have all of it.
 */
import { BugError } from '../../src/base/assert.ts'
import type { Partition } from '../../src/replication/partition.ts'
import { baseOffset, batchSize, lastOffset } from '../../src/protocol/record-batch-header.ts'
import { InvariantError, type SimCluster, type SimNode } from './cluster.ts'
import { recordsOf } from './clients.ts'

/** One partition, as the whole cluster has agreed on it. */
interface Agreed {
  /** Batches in order, none missing from offset 0. */
  readonly batches: { readonly base: number; readonly end: number; readonly bytes: Buffer }[]
  end: number
  /** Of the leaders seen so far. */
  leaderEpoch: number
}

/** One partition at one process. */
interface Seen {
  highWatermark: number
  lastStableOffset: number
  leaderEpoch: number
  wasLeader: boolean
}

export class Invariants {
  readonly #cluster: SimCluster
  readonly #topics: readonly string[]
  readonly #agreed = new Map<string, Agreed>()
  readonly #seen = new Map<SimNode, { life: number; partitions: Map<Partition, Seen> }>()
  /** `partition@leader epoch` -> broker. */
  readonly #leaders = new Map<string, number>()
  /** Controller epoch -> broker. */
  readonly #controllers = new Map<number, number>()
  checks = 0

  /** Of these topics' partitions; a topic that is deleted is none of them. */
  constructor(cluster: SimCluster, topics: readonly string[]) {
    this.#cluster = cluster
    this.#topics = topics
  }

  /** Throws InvariantError. Looks only at what has changed. */
  check(): void {
    this.checks++
    for (const node of this.#cluster.nodes) {
      const { broker, process } = node
      // One that is stopped does nothing, and what it is does not change.
      if (broker === null || process === null || process.isStopped) continue
      this.#checkController(node.id, broker.parts.controller)
      let seen = this.#seen.get(node)
      if (seen === undefined || seen.life !== node.lives) {
        this.#seen.set(node, (seen = { life: node.lives, partitions: new Map() }))
      }
      for (const topic of this.#topics) {
        for (let index = 0; ; index++) {
          const partition = broker.parts.services.replicas.get(topic, index)
          if (partition === undefined) break
          if (!partition.isOffline) this.#checkPartition(node, partition, seen.partitions)
        }
      }
    }
  }

  /** Values by offset of what is agreed on. */
  committed(partition: string): Map<number, string> {
    const values = new Map<number, string>()
    for (const { bytes } of this.#agreed.get(partition)?.batches ?? []) {
      for (const { offset, value } of recordsOf(bytes)) values.set(offset, value)
    }
    return values
  }

  committedEnd(partition: string): number {
    return this.#agreed.get(partition)?.end ?? 0
  }

  /** That epochs grow is seen where they are written (ledger.ts): one who has won hears of it later than others see it. */
  #checkController(id: number, { epoch }: { epoch: number }): void {
    if (epoch === 0) return
    const other = this.#controllers.get(epoch)
    if (other === undefined) this.#controllers.set(epoch, id)
    else if (other !== id) this.#fail(`controllers ${other} and ${id} both have epoch ${epoch}`)
  }

  #checkPartition(node: SimNode, partition: Partition, seenBefore: Map<Partition, Seen>): void {
    let seen = seenBefore.get(partition)
    if (seen === undefined) {
      seenBefore.set(
        partition,
        (seen = { highWatermark: 0, lastStableOffset: 0, leaderEpoch: -1, wasLeader: false }),
      )
    }
    const { leaderEpoch, isLeader, highWatermark, lastStableOffset } = partition
    if (
      seen.leaderEpoch === leaderEpoch &&
      seen.wasLeader === isLeader &&
      seen.highWatermark === highWatermark &&
      seen.lastStableOffset === lastStableOffset
    ) {
      return
    }
    const name = `${partition.topic}-${partition.index}`
    const agreed = this.#agreedOn(name)
    const isNewEpoch = leaderEpoch !== seen.leaderEpoch
    if (isLeader && (isNewEpoch || !seen.wasLeader)) this.#checkLeader(node, partition, agreed)
    if (!isNewEpoch && isLeader && highWatermark < seen.highWatermark) {
      this.#fail(
        `${name}: the high watermark of leader ${node.id} fell from ${seen.highWatermark} to ${highWatermark} in epoch ${leaderEpoch}`,
      )
    }
    if (!isNewEpoch && isLeader && seen.wasLeader && lastStableOffset < seen.lastStableOffset) {
      this.#fail(
        `${name}: the last stable offset of leader ${node.id} fell from ${seen.lastStableOffset} to ${lastStableOffset} in epoch ${leaderEpoch}`,
      )
    }
    if (highWatermark > partition.log.logEndOffset) {
      this.#fail(`${name}: the high watermark of ${node.id} is ${highWatermark}, its log ends before that`)
    }
    const from = Math.min(seen.highWatermark, highWatermark)
    if (highWatermark > from) this.#compare(node, partition, agreed, from)
    seen.highWatermark = highWatermark
    seen.lastStableOffset = lastStableOffset
    seen.leaderEpoch = leaderEpoch
    seen.wasLeader = isLeader
  }

  #agreedOn(name: string): Agreed {
    let agreed = this.#agreed.get(name)
    if (agreed === undefined) this.#agreed.set(name, (agreed = { batches: [], end: 0, leaderEpoch: -1 }))
    return agreed
  }

  #checkLeader(node: SimNode, partition: Partition, agreed: Agreed): void {
    const name = `${partition.topic}-${partition.index}`
    const { leaderEpoch, log } = partition
    const key = `${name}@${leaderEpoch}`
    const other = this.#leaders.get(key)
    if (other !== undefined && other !== node.id) {
      this.#fail(`${name}: ${other} and ${node.id} both lead in epoch ${leaderEpoch}`)
    }
    this.#leaders.set(key, node.id)
    // One that hears late that it was a leader once is none any more for the others.
    if (leaderEpoch < agreed.leaderEpoch) return
    agreed.leaderEpoch = leaderEpoch
    if (log.logEndOffset < agreed.end) {
      this.#fail(
        `${name}: leader ${node.id} of epoch ${leaderEpoch} has records up to ${log.logEndOffset}, and ${agreed.end} were committed`,
      )
    }
  }

  /** What `node` calls committed from `from` on is what all the others do, or the first to say so. */
  #compare(node: SimNode, partition: Partition, agreed: Agreed, from: number): void {
    const { log, highWatermark } = partition
    const name = `${partition.topic}-${partition.index}`
    let next = Math.min(Math.max(from, log.logStartOffset), agreed.end)
    // From the beginning of the batch that holds it.
    next = agreed.batches.findLast(({ base }) => base <= next)?.base ?? next
    while (next < highWatermark) {
      const slice = log.read(next, { maxBytes: 1 << 20, upperBoundOffset: highWatermark, minOneBatch: true })
      const bytes = Buffer.from(slice?.bytes ?? [])
      slice?.release()
      if (bytes.length === 0) {
        this.#fail(
          `${name}: ${node.id} has no records from ${next} below its high watermark ${highWatermark}`,
        )
      }
      for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) {
        this.#compareBatch(node, name, agreed, bytes.subarray(at, at + batchSize(bytes, at)))
        next = lastOffset(bytes, at) + 1
      }
    }
  }

  #compareBatch(node: SimNode, name: string, agreed: Agreed, bytes: Buffer): void {
    const base = baseOffset(bytes, 0)
    const end = lastOffset(bytes, 0) + 1
    if (base === agreed.end) {
      agreed.batches.push({ base, end, bytes: Buffer.from(bytes) })
      agreed.end = end
      return
    }
    const known = agreed.batches.findLast((batch) => batch.base <= base)
    if (known === undefined || known.base !== base || !known.bytes.equals(bytes)) {
      this.#fail(
        `${name}: broker ${node.id} has [${describe(bytes)}] at ${base} below its high watermark, and others have [${known ? describe(known.bytes) : ''}]`,
      )
    }
  }

  #fail(text: string): never {
    throw new InvariantError(text)
  }
}

function describe(bytes: Buffer): string {
  return recordsOf(bytes)
    .map(({ offset, value }) => `${offset}=${value}`)
    .join(' ')
}

/** The message of what stopped a run. */
export function describeError(error: unknown): string {
  if (error instanceof InvariantError) return error.message
  if (error instanceof BugError) return `bug: ${error.stack}`
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
