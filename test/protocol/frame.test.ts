import { describe, expect, test } from 'vitest'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  readCorrelationId,
  readRequestHeader,
} from '../../src/protocol/frame.ts'
import { produceApi } from '../../src/protocol/messages/00-produce.ts'
import { fetchApi } from '../../src/protocol/messages/01-fetch.ts'
import { controlledShutdownApi } from '../../src/protocol/messages/07-controlled-shutdown.ts'
import { heartbeatApi } from '../../src/protocol/messages/12-heartbeat.ts'
import { apiVersionsApi } from '../../src/protocol/messages/18-api-versions.ts'
import { MalformedMessageError } from '../../src/protocol/reader.ts'

const hexOf = (chunks: Buffer[]): string => Buffer.concat(chunks).toString('hex')
const frameOf = (chunks: Buffer[]): Buffer => Buffer.concat(chunks).subarray(4)
const heartbeat = { groupId: 'g', generationId: 3, memberId: 'm' }

describe('a request', () => {
  test('has header version 1 where the version is not flexible', () => {
    const chunks = encodeRequest(heartbeatApi, 0, 5, 'me', heartbeat)
    const header = '000c' + '0000' + '00000005' + '00026d65'
    expect(hexOf(chunks)).toBe('00000016' + header + '000167' + '00000003' + '00016d')
    const frame = frameOf(chunks)
    expect(readRequestHeader(frame)).toEqual({
      apiKey: 12,
      apiVersion: 0,
      correlationId: 5,
      clientId: 'me',
      api: heartbeatApi,
      supported: true,
      bodyOffset: 12,
    })
    expect(decodeRequest(heartbeatApi, 0, frame, 12)).toEqual({ ...heartbeat, groupInstanceId: null })
  })

  test('has tags behind the client id where it is, unknown ones skipped', () => {
    const chunks = encodeRequest(heartbeatApi, 4, 5, null, heartbeat)
    expect(hexOf(chunks)).toBe(
      '00000015' + '000c000400000005' + 'ffff' + '00' + '0267' + '00000003' + '026d' + '00' + '00',
    )
    const tagged = Buffer.from(
      '000c000400000005' + 'ffff' + '0107026162' + '0267' + '00000003' + '026d' + '00' + '00',
      'hex',
    )
    const header = readRequestHeader(tagged)
    expect(header.clientId).toBe(null)
    expect(decodeRequest(heartbeatApi, 4, tagged, header.bodyOffset)).toEqual({
      ...heartbeat,
      groupInstanceId: null,
    })
  })

  test('of ControlledShutdown 0 alone has no client id', () => {
    const asked = { brokerId: 3 }
    expect(hexOf(encodeRequest(controlledShutdownApi, 0, 5, 'me', asked))).toBe(
      '0000000c' + '0007' + '0000' + '00000005' + '00000003',
    )
    expect(hexOf(encodeRequest(controlledShutdownApi, 1, 5, 'me', asked))).toBe(
      '00000010' + '0007' + '0001' + '00000005' + '00026d65' + '00000003',
    )
    const frame = frameOf(encodeRequest(controlledShutdownApi, 0, 5, 'me', asked))
    expect(readRequestHeader(frame)).toMatchObject({ clientId: null, supported: true, bodyOffset: 8 })
    expect(decodeRequest(controlledShutdownApi, 0, frame, 8)).toEqual({ brokerId: 3, brokerEpoch: -1 })
  })

  test('may have bytes behind its body, as in Kafka', () => {
    const frame = Buffer.concat([
      frameOf(encodeRequest(heartbeatApi, 0, 5, 'me', heartbeat)),
      Buffer.of(1, 2),
    ])
    expect(decodeRequest(heartbeatApi, 0, frame, 12).groupId).toBe('g')
  })

  test('of a key that is not served is not supported', () => {
    const header = readRequestHeader(Buffer.from('03e7' + '0000' + '00000009' + '000161', 'hex'))
    expect(header).toMatchObject({
      apiKey: 999,
      api: null,
      supported: false,
      correlationId: 9,
      clientId: 'a',
    })
  })

  test('of a version that is not served is not supported, below as above', () => {
    expect(readRequestHeader(Buffer.from('0008' + '0000' + '00000009' + '000161', 'hex')).supported).toBe(
      false,
    )
    expect(readRequestHeader(Buffer.from('0000' + '000d' + '00000009' + '000161', 'hex')).supported).toBe(
      false,
    )
    expect(readRequestHeader(Buffer.from('0000' + 'ffff' + '00000009' + '000161', 'hex')).supported).toBe(
      false,
    )
  })

  test('of ApiVersions at any version says enough for an answer', () => {
    for (const rest of ['', '0002', '7fff61', '000161' + '00' + '0261', 'fffe']) {
      const header = readRequestHeader(Buffer.from('0012' + '0063' + '00000009' + rest, 'hex'))
      expect(header).toMatchObject({
        api: apiVersionsApi,
        supported: false,
        apiVersion: 99,
        correlationId: 9,
      })
    }
  })

  test('that is cut or lies about its header is malformed', () => {
    for (const hex of [
      '',
      '000c',
      '000c0000000000',
      '000c000000000005',
      '000c000000000005fffe',
      '000c0000000000050009ab',
    ]) {
      expect(() => readRequestHeader(Buffer.from(hex, 'hex'))).toThrow(MalformedMessageError)
    }
    expect(() => readRequestHeader(Buffer.from('000c000400000005ffff', 'hex'))).toThrow(MalformedMessageError)
  })

  test('that is malformed says which message it claimed to be', () => {
    const frame = frameOf(encodeRequest(heartbeatApi, 0, 5, 'me', heartbeat)).subarray(0, 17)
    expect(() => decodeRequest(heartbeatApi, 0, frame, 12)).toThrow('HeartbeatRequest v0: ')
  })

  test('gives records as a slice of its frame, and null where there are none', () => {
    const request = {
      acks: 1,
      timeoutMs: 100,
      topicData: [
        {
          name: 't',
          partitionData: [
            { index: 0, records: Buffer.from('batch') },
            { index: 1, records: null },
          ],
        },
      ],
    }
    for (let version = 3; version <= 11; version++) {
      const frame = frameOf(encodeRequest(produceApi, version, 1, 'c', request))
      const decoded = decodeRequest(produceApi, version, frame, readRequestHeader(frame).bodyOffset)
      const [first, second] = decoded.topicData[0].partitionData
      expect(first.records?.toString()).toBe('batch')
      expect(first.records?.buffer).toBe(frame.buffer)
      expect(second.records).toBe(null)
    }
  })
})

