import { beforeAll, describe, expect, it } from 'vitest'
import { readDumpArguments } from '../../src/command/dump-log/arguments.ts'
import { dumpLog } from '../../src/command/dump-log/dump-log.ts'
import { encodeConsumerRecord } from '../../src/coordinator/groups/consumer/records.ts'
import type { ConsumerRecord } from '../../src/coordinator/groups/consumer/records.ts'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { join } from '../../src/log/file-names.ts'
import { buildBatch } from '../../src/protocol/record-batch.ts'
import { oldSegment, writeCorpus } from '../log/log-corpus.ts'
import type { CorpusTopic } from '../log/log-corpus.ts'
import { START_MS } from '../log/log-fixture.ts'

interface Line {
  readonly file: string
  readonly type: string
  readonly [name: string]: unknown
}

let disk: SimDisk
let topics: CorpusTopic[]

beforeAll(async () => {
  disk = new SimDisk({ random: new SeededRandom(1) })
  topics = await writeCorpus(disk, '/data', 'closed')
})

function dump(on: SimDisk, ...argv: string[]): { lines: Line[]; isSound: boolean } {
  const lines: Line[] = []
  const found = dumpLog(on, readDumpArguments(['--json', ...argv])!)
  for (;;) {
    const step = found.next()
    if (step.done) return { lines, isSound: step.value }
    expect(step.value.stream).toBe('stdout')
    lines.push(JSON.parse(step.value.text) as Line)
  }
}

function text(on: SimDisk, ...argv: string[]): string {
  const found = [...dumpLog(on, readDumpArguments(argv)!)]
  return found.map((line) => `${line.stream === 'stderr' ? 'ERR ' : ''}${line.text}\n`).join('')
}

const ofType = (lines: Line[], type: string): Line[] => lines.filter((line) => line.type === type)
const problems = (lines: Line[]): unknown[] => ofType(lines, 'problem').map(({ message }) => message)
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

/** A disk with one file. */
function withFile(path: string, bytes: Uint8Array): SimDisk {
  const one = new SimDisk({ random: new SeededRandom(1) })
  one.makeDirectory('/d')
  one.replaceFile(path, bytes)
  return one
}

/** A copy of the file at `path` with its bytes changed, its neighbours as they are. */
function withChanged(path: string, change: (bytes: Buffer) => Uint8Array): SimDisk {
  const copy = new SimDisk({ random: new SeededRandom(1) })
  const directory = path.slice(0, path.lastIndexOf('/'))
  copy.makeDirectory(directory)
  for (const name of disk.list(directory)) {
    const bytes = Buffer.from(disk.readFile(join(directory, name)))
    copy.replaceFile(join(directory, name), join(directory, name) === path ? change(bytes) : bytes)
  }
  return copy
}

const filesOf = (topic: string, suffix: string): string[] =>
  disk
    .list(`/data/${topic}-0`)
    .filter((name) => name.endsWith(suffix))
    .map((name) => `/data/${topic}-0/${name}`)

/** A file of the corpus with more than one entry. */
const long = (topic: string, suffix: string, bytes: number): string =>
  filesOf(topic, suffix).find((path) => disk.stat(path)!.size >= bytes)!

