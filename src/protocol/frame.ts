/**
 * Whole requests and responses: header and body. A frame that is read comes without its 4-byte length; what is encoded
 * begins with it. Both sides are here, the client's for tests and for brokers that talk to each other.
 */
import { codec } from './compile.ts'
import { apiByKey } from './messages/index.ts'
import { MalformedMessageError, Reader } from './reader.ts'
import type { AnyApi, Decoded, Encodable, RequestOf, ResponseOf } from './schema.ts'
import { Writer, putInt32 } from './writer.ts'

const API_VERSIONS_KEY = 18
const CONTROLLED_SHUTDOWN_KEY = 7
const LENGTH_BYTES = 4

export interface RequestHeader {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
  /** Null when the key is not known. */
  readonly api: AnyApi | null
  /** False when the key or the version is not known: then there is no body to decode. */
  readonly supported: boolean
  /** Where the body begins in the frame; meaningless unless supported. */
  readonly bodyOffset: number
}

/**
 * Request header v1, or v2 where the version is flexible: v1 and tags; the client id keeps its 16-bit length (KIP-482).
 * ControlledShutdown 0 has header v0: no client id.
 * A header of an unknown key or version is read as far as it can be, so that ApiVersions can be answered (KIP-511).
 * Throws MalformedMessageError.
 */
export function readRequestHeader(frame: Buffer): RequestHeader {
  const reader = new Reader(frame)
  const apiKey = reader.int16()
  const apiVersion = reader.int16()
  const correlationId = reader.int32()
  const api = apiByKey.get(apiKey) ?? null
  const supported = api !== null && apiVersion >= api.versions[0] && apiVersion <= api.versions[1]
  if (!supported) {
    const clientId = clientIdOrNull(reader)
    return { apiKey, apiVersion, correlationId, clientId, api, supported, bodyOffset: reader.position }
  }
  const clientId = hasClientId(apiKey, apiVersion) ? reader.nullableString() : null
  if (isFlexible(api, apiVersion)) reader.skipTags()
  return { apiKey, apiVersion, correlationId, clientId, api, supported, bodyOffset: reader.position }
}

function clientIdOrNull(reader: Reader): string | null {
  try {
    return reader.nullableString()
  } catch (error) {
    if (error instanceof MalformedMessageError) return null
    throw error
  }
}

/** Throws MalformedMessageError. Bytes behind the body are ignored, as Kafka does. */
export function decodeRequest<A extends AnyApi>(
  api: A,
  version: number,
  frame: Buffer,
  bodyOffset: number,
): RequestOf<A> {
  try {
    return codec(api.request, version).decode(new Reader(frame, bodyOffset)) as RequestOf<A>
  } catch (error) {
    throw located(error, `${api.request.name} v${version}`)
  }
}

/** The chunks of a response, its length in front. `records` are spliced in by reference. */
export function encodeResponse<A extends AnyApi>(
  api: A,
  version: number,
  correlationId: number,
  response: ResponseOf<A>,
): Buffer[] {
  const writer = new Writer()
  writer.int32(0)
  writer.int32(correlationId)
  if (hasResponseTags(api, version)) writer.uvarint(0)
  codec(api.response, version).encode(writer, response as Encodable<A['response']['fields']>)
  return withLength(writer)
}

/** The chunks of a request, its length in front. A client id that the header has no room for is left out. */
export function encodeRequest<A extends AnyApi>(
  api: A,
  version: number,
  correlationId: number,
  clientId: string | null,
  request: Encodable<A['request']['fields']>,
): Buffer[] {
  const writer = new Writer()
  writer.int32(0)
  writer.int16(api.key)
  writer.int16(version)
  writer.int32(correlationId)
  if (hasClientId(api.key, version)) writer.nullableString(clientId)
  if (isFlexible(api, version)) writer.uvarint(0)
  codec(api.request, version).encode(writer, request)
  return withLength(writer)
}

/** The correlation id of a response, without looking further. Throws MalformedMessageError. */
export function readCorrelationId(frame: Buffer): number {
  return new Reader(frame).int32()
}

/** The body of a response. Throws MalformedMessageError. */
export function decodeResponse<A extends AnyApi>(
  api: A,
  version: number,
  frame: Buffer,
): Decoded<A['response']['fields']> {
  try {
    const reader = new Reader(frame)
    reader.int32()
    if (hasResponseTags(api, version)) reader.skipTags()
    return codec(api.response, version).decode(reader) as Decoded<A['response']['fields']>
  } catch (error) {
    throw located(error, `${api.response.name} v${version}`)
  }
}

/** ControlledShutdown 0 alone has header v0, which ends behind the correlation id. */
function hasClientId(apiKey: number, version: number): boolean {
  return apiKey !== CONTROLLED_SHUTDOWN_KEY || version > 0
}

function isFlexible(api: AnyApi, version: number): boolean {
  return api.flexibleFrom !== null && version >= api.flexibleFrom
}

/**
 * ApiVersions is answered behind header v0 at every version: the client does not know yet what the broker speaks
 * (KIP-511).
 */
function hasResponseTags(api: AnyApi, version: number): boolean {
  return isFlexible(api, version) && api.key !== API_VERSIONS_KEY
}

function withLength(writer: Writer): Buffer[] {
  const size = writer.length - LENGTH_BYTES
  const chunks = writer.finish()
  putInt32(chunks[0], 0, size)
  return chunks
}

function located(error: unknown, message: string): unknown {
  return error instanceof MalformedMessageError
    ? new MalformedMessageError(`${message}: ${error.message}`)
    : error
}