describe('a response', () => {
  test('has header version 0 where the version is not flexible, 1 where it is', () => {
    expect(hexOf(encodeResponse(heartbeatApi, 0, 5, { errorCode: 27 }))).toBe(
      '00000006' + '00000005' + '001b',
    )
    expect(hexOf(encodeResponse(heartbeatApi, 4, 5, { errorCode: 27, throttleTimeMs: 1 }))).toBe(
      '0000000c' + '00000005' + '00' + '00000001' + '001b' + '00',
    )
  })

  test('of ApiVersions has header version 0 at every version', () => {
    const response = { errorCode: 0, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }] }
    expect(hexOf(encodeResponse(apiVersionsApi, 0, 5, response))).toBe(
      '00000010' + '00000005' + '0000' + '00000001' + '001200000004',
    )
    expect(hexOf(encodeResponse(apiVersionsApi, 3, 5, response))).toBe(
      '00000013' + '00000005' + '0000' + '02' + '00120000000400' + '00000000' + '00',
    )
    expect(
      decodeResponse(apiVersionsApi, 3, frameOf(encodeResponse(apiVersionsApi, 3, 5, response))),
    ).toMatchObject(response)
  })

  test('counts spliced records in its length and leaves them where they are', () => {
    const batch = Buffer.alloc(100_000, 1)
    const partition = {
      partitionIndex: 0,
      errorCode: 0,
      highWatermark: 1,
      abortedTransactions: null,
      records: batch,
    }
    for (let version = 4; version <= 17; version++) {
      const chunks = encodeResponse(fetchApi, version, 5, {
        responses: [{ topic: 't', partitions: [partition] }],
      })
      expect(chunks.includes(batch)).toBe(true)
      const frame = frameOf(chunks)
      expect(chunks[0].readInt32BE(0)).toBe(frame.length)
      expect(readCorrelationId(frame)).toBe(5)
      const decoded = decodeResponse(fetchApi, version, frame).responses[0].partitions[0]
      expect(decoded.records?.equals(batch)).toBe(true)
    }
  })

  test('that is malformed says which message it claimed to be', () => {
    expect(() => decodeResponse(heartbeatApi, 4, Buffer.from('0000000500', 'hex'))).toThrow(
      'HeartbeatResponse v4: ',
    )
    expect(() => readCorrelationId(Buffer.alloc(3))).toThrow(MalformedMessageError)
  })
})
