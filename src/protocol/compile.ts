/**
 * Turns a schema at one version into two JavaScript functions, on first use. The generated code is a straight line of
 * calls on Reader and Writer: no field table is looked at while a message is decoded or encoded.
 *
 * The only texts that enter the generated code are names and defaults from our own tables.
 */
import { BugError, assert } from '../base/assert.ts'
import { DecoderSource } from './compile-decoder.ts'
import { EncoderSource } from './compile-encoder.ts'
import { Reader } from './reader.ts'
import type { Decoded, Encodable, Fields, Schema } from './schema.ts'
import { Writer } from './writer.ts'

export interface Codec<D, E> {
  /** Throws MalformedMessageError. Bytes behind the message stay unread, as in Kafka. */
  decode(reader: Reader): D
  encode(writer: Writer, value: E): void
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any
const codecs = new WeakMap<object, Codec<any, any>[]>()

/** The codec of one message at one version. */
export function codec<F extends Fields>(schema: Schema<F>, version: number): Codec<Decoded<F>, Encodable<F>> {
  let versions = codecs.get(schema)
  if (versions === undefined) codecs.set(schema, (versions = []))
  return (versions[version] ??= lazyCodec(schema, version))
}

/** Most programs use one direction of a message: each is compiled when it is first called. */
function lazyCodec<F extends Fields>(schema: Schema<F>, version: number): Codec<Decoded<F>, Encodable<F>> {
  const [min, max] = schema.versions
  assert(
    Number.isInteger(version) && version >= min && version <= max,
    `${schema.name} has no version ${version}`,
  )
  const flexible = schema.flexibleFrom !== null && version >= schema.flexibleFrom
  const lazy: Codec<Decoded<F>, Encodable<F>> = {
    decode(reader) {
      lazy.decode = build(new DecoderSource(version, flexible).message(schema.fields))
      return lazy.decode(reader)
    },
    encode(writer, value) {
      lazy.encode = build(new EncoderSource(version, flexible).message(schema.fields))
      lazy.encode(writer, value)
    },
  }
  return lazy
}

function build<T>(source: string): T {
  return new Function('Buffer', 'Writer', 'refuseNull', source)(Buffer, Writer, refuseNull) as T
}

function refuseNull(name: string): never {
  throw new BugError(`${name} is null in a version that does not allow it`)
}

/** A struct behind its version as int16: the form of the records of Kafka's coordinators. */
export interface VersionedCodec<D, E> {
  encode(version: number, value: E): Buffer
  /** Throws MalformedMessageError, also for a version that the schema does not have. */
  decode(bytes: Buffer): { version: number; value: D }
}

export function versioned<F extends Fields>(schema: Schema<F>): VersionedCodec<Decoded<F>, Encodable<F>> {
  return {
    encode(version, value) {
      const writer = new Writer()
      writer.int16(version)
      codec(schema, version).encode(writer, value)
      return Buffer.concat(writer.finish())
    },
    decode(bytes) {
      const reader = new Reader(bytes)
      const version = reader.int16()
      if (version < schema.versions[0] || version > schema.versions[1]) {
        reader.fail(`${schema.name} has no version ${version}`)
      }
      return { version, value: codec(schema, version).decode(reader) }
    },
  }
}
