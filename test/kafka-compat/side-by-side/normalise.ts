/**
 * A reply as both brokers should have given it: what may rightly differ is replaced by what it stands for (`<port>`,
 * `<session 1>`), lists whose order has no meaning become objects keyed by what names their elements.
 */
import { createHash } from 'node:crypto'
import { decompress } from '../../../src/protocol/compression.ts'
import * as batch from '../../../src/protocol/record-batch.ts'
import {
  MessageCursor,
  SMALLEST_MESSAGE_BYTES,
  type OldMagic,
} from '../../../src/protocol/message-set/message.ts'
import { decompressMessages } from '../../../src/protocol/message-set/wrapped-messages.ts'
import { ZERO_UUID } from '../../../src/protocol/schema.ts'
import type { RunningBroker } from './brokers.ts'

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

const HEX_UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g
const MESSAGES = new Set(['errorMessage', 'batchIndexErrorMessage', 'documentation'])
const TIMES = new Set([
  'timestamp',
  'logAppendTimeMs',
  'baseTimestampMs',
  'maxTimestampMs',
  'lastTimestamp',
  'transactionStartTimeMs',
])
/** Lists whose order is part of the reply. */
const ORDERED = new Set(['synonyms', 'replicaNodes', 'isrNodes', 'recordErrors', 'abortedTransactions'])

/** Numbers what it is shown in the order of first sight. */
class Numbering {
  readonly #seen = new Map<unknown, string>()
  readonly #what: string

  constructor(what: string) {
    this.#what = what
  }

  name(value: unknown): string {
    let name = this.#seen.get(value)
    if (!name) this.#seen.set(value, (name = `<${this.#what} ${this.#seen.size + 1}>`))
    return name
  }
}

/** Topic ids are learned from whatever reply names the topic too; one per broker for the whole run. */
export type TopicNames = Map<string, string>

export class Normaliser {
  readonly #broker: RunningBroker
  readonly #topicNames: TopicNames
  readonly #startedAtMs: number
  readonly #uuids = new Numbering('uuid')
  readonly #sessions = new Numbering('session')
  readonly #producers = new Numbering('producer')

  /** `startedAtMs`: later timestamps are the broker's own clock. */
  constructor(broker: RunningBroker, topicNames: TopicNames, startedAtMs: number) {
    this.#broker = broker
    this.#topicNames = topicNames
    this.#startedAtMs = startedAtMs
  }

  reply(reply: unknown): Json {
    this.#learn(reply)
    return this.#value(reply, '', false)
  }

