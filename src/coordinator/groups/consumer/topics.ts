/** What consumer groups need to know of the cluster's topics, and the hash by which they see that something has changed. */
import { xxh3 } from '../../../protocol/xxh3.ts'

export interface GroupTopic {
  readonly name: string
  /** 22 characters of base64url. */
  readonly topicId: string
  readonly partitionCount: number
  /** For each partition the racks of its replicas, where their brokers have one. */
  racks(): readonly (readonly string[])[]
}

export interface GroupTopics {
  /** undefined for a topic that does not exist, or has no id. */
  topic(name: string): GroupTopic | undefined
  topicById(topicId: string): GroupTopic | undefined
  names(): Iterable<string>
}

/** A hash as it is kept: 16 hexadecimal digits. */
export const NO_HASH = '0000000000000000'

const hex = (hash: bigint): string => hash.toString(16).padStart(16, '0')

/** Of a topic's id, name, partitions and racks. Source: Utils.computeTopicHash (4.1, KIP-1101). */
export function topicHash(topic: GroupTopic): string {
  const { name, topicId, partitionCount } = topic
  const id = Buffer.from(topicId, 'base64url').swap64()
  // A byte for the form of the hash, then all as hash4j puts it: little-endian, strings by UTF-16 units.
  const parts = [Buffer.from([0]), id, unitsOf(name), int32(partitionCount)]
  topic.racks().forEach((ofPartition, index) => {
    parts.push(int32(index))
    for (const rack of [...ofPartition].sort()) parts.push(int32(rack.length), unitsOf(rack))
  })
  return hex(xxh3(Buffer.concat(parts)))
}

/** Of all topics that a group subscribes to and that exist: their hashes in the order of their names. */
export function groupHash(hashes: ReadonlyMap<string, string>): string {
  if (hashes.size === 0) return NO_HASH
  const inOrder = [...hashes].sort(([one], [other]) => (one < other ? -1 : 1))
  return hex(xxh3(Buffer.concat(inOrder.map(([, hash]) => Buffer.from(hash, 'hex').swap64()))))
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes
}

/** Followed by their number. */
function unitsOf(text: string): Buffer {
  return Buffer.concat([Buffer.from(text, 'utf16le'), int32(text.length)])
}

/** Hashes of topics, kept while the topic stays as it is. */
export class TopicHashes {
  readonly #topics: GroupTopics
  readonly #hashes = new Map<string, string>()

  constructor(topics: GroupTopics) {
    this.#topics = topics
  }

  forget(name: string): void {
    this.#hashes.delete(name)
  }

  clear(): void {
    this.#hashes.clear()
  }

  groupHash(names: Iterable<string>): string {
    const hashes = new Map<string, string>()
    for (const name of names) {
      const hash = this.#hashes.get(name) ?? this.#compute(name)
      if (hash !== undefined) hashes.set(name, hash)
    }
    return groupHash(hashes)
  }

  #compute(name: string): string | undefined {
    const topic = this.#topics.topic(name)
    if (topic === undefined) return undefined
    const hash = topicHash(topic)
    this.#hashes.set(name, hash)
    return hash
  }
}