describe('odradek dump-log over a whole data directory', () => {
  it('finds nothing wrong with what the log layer wrote', () => {
    const { lines, isSound } = dump(disk, '/data', '--deep-iteration')
    expect(problems(lines)).toEqual([])
    expect(isSound).toBe(true)
    const kinds = new Set(ofType(lines, 'file').map(({ kind }) => kind))
    expect(kinds).toEqual(
      new Set([
        ...['log', 'index', 'timeindex', 'txnindex', 'snapshot', 'leader-epoch-checkpoint'],
        ...['offset-checkpoint', 'partition.metadata', 'meta.properties'],
      ]),
    )
  })

  it('shows every record once, in order', () => {
    const { lines } = dump(disk, '/data', '--deep-iteration')
    expect(topics.length).toBeGreaterThan(9)
    for (const { topic, firstOffset, endOffset } of topics) {
      const offsets = ofType(lines, 'record')
        .filter(({ file }) => file.startsWith(`/data/${topic}-0/`))
        .map(({ offset }) => offset as number)
      expect(offsets[0], topic).toBeLessThanOrEqual(firstOffset)
      expect(offsets, topic).toEqual(numbers(offsets[0], endOffset))
    }
  })

  it('says the same of a directory that a kill left', async () => {
    const killed = new SimDisk({ random: new SeededRandom(1) })
    await writeCorpus(killed, '/data', 'killed')
    const { lines, isSound } = dump(killed, '/data')
    expect(problems(lines)).toEqual([])
    expect(isSound).toBe(true)
  })

  it('shows in text one line for each thing', () => {
    const said = text(disk, '/data/transactional-0', '--print-data-log')
    expect(said).toMatch(
      /^baseOffset: 0 lastOffset: 4 count: 5 position: 0 size: \d+ magic: 2 compresscodec: none crc: \d+ isvalid: true CreateTime: 1700000000004 \(2023-11-14T22:13:20\.004Z\) partitionLeaderEpoch: 3 producerId: 501 producerEpoch: 0 baseSequence: 0 lastSequence: 4 isTransactional: true$/m,
    )
    expect(said).toMatch(
      /^\| offset: 0 CreateTime: 1700000000000 .* key: "key 0" value: "0\/0 " headers: \{"kind": 0x0000\}$/m,
    )
    expect(said).toMatch(/^\| offset: 3 .* key: "key 3" value: null$/m)
    expect(said).toMatch(/^\| offset: 10 .* endTxnMarker: COMMIT coordinatorEpoch: 7$/m)
    expect(said).toMatch(/^producerId: 502 firstOffset: 5 lastOffset: 11 lastStableOffset: 12$/m)
    expect(said).toMatch(/^offset: \d+ position: \d+$/m)
    expect(said).toMatch(/^timestamp: 17\d+ \(2023-.*Z\) offset: \d+$/m)
    expect(said).toMatch(/^producerId: 501 producerEpoch: 0 coordinatorEpoch: 7 .* lastSequence: \d+ /m)
    expect(said).toMatch(/^epoch: 3 startOffset: 0$/m)
    expect(said).toMatch(/^"topic_id": "[\w-]{22}"$/m)
    expect(said).not.toContain('ERR')
  })

  it('sends nothing to a terminal that it would obey', () => {
    // oxlint-disable-next-line no-control-regex
    expect(text(disk, '/data', '--print-data-log')).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
  })

  it('decodes the internal topics by the name of their directory', () => {
    const { lines } = dump(disk, '/data/__consumer_offsets-0', '/data/__transaction_state-0')
    const decoded = ofType(lines, 'record').map((line) => line.decoded) as { key: Line; value: Line | null }[]
    expect(decoded.slice(1, 4)).toMatchObject([
      { key: { group: 'g', topic: 't', partition: 0 }, value: { version: 3, offset: 12, metadata: 'where' } },
      { key: { partition: 1 }, value: { version: 1, expireTimestamp: 1_700_000_000_001 } },
      { key: { partition: 2 }, value: null },
    ])
    const { members } = decoded[0].value as unknown as { members: Line[] }
    expect(members[0].subscription).toMatchObject({ topics: ['t'], userData: '' })
    expect(members[0].assignment).toMatchObject({ assignedPartitions: [] })
    // Not of the consumer protocol: the bytes as they are.
    expect(members[1].subscription).toEqual({ base64: 'AQ==' })
    expect(decoded.slice(5)).toMatchObject([
      { key: { transactionalId: 'tx-0' }, value: { state: 'Empty', transactionPartitions: null } },
      { key: { transactionalId: 'tx-1' }, value: { state: 'Ongoing', producerId: 501 } },
      ...Array.from({ length: 5 }, () => ({ value: { producerEpoch: expect.any(Number) } })),
      { key: { transactionalId: 'tx-6' }, value: null },
    ])
  })
})

