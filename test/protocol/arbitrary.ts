/** Values made from a schema, and what must come back from the wire of one version. */
import fc from 'fast-check'
import type { Arbitrary } from 'fast-check'
import { ZERO_HASH, ZERO_UUID } from '../../src/protocol/schema.ts'
import type { AnyField, Fields, FieldType } from '../../src/protocol/schema.ts'

type Value = Record<string, unknown>

const buffer = (maxLength: number): Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes))
const uuidText = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('base64url'))

/** Also holds fields that the version does not carry, and leaves out some that have a default. */
export function valueOf(fields: Fields, version: number): Arbitrary<Value> {
  const entries = Object.entries(fields).map(([name, field]): [string, Arbitrary<unknown>] => [
    name,
    fc.option(fieldValue(field, version), { nil: undefined, freq: 6 }),
  ])
  return fc.record(Object.fromEntries(entries))
}

function fieldValue(field: AnyField, version: number): Arbitrary<unknown> {
  const value = typeValue(field.type, version)
  return version >= field.rules.nullableFrom ? fc.option(value, { nil: null, freq: 4 }) : value
}

function typeValue(type: FieldType, version: number): Arbitrary<unknown> {
  switch (type.kind) {
    case 'bool':
      return fc.boolean()
    case 'int8':
      return fc.integer({ min: -0x80, max: 0x7f })
    case 'int16':
      return fc.integer({ min: -0x8000, max: 0x7fff })
    case 'int32':
      return fc.integer({ min: -0x80000000, max: 0x7fffffff })
    case 'int64':
      return fc.oneof(fc.maxSafeInteger(), fc.integer())
    case 'hash64':
      return fc.oneof(
        fc.constant(ZERO_HASH),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((n) => n.toString(16).padStart(16, '0')),
      )
    case 'float64':
      return fc.double({ noNaN: true })
    case 'uuid':
      return fc.oneof(fc.constant(ZERO_UUID), uuidText)
    case 'string':
      return fc.oneof(fc.string({ maxLength: 80 }), fc.string({ unit: 'grapheme', maxLength: 80 }))
    case 'bytes':
      return buffer(200)
    case 'records':
      return buffer(3000)
    case 'array':
      return fc.array(fieldValue(type.element, version), { maxLength: 4 })
    case 'struct':
      return valueOf(type.fields, version)
  }
}

/** What decoding must give for a value that was encoded at a version: the fields it carries, defaults for the rest. */
export function restricted(fields: Fields, value: Value, version: number): Value {
  const result: Value = {}
  for (const [name, field] of Object.entries(fields)) {
    const carried = version >= field.rules.from && version <= field.rules.until
    result[name] =
      carried && value[name] !== undefined
        ? restrictedType(field.type, value[name], version)
        : defaultOf(field)
  }
  return result
}

function restrictedType(type: FieldType, value: unknown, version: number): unknown {
  if (value === null) return null
  if (type.kind === 'struct') return restricted(type.fields, value as Value, version)
  if (type.kind === 'array') {
    return (value as unknown[]).map((each) => restrictedType(type.element.type, each, version))
  }
  return value
}

export function defaultOf(field: AnyField): unknown {
  if (field.rules.defaultValue !== undefined) return field.rules.defaultValue
  switch (field.type.kind) {
    case 'bool':
      return false
    case 'string':
      return ''
    case 'uuid':
      return ZERO_UUID
    case 'hash64':
      return ZERO_HASH
    case 'bytes':
    case 'records':
      return Buffer.alloc(0)
    case 'array':
      return []
    case 'struct':
      return Object.fromEntries(
        Object.entries(field.type.fields).map(([name, each]) => [name, defaultOf(each)]),
      )
    default:
      return 0
  }
}
