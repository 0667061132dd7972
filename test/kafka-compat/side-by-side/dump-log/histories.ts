/** What kafka-dump-log prints of a coordinator's log, as the history of each of its keys, without what differs from run to run. */
import type { KafkaDump } from './both-dumps.ts'

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

/** One record and what is told of its batch. */
export interface StoredRecord {
  readonly batch: Readonly<Record<string, string>>
  /** Which of the batch's. */
  readonly index: number
  readonly sizes: string
  readonly key: Json
  /** null: a tombstone. */
  readonly value: Json
}

/** By group, or transactional id; markers by whose transaction they end. */
export type Histories = Record<string, StoredRecord[]>

const SAME_IN_BATCH = [
  'count',
  'producerEpoch',
  'partitionLeaderEpoch',
  'isTransactional',
  'isControl',
  'CreateTime',
  'size',
  'magic',
  'compresscodec',
  'isvalid',
]
/** Of a producer's; where there is none Kafka's tombstones say 0, and all others -1. */
const SEQUENCES = ['baseSequence', 'lastSequence']
/** What differs from run to run: it is told that it is there. */
const VARYING = new Set([
  'CreateTime',
  'commitTimestamp',
  'expireTimestamp',
  'currentStateTimestamp',
  // Of topics, with their ids.
  'metadataHash',
])
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g
const TOPIC_ID = /(?<=")[\w-]{22}(?=")/g
const RECORD =
  /^\| offset: \d+ CreateTime: \d+ (keySize: -?\d+ valueSize: -?\d+) sequence: -?\d+ headerKeys: \[\](.*)$/
const MARKER = /^ endTxnMarker: (\w+) coordinatorEpoch: (\d+)$/
const TRANSACTION = /^ key: transaction_metadata::transactionalId=(\S*) payload: (.*)$/
const OFFSETS = /^ key: (\{.*?\}\}) payload: (.*)$/

/** What ids stand for: those of producers for the transactional id that had them first, those of topics for their names. */
export type Names = ReadonlyMap<string, string>

export function producersIn(transactionLog: KafkaDump): Names {
  const names = new Map<string, string>()
  for (const line of [...transactionLog.lines.values()].flat()) {
    const [, id, producerId] = /transactionalId=(\S*) payload: producerId:(\d+),/.exec(line) ?? []
    if (producerId !== undefined && !names.has(producerId)) names.set(producerId, id)
  }
  return names
}

export function historiesIn(dump: KafkaDump, producers: Names, topics: Names = new Map()): Histories {
  const histories: Histories = {}
  for (const lines of dump.lines.values()) {
    let batch: Record<string, string> = {}
    let index = 0
    for (const line of lines) {
      if (line.startsWith('|')) {
        const { whose, ...stored } = recordOf(named(line, topics), batch.producer)
        const own = (histories[whose] ??= [])
        own.push({ batch, index: index++, ...stored })
      } else {
        batch = batchOf(line, producers)
        index = 0
      }
    }
  }
  return Object.fromEntries(Object.entries(histories).map(([whose, own]) => [whose, withoutIds(own)]))
}

function named(line: string, topics: Names): string {
  return line.replace(TOPIC_ID, (id) => topics.get(id) ?? id)
}

function batchOf(line: string, producers: Names): Record<string, string> {
  const all = new Map([...line.matchAll(/(\w+): (\S+)/g)].map(([, name, value]) => [name, value]))
  const producerId = all.get('producerId')!
  const batch: Record<string, string> = { producer: producers.get(producerId) ?? producerId }
  for (const name of producerId === '-1' ? SAME_IN_BATCH : [...SAME_IN_BATCH, ...SEQUENCES]) {
    batch[name] = VARYING.has(name) ? presenceOf(all.get(name)) : all.get(name)!
  }
  return batch
}

function presenceOf(value: Json | undefined): string {
  return value === undefined || Number(value) === 0 || Number(value) === -1 ? String(value) : '<there>'
}

function recordOf(line: string, producer: string) {
  const [, sizes, rest] = RECORD.exec(line) ?? []
  if (rest === undefined) throw new Error(`not a record: ${line}`)
  const marker = MARKER.exec(rest)
  if (marker !== null) return { whose: `markers of ${producer}`, sizes, key: marker[1], value: marker[2] }
  const transaction = TRANSACTION.exec(rest)
  if (transaction !== null) {
    const [, whose, payload] = transaction
    return { whose, sizes, key: whose, value: payload === '<DELETE>' ? null : stateOf(payload) }
  }
  const [, key, payload] = OFFSETS.exec(rest) ?? []
  if (payload === undefined) throw new Error(`not decoded: ${line}`)
  const of = JSON.parse(key) as { data: { [name: string]: Json } }
  const value = payload === '<DELETE>' ? null : normalised(JSON.parse(payload) as Json)
  return { whose: (of.data.group ?? of.data.groupId) as string, sizes, key: of as unknown as Json, value }
}

/** `name:value,name=[a,b],…` */
function stateOf(payload: string): Json {
  const state: Record<string, Json> = {}
  for (const [, name, value] of payload.matchAll(/(\w+)[:=](\[[^\]]*\]|[^,]*)/g)) {
    if (name === 'producerId') continue
    if (name === 'txnLastUpdateTimestamp') state[name] = presenceOf(value)
    else state[name] = value.startsWith('[') ? value.slice(1, -1).split(/,\s*/).sort() : value
  }
  return state
}

/** Members in an order of their own: Kafka's is that of a hash of their ids. */
function normalised(value: Json): Json {
  if (Array.isArray(value)) return value.map(normalised).sort(byWhatStays)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [
      name,
      VARYING.has(name) ? presenceOf(part) : normalised(part),
    ]),
  )
}

function byWhatStays(a: Json, b: Json): number {
  const [left, right] = [a, b].map((each) => JSON.stringify(each).replace(UUID, ''))
  return left < right ? -1 : 1
}

/** Member ids by the order in which they come. */
function withoutIds(history: StoredRecord[]): StoredRecord[] {
  const seen: string[] = []
  const named = JSON.stringify(history).replace(UUID, (uuid) => {
    if (!seen.includes(uuid)) seen.push(uuid)
    return `<uuid ${seen.indexOf(uuid) + 1}>`
  })
  return JSON.parse(named) as StoredRecord[]
}
