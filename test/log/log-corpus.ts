/** Logs of every kind, written through the log layer itself: what transactions, coordinators and old age leave behind. */
import type { Disk } from '../../src/env/disk.ts'
import { encodeRecord } from '../../src/coordinator/transactions/records.ts'
import { encodeRecord as encodeGroupRecord } from '../../src/coordinator/groups/records.ts'
import { messageOverhead, putMessage } from '../../src/protocol/message-set/message.ts'
import type { Message } from '../../src/protocol/message-set/message.ts'
import { compressMessages } from '../../src/protocol/message-set/wrapped-messages.ts'
import {
  buildBatch,
  Codec,
  codecNames,
  CREATE_TIME,
  LOG_APPEND_TIME,
} from '../../src/protocol/record-batch.ts'
import type { RecordInput } from '../../src/protocol/record-batch.ts'
import type { LogConfig, ReplicaLog } from '../../src/log/types.ts'
import { readOffsetCheckpoint } from '../../src/log/checkpoint-file.ts'
import { CLEANER_OFFSET_FILE, join } from '../../src/log/file-names.ts'
import { openCompacted } from './cleaner/cleaner-fixture.ts'
import { openLogs, START_MS } from './log-fixture.ts'
import type { Fixture } from './log-fixture.ts'

const SENDS = 12
const RECORDS_PER_SEND = 20
const SMALL_SEGMENTS: Partial<LogConfig> = {
  segmentBytes: 3000,
  indexIntervalBytes: 200,
  fileDeleteDelayMs: 1,
}

/** What is in the directory afterwards, by topic. Each has one partition. */
export interface CorpusTopic {
  readonly topic: string
  readonly firstOffset: number
  readonly endOffset: number
}

/** A segment of message formats 0 and 1, plain and compressed, which Kafka wrote before 0.11. Six records a format. */
export function oldSegment(): Buffer {
  const sets: Buffer[] = []
  let offset = 0
  for (const magic of [0, 1] as const) {
    const message = (own: Partial<Message>): Buffer => {
      const whole: Message = {
        magic,
        offset: 0,
        timestampMs: START_MS + offset,
        timestampType: 0,
        codec: 0,
        key: Buffer.from('k'),
        value: Buffer.from(`v${offset}`),
        ...own,
      }
      const size = messageOverhead(magic) + (whole.key?.length ?? 0) + (whole.value?.length ?? 0)
      const bytes = Buffer.alloc(size)
      putMessage(bytes, 0, whole)
      return bytes
    }
    for (const key of [Buffer.from('k'), null]) {
      sets.push(message({ offset, key }))
      offset++
    }
    for (const codec of [Codec.GZIP, Codec.LZ4]) {
      const inner = [0, 1].map((index) => message({ offset: magic === 0 ? offset + index : index }))
      const timestampType = codec === Codec.GZIP ? CREATE_TIME : LOG_APPEND_TIME
      const value = compressMessages(codec, magic, Buffer.concat(inner))
      sets.push(message({ offset: offset + 1, codec, key: null, value, timestampType }))
      offset += 2
    }
  }
  return Buffer.concat(sets)
}

/** `leave`: how the logs are left, closed or as by a kill. */
export async function writeCorpus(
  disk: Disk,
  directory: string,
  leave: 'closed' | 'killed',
): Promise<CorpusTopic[]> {
  const fixture = openLogs({ disk, directory, config: SMALL_SEGMENTS })
  for (const [codec, name] of codecNames.entries()) writeCodec(fixture.log(`codec-${name}`), codec)
  writeOddities(fixture.log('odd'))
  writeTransactions(fixture.log('transactional'))
  writeDeleted(fixture)
  writeRetained(fixture)
  writeTransactionState(fixture.log('__transaction_state'))
  writeOffsets(fixture.log('__consumer_offsets'))
  const topics = [...fixture.manager.all()].map(({ topic, logStartOffset, logEndOffset }) => ({
    topic,
    firstOffset: logStartOffset,
    endOffset: logEndOffset,
  }))
  if (leave === 'closed') await fixture.manager.stop()
  return topics
}