describe('options of kafka-dump-log', () => {
  it('--files takes a list, --skip-record-metadata leaves keys and values', () => {
    const [one, two] = filesOf('codec-lz4', '.log')
    const { lines } = dump(disk, '--files', `${one},${two}`, '--skip-record-metadata')
    expect(ofType(lines, 'file').map(({ file }) => file)).toEqual([one, two])
    expect(Object.keys(ofType(lines, 'record')[0])).toEqual([
      'file',
      'type',
      'offset',
      'key',
      'value',
      'headers',
    ])
  })

  it('without --deep-iteration no records are shown', () => {
    expect(ofType(dump(disk, '/data/codec-none-0').lines, 'record')).toEqual([])
  })

  it.each(['--verify-index-only', '--index-sanity-check'])('%s shows no entries', (option) => {
    const { lines, isSound } = dump(disk, '/data', option)
    for (const type of ['offsetIndexEntry', 'timeIndexEntry', 'abortedTransaction']) {
      expect(ofType(lines, type)).toEqual([])
    }
    expect(isSound).toBe(true)
  })

  it('--max-bytes reads the first batches and calls nothing trailing', () => {
    const [path] = filesOf('codec-none', '.log')
    const third = ofType(dump(disk, path).lines, 'batch')[2].position as number
    const { lines, isSound } = dump(disk, path, '--max-bytes', String(third + 1))
    expect(ofType(lines, 'batch')).toHaveLength(2)
    expect(isSound).toBe(true)
  })

  it('--max-message-size keeps larger batches out of memory, and says so', () => {
    const [path] = filesOf('odd', '.log')
    const { lines, isSound } = dump(disk, path, '--max-message-size', '100')
    expect(ofType(lines, 'batch').some(({ isValid }) => isValid === null)).toBe(true)
    expect(problems(lines)[0]).toMatch(/more than --max-message-size: not looked into/)
    expect(isSound).toBe(false)
  })

  it.each([
    [[], 'which files?'],
    [['--max-bytes', '0', 'f'], '--max-bytes 0: expected an integer from 1 to'],
    [['--max-message-size', '999999999999', 'f'], 'expected an integer from 1 to 134217728'],
    [['--offsets-decoder', '--transaction-log-decoder', 'f'], 'only one may be given'],
    [['--value-decoder', 'f'], "Unknown option '--value-decoder'"],
  ])('%j is refused in one line', (argv, line) => {
    expect(() => readDumpArguments(argv)).toThrow(line)
  })
})

