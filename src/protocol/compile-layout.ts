/** What both generators must know about a field at a version: whether it is there, its size, its default. */
import { BugError } from '../base/assert.ts'
import { ZERO_HASH, ZERO_UUID } from './schema.ts'
import type { AnyField, Fields, FieldType } from './schema.ts'

export interface NamedField {
  readonly name: string
  readonly field: AnyField
}

/** The fields of a struct that a version carries: in their order, then tagged ones by ascending tag. */
export interface Layout {
  readonly plain: readonly NamedField[]
  readonly tagged: readonly NamedField[]
}

export function layoutOf(fields: Fields, version: number, flexible: boolean): Layout {
  const present = Object.entries(fields)
    .map(([name, field]) => ({ name, field }))
    .filter(({ field }) => version >= field.rules.from && version <= field.rules.until)
  const tagged = present.filter(({ field }) => field.rules.tag !== null)
  if (tagged.length > 0 && !flexible)
    throw new BugError(`${tagged[0].name} is tagged in a version without tags`)
  tagged.sort((a, b) => tagOf(a.field) - tagOf(b.field))
  return { plain: present.filter(({ field }) => field.rules.tag === null), tagged }
}

export function tagOf(field: AnyField): number {
  if (field.rules.tag === null) throw new BugError('a field without a tag')
  return field.rules.tag
}

export function isNullable(field: AnyField, version: number): boolean {
  return version >= field.rules.nullableFrom
}

/** The fewest bytes that a value can take. */
export function minBytesOf(field: AnyField, version: number, flexible: boolean): number {
  const { type } = field
  switch (type.kind) {
    case 'string':
      return flexible ? 1 : 2
    case 'bytes':
    case 'records':
    case 'array':
      return flexible ? 1 : 4
    case 'struct': {
      if (isNullable(field, version)) return 1
      const { plain } = layoutOf(type.fields, version, flexible)
      const sum = plain.reduce((total, { field: each }) => total + minBytesOf(each, version, flexible), 0)
      return sum + (flexible ? 1 : 0)
    }
    default:
      return SCALAR_BYTES[type.kind]
  }
}

/** The bytes that every value of a field takes, null when values differ. */
export function fixedBytesOf(field: AnyField, version: number, flexible: boolean): number | null {
  const { type } = field
  if (type.kind !== 'struct') return type.kind in SCALAR_BYTES ? minBytesOf(field, version, flexible) : null
  if (isNullable(field, version)) return null
  const { plain, tagged } = layoutOf(type.fields, version, flexible)
  if (tagged.length > 0 || plain.some(({ field: each }) => fixedBytesOf(each, version, flexible) === null))
    return null
  return minBytesOf(field, version, flexible)
}

const SCALAR_BYTES: Record<string, number> = {
  bool: 1,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  hash64: 8,
  float64: 8,
  uuid: 16,
}

/** The source text of a field's default, of a value that nobody shares. */
export function defaultSource(field: AnyField): string {
  const declared = field.rules.defaultValue
  return declared === undefined ? zeroSource(field.type) : JSON.stringify(declared)
}

function zeroSource(type: FieldType): string {
  switch (type.kind) {
    case 'bool':
      return 'false'
    case 'string':
      return '""'
    case 'uuid':
      return JSON.stringify(ZERO_UUID)
    case 'hash64':
      return JSON.stringify(ZERO_HASH)
    case 'bytes':
    case 'records':
      return 'Buffer.alloc(0)'
    case 'array':
      return '[]'
    case 'struct': {
      const fields = Object.entries(type.fields)
      return `{ ${fields.map(([name, field]) => `${name}: ${defaultSource(field)}`).join(', ')} }`
    }
    default:
      return '0'
  }
}