/** Logs of repeated keys, deletion marks and transactions, compacted (a second time once the marks' time has come), and closed. */
export async function writeCompacted(disk: Disk, directory: string): Promise<void> {
  const config = { ...SMALL_SEGMENTS, deleteRetentionMs: 100_000 }
  const { log: logOf, manager, time } = openCompacted({ disk, directory, config })
  const names = ['compacted-transactional', ...codecNames.map((name) => `compacted-${name}`)]
  const checkpoint = join(directory, CLEANER_OFFSET_FILE)
  const cleanedUpTo = (): number[] => {
    const { offsets } = readOffsetCheckpoint(disk, checkpoint)
    return names.map((name) => offsets.get(`${name}-0`) ?? -1)
  }
  for (const horizonPasses of [false, true]) {
    const before = cleanedUpTo()
    if (horizonPasses) await time.advance(200_000)
    else writeLastWords(logOf(names[1]))
    writeTransactions(logOf(names[0]), horizonPasses ? SENDS : 0)
    for (const [codec, name] of codecNames.entries()) {
      writeCodec(logOf(`compacted-${name}`), codec, horizonPasses ? SENDS : 0)
    }
    // Time is simulated, a real disk's is not: each look at it lets the disk get on.
    for (let looks = 0; cleanedUpTo().some((offset, index) => offset <= before[index]); looks++) {
      if (looks > 1000) throw new Error('the logs are not compacted')
      await time.advance(1000)
    }
  }
  await manager.stop()
}

/** Of a producer that says nothing more: its record is replaced, its batch stays without it; its deletion mark goes in time. */
function writeLastWords(log: ReplicaLog): void {
  const [record] = recordsOf(0, 1)
  const gone = { ...record, key: Buffer.from('gone'), value: null }
  put(log, buildBatch({ records: [gone] }))
  put(log, buildBatch({ records: [record], producerId: 900, producerEpoch: 0, baseSequence: 0 }))
}

function recordsOf(send: number, count = RECORDS_PER_SEND): RecordInput[] {
  return Array.from({ length: count }, (_, index) => ({
    // Strictly growing: every send brings the time index something.
    timestampMs: START_MS + send * 1000 + index,
    key: Buffer.from(`key ${index}`),
    value: index % 7 === 3 ? null : Buffer.from(`${send}/${index} `.repeat(1 + ((send * index) % 9))),
    headers: index % 5 === 0 ? [{ key: 'kind', value: Buffer.from([send, index]) }] : [],
  }))
}

function put(log: ReplicaLog, batch: Buffer, origin: 'client' | 'coordinator' = 'client'): void {
  const outcome = log.appendAsLeader(batch, { leaderEpoch: 3, origin })
  if (outcome.error !== 0) throw new Error(`${log.topic}: ${JSON.stringify(outcome)}`)
}

function writeCodec(log: ReplicaLog, codec: number, firstSend = 0): void {
  log.startLeaderEpoch(3)
  for (let send = firstSend; send < firstSend + SENDS; send++) {
    const producer = { producerId: 1000 + codec, producerEpoch: 1, baseSequence: send * RECORDS_PER_SEND }
    put(log, buildBatch({ records: recordsOf(send), codec, ...producer }))
  }
}

/** No timestamps, timestamps that go back, no keys, no values, bytes that are no text, names with accents. */
function writeOddities(log: ReplicaLog): void {
  const bytes = Buffer.from([0, 255, 27, 91, 51, 49, 109])
  const record = { timestampMs: -1, key: null, value: null }
  put(log, buildBatch({ records: [record, record] }))
  put(
    log,
    buildBatch({
      records: [
        { timestampMs: 5, key: bytes, value: bytes },
        { ...record, timestampMs: 2 },
      ],
    }),
  )
  const headers = [
    { key: 'clé', value: null },
    { key: '', value: bytes },
  ]
  put(
    log,
    buildBatch({
      records: [{ timestampMs: START_MS, key: Buffer.alloc(0), value: Buffer.from('ž'), headers }],
    }),
  )
  put(
    log,
    buildBatch({
      records: [{ timestampMs: START_MS + 1, key: null, value: Buffer.alloc(9000, 'x') }],
      codec: 1,
    }),
  )
  put(log, buildBatch({ records: [{ timestampMs: START_MS + 2, key: null, value: null }] }))
}

/** A marker: key version 0 and type, value version 0 and coordinator epoch. */
function marker(producerId: number, type: 'ABORT' | 'COMMIT', timestampMs: number): Buffer {
  return buildBatch({
    records: [
      {
        timestampMs,
        key: Buffer.from([0, 0, 0, type === 'ABORT' ? 0 : 1]),
        value: Buffer.from([0, 0, 0, 0, 0, 7]),
      },
    ],
    producerId,
    producerEpoch: 0,
    transactional: true,
    control: true,
  })
}