describe('what is wrong is told, and nothing is', () => {
  const segment = (): string => filesOf('codec-none', '.log')[1]

  it.each<[string, (bytes: Buffer) => Uint8Array, RegExp]>([
    [
      'a changed record',
      (bytes) => bytes.fill(bytes[100] ^ 1, 100, 101),
      /Record is corrupt \(stored crc = /,
    ],
    [
      'a last batch that is cut',
      (bytes) => bytes.subarray(0, bytes.length - 1),
      /bytes at the end, from \d+ on, are no whole batch/,
    ],
    [
      'bytes behind the last batch',
      (bytes) => Buffer.concat([bytes, Buffer.from('garbage')]),
      /^7 bytes at the end/,
    ],
    [
      'a batch twice',
      (bytes) => Buffer.concat([bytes, bytes]),
      /^the batch at \d+ has offset \d+ after \d+$/,
    ],
    [
      'a segment of lower offsets',
      (bytes) => (bytes.writeBigInt64BE(3n, 0), bytes),
      /has offset 3 in a segment that begins at \d+/,
    ],
  ])('%s', (_what, change, told) => {
    const path = segment()
    const { lines, isSound } = dump(withChanged(path, change), path)
    expect(problems(lines)[0]).toMatch(told)
    expect(isSound).toBe(false)
  })

  it('not zeros behind the last batch: a preallocated file', () => {
    const path = segment()
    const changed = withChanged(path, (bytes) => Buffer.concat([bytes, Buffer.alloc(5000)]))
    const { lines, isSound } = dump(changed, path)
    expect(ofType(lines, 'note')[0].message).toBe('5000 zero bytes at the end: allocated ahead')
    expect(isSound).toBe(true)
  })

  it('not zeros behind the entries of an index: Kafka after a kill', () => {
    for (const suffix of ['.index', '.timeindex']) {
      const path = long('codec-none', suffix, 16)
      const changed = withChanged(path, (bytes) => Buffer.concat([bytes, Buffer.alloc(2400)]))
      const { lines, isSound } = dump(changed, path)
      expect(ofType(lines, 'indexEnd')[0]).toMatchObject({ zeroFillBytes: 2400 })
      expect(ofType(lines, 'indexEnd')[0].entries).toBeGreaterThan(0)
      expect(isSound).toBe(true)
    }
  })

  it.each<[string, string, (bytes: Buffer) => Uint8Array, RegExp]>([
    ['.index', 'an offset that is no last one', (bytes) => bytes.fill(bytes[3] + 1, 3, 4), /do not match/],
    [
      '.index',
      'a position inside a batch',
      (bytes) => bytes.fill(bytes[7] + 1, 7, 8),
      /no batch with that last offset begins there|do not match/,
    ],
    [
      '.index',
      'a position behind the end',
      (bytes) => (bytes.writeInt32BE(99_999_999, bytes.length - 4), bytes),
      /lies behind the segment's/,
    ],
    ['.index', 'an entry twice', (bytes) => Buffer.concat([bytes, bytes.subarray(-8)]), /is out of order/],
    ['.index', 'half an entry', (bytes) => bytes.subarray(0, -3), /are not a multiple of 8/],
    [
      '.timeindex',
      'another timestamp',
      (bytes) => bytes.fill(bytes[7] ^ 1, 7, 8),
      /index timestamp \d+, log timestamp \d+/,
    ],
    [
      '.timeindex',
      'an offset inside a batch',
      (bytes) => bytes.fill(bytes[11] - 1, 11, 12),
      /is not the last of a batch/,
    ],
    [
      '.timeindex',
      'an offset behind the end',
      (bytes) => (bytes.writeInt32BE(99_999, bytes.length - 4), bytes),
      /is not in the segment/,
    ],
    ['.timeindex', 'half an entry', (bytes) => bytes.subarray(0, -3), /are not a multiple of 12/],
    [
      '.snapshot',
      'a changed byte',
      (bytes) => bytes.fill(bytes[20] ^ 1, 20, 21),
      /the snapshot is corrupt \(stored crc/,
    ],
    ['.snapshot', 'a newer version', (bytes) => bytes.fill(9, 1, 2), /version 9 of the producer snapshot/],
  ])('%s: %s', (suffix, _what, change, told) => {
    const path = long('codec-none', suffix, 16)
    const { lines, isSound } = dump(withChanged(path, change), path)
    expect(problems(lines).join('\n')).toMatch(told)
    expect(isSound).toBe(false)
  })

  it.each<[string, (bytes: Buffer) => Uint8Array, RegExp]>([
    ['transactions out of order', (bytes) => Buffer.concat([bytes, bytes]), /is out of order/],
    ['an unknown version', (bytes) => bytes.fill(1, 1, 2), /has a version other than 0/],
  ])('.txnindex: %s', (_what, change, told) => {
    const [path] = filesOf('transactional', '.txnindex')
    expect(problems(dump(withChanged(path, change), path).lines).join('\n')).toMatch(told)
  })

  it('checkpoints that are none, files that are not there, files of something else', () => {
    const path = '/d/recovery-point-offset-checkpoint'
    const told = (content: string): unknown[] =>
      problems(dump(withFile(path, Buffer.from(content)), path).lines)
    expect(told('0\n2\na 0 1\n')[0]).toMatch(/no checkpoint file of version 0/)
    expect(told('0\n1\na 0 x\n')[0]).toBe('"a 0 x" is no partition\'s offset')
    expect(told('0\n1\na 0 1\n')).toEqual([])
    expect(problems(dump(disk, '/nowhere').lines)[0]).toBe('no file or directory of a log')
    expect(problems(dump(withFile('/d/notes.txt', Buffer.from('x')), '/d/notes.txt').lines)).toHaveLength(1)
  })

  it('segments that overlap', () => {
    const [first, second] = filesOf('codec-none', '.log')
    const changed = withChanged(second, () => Buffer.from(disk.readFile(first)))
    expect(problems(dump(changed, '/data/codec-none-0').lines).join('\n')).toMatch(
      /in a segment that begins at \d+/,
    )
    const longer = withChanged(first, (bytes) => Buffer.concat([bytes, disk.readFile(second)]))
    expect(problems(dump(longer, '/data/codec-none-0').lines).join('\n')).toMatch(
      /begins at \d+, and the segment before it ends with \d+/,
    )
  })

  it('the entry of an index that stands for several batches is no fault', () => {
    const path = long('codec-none', '.index', 16)
    const log = path.replace('.index', '.log')
    const batches = ofType(dump(disk, log).lines, 'batch')
    const base = Number(log.slice(-24, -4))
    const entry = Buffer.alloc(8)
    entry.writeInt32BE((batches[1].lastOffset as number) - base, 0)
    entry.writeInt32BE(0, 4)
    const { lines, isSound } = dump(
      withChanged(path, () => entry),
      path,
    )
    expect(ofType(lines, 'note')[0].message).toMatch(/^1 entries name the last of several batches/)
    expect(isSound).toBe(true)
  })
})

describe('a segment that a broker writes to meanwhile', () => {
  const log = '/d/00000000000000000000.log'
  const batchAt = (baseOffset: number): Buffer =>
    buildBatch({ baseOffset, records: [{ timestampMs: 1, key: null, value: Buffer.from('v') }] })

  it.each([
    ['was in the middle of a write', 20],
    ['had written nothing yet', 0],
  ])('is sound: it %s', (_when, partBytes) => {
    const [first, second, third] = [0, 1, 2].map(batchAt)
    const growing = withFile(log, Buffer.concat([first, second.subarray(0, partBytes)]))
    const found = dumpLog(growing, readDumpArguments(['--json', log])!)
    // The size has been read by then.
    for (const type of ['file', 'batch'])
      expect(JSON.parse((found.next().value as { text: string }).text)).toMatchObject({ type })
    const file = growing.open(log, 'write')
    file.write([second, third], first.length)
    file.close()
    const rest = [...found].map(({ text }) => JSON.parse(text) as Line)
    const seen = partBytes === 0 ? 1 : 2
    expect(ofType(rest, 'batch')).toHaveLength(seen - 1)
    expect(ofType(rest, 'segmentEnd')[0]).toMatchObject({ batches: seen, validBytes: seen * first.length })
    expect(problems(rest)).toEqual([])
  })
})

describe('records that are not what their batch says', () => {
  const records = [1, 2, 3].map((timestampMs) => ({ timestampMs, key: null, value: Buffer.from('v') }))
  const log = '/d/00000000000000000000.log'

  /** Changes a header field behind the CRC's back, and sets the CRC right. */
  function refitted(at: number, value: number): Buffer {
    const built = buildBatch({ records })
    const copy = Buffer.from(built)
    copy.writeInt32BE(value, at)
    // buildBatch computes it; here the field lies inside of it.
    const { lines } = dump(withFile(log, copy), log)
    const [, computed] = /computed crc = (\d+)/.exec(String(problems(lines)[0]))!
    copy.writeUInt32BE(Number(computed), 17)
    return copy
  }

  it.each([
    ['fewer than counted', refitted.bind(null, 57, 4), /a record is cut short|does not fit/],
    ['more than counted', refitted.bind(null, 57, 2), /bytes follow the last record/],
    ['offsets above the last', refitted.bind(null, 23, 1), /a record has offset 2, where 2 or later/],
    ['an earlier largest timestamp', refitted.bind(null, 39, 2), /its largest timestamp is 3, and it says 2/],
  ])('%s', (_what, build, told) => {
    const { lines, isSound } = dump(withFile(log, build()), log, '--deep-iteration')
    expect(problems(lines).join('\n')).toMatch(told)
    expect(isSound).toBe(false)
  })

  it('a record of an internal topic that is none is shown as it is, and told', () => {
    const { lines } = dump(withFile(log, buildBatch({ records })), log, '--offsets-decoder')
    expect(problems(lines)).toHaveLength(3)
    expect(ofType(lines, 'record')[0]).toMatchObject({ key: null, value: 'v' })
  })

  it('tells what records of consumer groups are about', () => {
    const group = { groupId: 'g', name: '' }
    const all: ConsumerRecord[] = [
      { type: 'consumer-group', ...group, value: { epoch: 3, metadataHash: '00000000000000ff' } },
      { type: 'consumer-target', groupId: 'g', name: 'm', value: { topicPartitions: [] } },
      { type: 'consumer-regex', groupId: 'g', name: 'a.*', value: null },
    ]
    const records = all.map((record) => ({ timestampMs: START_MS, ...encodeConsumerRecord(record) }))
    const { lines } = dump(withFile(log, buildBatch({ records })), log, '--offsets-decoder')
    expect(ofType(lines, 'record').map(({ decoded }) => decoded)).toEqual([
      {
        key: { type: 'ConsumerGroupMetadata', version: 3, groupId: 'g' },
        value: { version: 0, epoch: 3, metadataHash: '00000000000000ff' },
      },
      {
        key: { type: 'ConsumerGroupTargetAssignmentMember', version: 7, groupId: 'g', memberId: 'm' },
        value: { version: 0, topicPartitions: [] },
      },
      {
        key: { type: 'ConsumerGroupRegularExpression', version: 16, groupId: 'g', regularExpression: 'a.*' },
        value: null,
      },
    ])
  })
})

describe('message formats 0 and 1', () => {
  const log = '/d/00000000000000000000.log'

  it('are shown message by message, with what the compressed ones hold', () => {
    const { lines, isSound } = dump(withFile(log, oldSegment()), log, '--print-data-log')
    expect(problems(lines)).toEqual([])
    expect(isSound).toBe(true)
    expect(
      ofType(lines, 'batch').map(({ magic, compression }) => `${String(magic)} ${String(compression)}`),
    ).toEqual([0, 1].flatMap((magic) => ['none', 'none', 'gzip', 'lz4'].map((name) => `${magic} ${name}`)))
    const records = ofType(lines, 'record')
    expect(records.map(({ offset }) => offset)).toEqual(numbers(0, 12))
    expect(records[1]).toMatchObject({ timestampType: null, timestampMs: -1, key: null, value: 'v1' })
    expect(records[11]).toMatchObject({
      timestampType: 'LogAppendTime',
      timestampMs: START_MS + 10,
      key: 'k',
    })
  })

  it('are read to their end, whatever was changed, and it is told', () => {
    const whole = oldSegment()
    const batches = ofType(dump(withFile(log, whole), log).lines, 'batch')
    for (let at = 0; at < whole.length; at++) {
      const bytes = Buffer.from(whole)
      bytes[at] ^= 4
      const { lines, isSound } = dump(withFile(log, bytes), log, '--print-data-log')
      // The offset lies outside the CRC: a gap is nothing wrong.
      const isOffset = batches.some(
        ({ position }) => at >= (position as number) && at < (position as number) + 8,
      )
      if (!isOffset) expect(isSound, `byte ${at}`).toBe(false)
      expect(lines.length).toBeGreaterThan(1)
    }
  })
})

describe('limits', () => {
  const log = '/d/00000000000000000000.log'
  const told = (batch: Buffer, ...options: string[]): unknown[] =>
    problems(dump(withFile(log, batch), log, '--deep-iteration', ...options).lines)

  it('what a batch decompresses to counts as its size', () => {
    const bomb = buildBatch({
      records: [{ timestampMs: 1, key: null, value: Buffer.alloc(200_000) }],
      codec: 1,
    })
    expect(bomb.length).toBeLessThan(2000)
    expect(told(bomb, '--max-message-size', '100000')).toEqual([
      'the batch at 0: the data decompresses to more than 100000 bytes',
    ])
    expect(told(bomb, '--max-message-size', '300000')).toEqual([])
  })

  it('a record with more than 100,000 headers is not read', () => {
    const withHeaders = (count: number): Buffer => {
      const headers = Array.from({ length: count }, () => ({ key: '', value: null }))
      return buildBatch({ records: [{ timestampMs: 1, key: null, value: null, headers }] })
    }
    expect(told(withHeaders(100_001))).toEqual([
      'the batch at 0: a record has 100001 headers, more than 100000',
    ])
    expect(told(withHeaders(1000))).toEqual([])
  })

  it('after 100 faults an index is not compared any further', () => {
    for (const [suffix, size] of [
      ['.index', 8],
      ['.timeindex', 12],
    ] as const) {
      const path = `/d/00000000000000000000${suffix}`
      const { lines } = dump(withFile(path, Buffer.alloc(300 * size, 1)), path)
      // The first entry is in order.
      expect(problems(lines)).toHaveLength(101)
      expect(problems(lines)[100]).toBe('and so on: the rest of this index is not compared')
      expect(ofType(lines, 'indexEnd')[0].entries).toBe(300)
    }
  })

  it('the key of a header is shown up to 32,767 characters', () => {
    const headers = [{ key: 'h'.repeat(40_000), value: null }]
    const batch = buildBatch({ records: [{ timestampMs: 1, key: null, value: null, headers }] })
    const [record] = ofType(dump(withFile(log, batch), log, '--deep-iteration').lines, 'record')
    expect((record.headerKeys as string[])[0]).toHaveLength(32_768)
  })
})

describe('hostile files', () => {
  it('are read to their end, whatever was changed; a changed batch is told', () => {
    const seed = Math.floor(Math.random() * 1e9)
    const random = new SeededRandom(seed)
    const below = (limit: number): number => Math.floor(random.next() * limit)
    const paths = topics.flatMap(({ topic }) =>
      ['.log', '.index', '.timeindex', '.txnindex', '.snapshot'].flatMap((suffix) => filesOf(topic, suffix)),
    )
    for (let round = 0; round < 400; round++) {
      const path = paths[below(paths.length)]
      let [at, from] = [0, 0]
      const changed = withChanged(path, (bytes) => {
        if (bytes.length === 0) return bytes
        at = below(bytes.length)
        from = bytes[at]
        bytes[at] ^= 1 << below(8)
        return bytes
      })
      const { lines, isSound } = dump(changed, path, '--print-data-log')
      const what = `seed ${seed}, round ${round}: byte ${at} of ${path} was ${from}`
      // The leader epoch is outside the CRC, and whether it is right only the leader knows; the base offset may leave a gap.
      const isCovered = path.endsWith('.log') && !isOutsideCrc(path, at)
      if (isCovered || path.endsWith('.snapshot')) expect(isSound, what).toBe(false)
      expect(lines.length, what).toBeGreaterThan(0)
    }
  })

  function isOutsideCrc(path: string, at: number): boolean {
    return ofType(dump(disk, path).lines, 'batch').some(({ position }) => {
      const inside = at - (position as number)
      return inside >= 0 && (inside < 8 || (inside >= 12 && inside < 17))
    })
  }

  it('of random bytes are read to their end', () => {
    const seed = Math.floor(Math.random() * 1e9)
    const random = new SeededRandom(seed)
    for (const suffix of ['.log', '.index', '.timeindex', '.txnindex', '.snapshot']) {
      for (let round = 0; round < 20; round++) {
        const bytes = Buffer.from(
          Array.from({ length: Math.floor(random.next() * 300) }, () => random.next() * 256),
        )
        const path = `/d/00000000000000000000${suffix}`
        const { lines } = dump(withFile(path, bytes), path, '--print-data-log')
        expect(lines[0].type, `seed ${seed}`).toBe('file')
      }
    }
  })
})
