/**
 * Every API and version that we serve, against the bytes that Kafka's own generated classes write (generate.sh): our decoders
 * give the values that Kafka wrote, our encoders give Kafka's bytes for them.
 */
import { describe, expect, test } from 'vitest'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  readRequestHeader,
} from '../../src/protocol/frame.ts'
import { apis } from '../../src/protocol/messages/index.ts'
import type { AnyApi, Fields } from '../../src/protocol/schema.ts'
import {
  apiFileName,
  nullablePaths,
  readGoldenApi,
  toEncodable,
  toJson,
  withDefaults,
} from './golden-data.ts'
import type { MessageCase, MessageSide } from './golden-data.ts'

const NEVER_ENCODED = 'unknown-tags'

for (const api of apis) {
  const file = readGoldenApi(api)

  describe(`${api.name} (${api.key})`, () => {
    test('has golden bytes, of requests and responses, for every version served', () => {
      expect(
        file,
        `test/golden/data/${apiFileName(api)}: add the API to generate.sh and run it`,
      ).not.toBeNull()
      for (const side of [file!.request, file!.response]) {
        for (let version = api.versions[0]; version <= api.versions[1]; version++) {
          const variants = side.cases.filter((each) => each[0] === version).map((each) => each[1])
          const flexible = api.flexibleFrom !== null && version >= api.flexibleFrom
          const needed = ['defaults', 'filled', 'extremes', ...(flexible ? ['unknown-tags'] : [])]
          expect(variants, `version ${version}`).toEqual(expect.arrayContaining(needed))
        }
      }
    })

    if (file === null) return
    for (let version = api.versions[0]; version <= api.versions[1]; version++) {
      test(`request version ${version} is decoded and encoded as Kafka does`, () => {
        checkSide(file.request, api.request.fields, version, requestCodec(api, version, file.correlationId))
      })
      test(`response version ${version} is decoded and encoded as Kafka does`, () => {
        checkSide(
          file.response,
          api.response.fields,
          version,
          responseCodec(api, version, file.correlationId),
        )
      })
    }
  })
}

interface FrameCodec {
  decode(frame: Buffer, variant: string): unknown
  encode(value: { [name: string]: unknown }, variant: string): Buffer[]
}

function requestCodec(api: AnyApi, version: number, correlationId: number): FrameCodec {
  // ControlledShutdown 0 alone has a header without it.
  const hasClientId = api.key !== 7 || version > 0
  const clientIdOf = (variant: string) => (hasClientId && variant !== 'defaults' ? `golden-${variant}` : null)
  return {
    decode(frame, variant) {
      const { bodyOffset, ...header } = readRequestHeader(frame)
      const clientId = clientIdOf(variant)
      expect(header).toMatchObject({
        apiKey: api.key,
        apiVersion: version,
        correlationId,
        clientId,
        supported: true,
      })
      return decodeRequest(api, version, frame, bodyOffset)
    },
    encode: (value, variant) => encodeRequest(api, version, correlationId, clientIdOf(variant), value),
  }
}

function responseCodec(api: AnyApi, version: number, correlationId: number): FrameCodec {
  return {
    decode(frame) {
      expect(frame.readInt32BE(0)).toBe(correlationId)
      return decodeResponse(api, version, frame)
    },
    encode: (value) => encodeResponse(api, version, correlationId, value),
  }
}

function checkSide(side: MessageSide, fields: Fields, version: number, codec: FrameCodec): void {
  const nullable = side.nullable.find((each) => each[0] === version)![1]
  expect(nullablePaths(fields, version), 'fields that may be null').toEqual(nullable)
  for (const goldenCase of side.cases) {
    if (goldenCase[0] === version) checkCase(side, fields, goldenCase, codec)
  }
}

function checkCase(side: MessageSide, fields: Fields, goldenCase: MessageCase, codec: FrameCodec): void {
  const [, variant, valueIndex, base64] = goldenCase
  const frame = Buffer.from(base64, 'base64')
  const golden = side.values[valueIndex]
  const decoded = codec.decode(frame, variant)
  expect(toJson(decoded), `${variant}: decoded`).toStrictEqual(withDefaults(side, fields, golden))
  if (variant === NEVER_ENCODED) return
  const expected = frame.toString('hex')
  expect(hexOf(codec.encode(toEncodable(fields, golden), variant)), `${variant}: encoded`).toBe(expected)
  expect(
    hexOf(codec.encode(decoded as { [name: string]: unknown }, variant)),
    `${variant}: encoded again`,
  ).toBe(expected)
}

/** Without the 4-byte length, which must be right. */
function hexOf(chunks: Buffer[]): string {
  const bytes = Buffer.concat(chunks)
  expect(bytes.readInt32BE(0)).toBe(bytes.length - 4)
  return bytes.toString('hex', 4)
}