/** Two producers in turn; every second transaction is aborted, the last stays open (until what follows ends it). */
function writeTransactions(log: ReplicaLog, firstSend = 0): void {
  for (let send = firstSend; send < firstSend + SENDS; send++) {
    const producer = { producerEpoch: 0, baseSequence: send * 5, transactional: true }
    const codec = send % codecNames.length
    for (const producerId of [501, 502]) {
      put(log, buildBatch({ records: recordsOf(send, 5), codec, producerId, ...producer }))
    }
    if (send === firstSend + SENDS - 1) continue
    const timestampMs = START_MS + send * 1000 + 500
    put(log, marker(501, send % 2 === 0 ? 'COMMIT' : 'ABORT', timestampMs), 'coordinator')
    put(log, marker(502, send % 2 === 0 ? 'ABORT' : 'COMMIT', timestampMs), 'coordinator')
  }
}

/** DeleteRecords: the log starts in the middle of a segment, those below are gone. */
function writeDeleted({ log: logOf }: Fixture): void {
  const log = logOf('deleted')
  for (let send = 0; send < SENDS; send++) put(log, buildBatch({ records: recordsOf(send) }))
  log.raiseLogStart(95, log.logEndOffset)
  log.applyRetention(START_MS, log.logEndOffset)
}

/** Retention by size. */
function writeRetained({ log: logOf }: Fixture): void {
  const log = logOf('retained')
  for (let send = 0; send < SENDS; send++) put(log, buildBatch({ records: recordsOf(send) }))
  log.config = { ...log.config, retentionBytes: 5000 }
  if (log.applyRetention(START_MS, log.logEndOffset) === 0) throw new Error('nothing was deleted')
}

/** Every state, and a tombstone. */
function writeTransactionState(log: ReplicaLog): void {
  for (let status = 0; status < 7; status++) {
    const record = encodeRecord({
      transactionalId: `tx-${status}`,
      value: {
        producerId: 500 + status,
        producerEpoch: status,
        transactionTimeoutMs: 60_000,
        transactionStatus: status,
        transactionPartitions: status === 0 ? null : [{ topic: 'transactional', partitionIds: [0, 1] }],
        transactionLastUpdateTimestampMs: START_MS + status,
        transactionStartTimestampMs: status === 0 ? -1 : START_MS,
        previousProducerId: -1,
        nextProducerId: -1,
        clientTransactionVersion: 0,
        nextProducerEpoch: -1,
      },
    })
    put(log, buildBatch({ records: [{ timestampMs: START_MS + status, ...record }] }), 'coordinator')
  }
  const tombstone = encodeRecord({ transactionalId: 'tx-6', value: null })
  put(log, buildBatch({ records: [{ timestampMs: START_MS + 9, ...tombstone }] }), 'coordinator')
}

/** A subscription to `t` and nothing assigned, as the consumer protocol has them; then what is no such thing. */
const subscription = Buffer.from('0000000000010001740000000000', 'hex')
const assignment = Buffer.from('00000000000000000000', 'hex')

function writeOffsets(log: ReplicaLog): void {
  const member = {
    groupInstanceId: null,
    clientId: 'c',
    clientHost: '/127.0.0.1',
    rebalanceTimeout: 3,
    sessionTimeout: 2,
  }
  const group = {
    protocolType: 'consumer',
    generation: 4,
    protocol: 'range',
    leader: 'm',
    currentStateTimestamp: START_MS,
  }
  const members = [
    { ...member, memberId: 'm', subscription, assignment },
    { ...member, memberId: 'n', subscription: Buffer.from([1]), assignment: Buffer.alloc(0) },
  ]
  const value = {
    offset: 12,
    leaderEpoch: 2,
    metadata: 'where',
    commitTimestamp: START_MS,
    expireTimestamp: -1,
  }
  const where = { groupId: 'g', topic: 't', partition: 0 }
  const written = [
    encodeGroupRecord({ type: 'group', groupId: 'g', value: { ...group, members } }),
    encodeGroupRecord({ type: 'offset', ...where, value }),
    encodeGroupRecord({
      type: 'offset',
      ...where,
      partition: 1,
      value: { ...value, expireTimestamp: START_MS + 1 },
    }),
    encodeGroupRecord({ type: 'offset', ...where, partition: 2, value: null }),
    encodeGroupRecord({ type: 'group', groupId: 'h', value: null }),
  ]
  for (const record of written) {
    put(log, buildBatch({ records: [{ timestampMs: START_MS, ...record }] }), 'coordinator')
  }
}