  #learn(value: unknown): void {
    if (Array.isArray(value)) value.forEach((element) => this.#learn(element))
    else if (value !== null && typeof value === 'object' && !Buffer.isBuffer(value)) {
      const { name, topicId, errorCode } = value as { name?: unknown; topicId?: unknown; errorCode?: number }
      if (typeof name === 'string' && typeof topicId === 'string' && topicId !== ZERO_UUID && errorCode === 0)
        this.#topicNames.set(topicId, name)
      Object.values(value).forEach((field) => this.#learn(field))
    }
  }

  #value(value: unknown, field: string, ordered: boolean): Json {
    if (value === undefined || value === null) return null
    if (Buffer.isBuffer(value)) return field === 'records' ? this.#records(value) : value.toString('hex')
    if (Array.isArray(value)) return this.#list(value, field, ordered)
    if (typeof value === 'object') {
      const fields = Object.entries(value).filter(([name]) => name !== 'throttleTimeMs')
      return Object.fromEntries(fields.map(([name, each]) => [name, this.#value(each, name, ordered)]))
    }
    if (typeof value === 'number') return this.#number(value, field)
    return typeof value === 'string' ? this.#string(value, field) : (value as boolean)
  }

  #number(value: number, field: string): Json {
    if (field === 'port' && value === this.#broker.port) return '<port>'
    if (field === 'sessionId' && value !== 0) return this.#sessions.name(value)
    if (field === 'producerId' && value >= 0) return this.#producers.name(value)
    if (TIMES.has(field) && value >= this.#startedAtMs) return '<now>'
    if ((field === 'totalBytes' || field === 'usableBytes') && value > 0) return '<bytes>'
    return value
  }

  #string(value: string, field: string): string {
    if (MESSAGES.has(field)) return value === '' ? '' : '<text>'
    if (field === 'clusterId') return value === '' ? '' : '<cluster id>'
    if (field === 'topicId')
      return value === ZERO_UUID ? '<zero>' : `<id of ${this.#topicNames.get(value) ?? 'no topic'}>`
    return value
      .replaceAll(HEX_UUID, (uuid) => this.#uuids.name(uuid))
      .replaceAll(this.#broker.logDir, '<log dir>')
      .replaceAll(`:${this.#broker.port}`, ':<port>')
  }

  #list(elements: readonly unknown[], field: string, ordered: boolean): Json {
    const values = elements.map((element) => this.#value(element, field, ordered))
    if (ordered || ORDERED.has(field)) return values
    const names = values.map(nameOf)
    const unique = new Set(names).size === names.length && names.every((name) => name !== null)
    if (unique && names.length > 0)
      return Object.fromEntries(values.map((value, index) => [names[index]!, value]))
    return values.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  }

  /** Every batch's header, and digests of the record bytes behind it, as they lie and unpacked. */
  #records(bytes: Buffer): Json {
    const batches: Json[] = []
    for (let at = 0; at < bytes.length;) {
      if (at + SMALLEST_MESSAGE_BYTES <= bytes.length && batch.magic(bytes, at) < batch.MAGIC_V2) {
        return [...batches, ...this.#messages(bytes.subarray(at))]
      }
      if (at + batch.BATCH_OVERHEAD > bytes.length || at + batch.batchSize(bytes, at) > bytes.length) {
        batches.push(`${bytes.length - at} bytes of a batch`)
        break
      }
      batches.push(this.#batch(bytes, at))
      at += batch.batchSize(bytes, at)
    }
    return batches
  }

  /** Messages of formats 0 and 1, those in wrappers too, without what is cut off at the end: Kafka fills its replies with it. */
  #messages(bytes: Buffer): Json[] {
    const cursor = new MessageCursor(bytes, 0, bytes.length)
    const messages: Json[] = []
    while (cursor.next()) {
      cursor.readParts()
      const { offset, attributes, timestampMs, codec, magic } = cursor
      const value = cursor.value()
      const inner =
        codec === 0 ? null : this.#messages(decompressMessages(codec, magic as OldMagic, value!, 1 << 24))
      const header = {
        magic,
        attributes,
        baseOffset: offset,
        maxTimestampMs: timestampMs,
        crcHolds: cursor.crcIsRight(),
      }
      const parts = { key: cursor.key()?.toString() ?? null, value: inner ?? value?.toString() ?? null }
      messages.push(this.#value({ ...header, ...parts }, '', true))
    }
    return messages
  }

  #batch(bytes: Buffer, at: number): Json {
    const body = bytes.subarray(at + batch.BATCH_OVERHEAD, at + batch.batchSize(bytes, at))
    const header = {
      baseOffset: batch.baseOffset(bytes, at),
      leaderEpoch: batch.partitionLeaderEpoch(bytes, at),
      magic: batch.magic(bytes, at),
      attributes: batch.attributes(bytes, at),
      lastOffsetDelta: batch.lastOffsetDelta(bytes, at),
      baseTimestampMs: batch.baseTimestamp(bytes, at),
      maxTimestampMs: batch.maxTimestamp(bytes, at),
      producerId: batch.producerId(bytes, at),
      producerEpoch: batch.producerEpoch(bytes, at),
      baseSequence: batch.baseSequence(bytes, at),
      recordCount: batch.recordCount(bytes, at),
      crcHolds: batch.crc(bytes, at) === batch.computeCrc(bytes, at) >>> 0,
      body: digest(body),
      records: digest(decompress(batch.codecOf(batch.attributes(bytes, at)), body, 1 << 27)),
    }
    return this.#value(header, '', true)
  }
}

const digest = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex').slice(0, 12)

/** What tells an element of a list from the others, as the API's messages name it. */
function nameOf(value: Json): string | null {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return null
  if (value.resourceType !== undefined)
    return `${value.resourceType as number} ${value.resourceName as string}`
  const names = [
    'name',
    'topic',
    'groupId',
    'topicId',
    'key',
    'logDir',
    'memberId',
    'apiKey',
    'nodeId',
    'brokerId',
  ]
  const indexes = ['partitionIndex', 'partition', 'partitionId', 'index']
  for (const field of [...names, ...indexes]) {
    const name = value[field]
    if (typeof name === 'string' || typeof name === 'number') return String(name)
  }
  return null
}
