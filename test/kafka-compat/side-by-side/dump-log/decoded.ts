/** What coordinators have stored, as kafka-dump-log decodes it and as `odradek dump-log` does. */
import { expect } from 'vitest'
import { ofType } from './both-dumps.ts'
import type { Found, KafkaDump, OurDump } from './both-dumps.ts'

interface Decoded {
  readonly key: Found
  readonly value: Found | null
}

const decodedOf = (ours: OurDump): Decoded[] =>
  ofType(ours.found, 'record')
    .filter(({ control }) => control === undefined)
    .map(({ decoded }) => decoded as Decoded)

export const recordLines = (kafka: KafkaDump): string[] =>
  [...kafka.lines.values()].flat().filter((line) => line.startsWith('|') && line.includes(' key: '))

export function expectSameOffsets(kafka: KafkaDump, ours: OurDump): void {
  const decoded = decodedOf(ours)
  const lines = recordLines(kafka)
  expect(lines.length).toBeGreaterThan(2)
  expect(decoded).toHaveLength(lines.length)
  lines.forEach((line, index) => {
    const [, key, payload] = / key: (\{.*?\}) payload: (.*)$/.exec(line)!
    const { key: ourKey, value } = decoded[index]
    const { type, data } = JSON.parse(key) as { type: string; data: object }
    expect(String(ourKey.version)).toBe(type)
    expect(ourKey).toMatchObject(data)
    if (payload === '<DELETE>') return expect(value).toBe(null)
    const stored = JSON.parse(payload.replace(HASH, hashAsOurs)) as { version: string; data: object }
    expect(String(value!.version)).toBe(stored.version)
    expect(bytesAsKafka(value)).toMatchObject(stored.data)
  })
}

/** Kafka shows it as a number that is too large for JSON.parse. */
const HASH = /(?<="metadataHash":)-?\d+/

function hashAsOurs(hash: string): string {
  const bits = BigInt.asUintN(64, BigInt(hash)).toString(16)
  return `"${bits.padStart(16, '0')}"`
}

const BYTES = new Set(['subscription', 'assignment'])

/** Kafka shows bytes as base64 only; we, where they are text, as that. */
function bytesAsKafka(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map((each) => bytesAsKafka(each))
  if (typeof value === 'string' && BYTES.has(name)) return Buffer.from(value).toString('base64')
  if (typeof value !== 'object' || value === null) return value
  if ('base64' in value) return value.base64
  return Object.fromEntries(Object.entries(value).map(([part, of]) => [part, bytesAsKafka(of, part)]))
}

export function expectSameTransactions(kafka: KafkaDump, ours: OurDump): void {
  const said = decodedOf(ours).map(({ key, value }) => {
    const name = `key: transaction_metadata::transactionalId=${String(key.transactionalId)}`
    if (value === null) return `${name} payload: <DELETE>`
    const partitions = (value.transactionPartitions ?? []) as { topic: string; partitionIds: number[] }[]
    const names = partitions.flatMap(({ topic, partitionIds }) => partitionIds.map((id) => `${topic}-${id}`))
    return (
      `${name} payload: producerId:${String(value.producerId)},producerEpoch:${String(value.producerEpoch)},` +
      `state=${String(value.state)},partitions=[${names.join(',')}],` +
      `txnLastUpdateTimestamp=${String(value.transactionLastUpdateTimestampMs)},` +
      `txnTimeoutMs=${String(value.transactionTimeoutMs)}`
    )
  })
  expect(said.length).toBeGreaterThan(3)
  const inOrder = (line: string): string =>
    line.replace(
      /partitions=\[(.*?)\]/,
      (_all, list: string) => `partitions=[${list.split(/,\s*/).sort().join(',')}]`,
    )
  expect(said.map(inOrder)).toEqual(
    recordLines(kafka).map((line) => inOrder(line.slice(line.indexOf('key: ')))),
  )
}
