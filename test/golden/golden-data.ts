/** Reads what generate.sh wrote, and brings our values and Kafka's into one form (JSON: bytes as base64). */
import { existsSync, readFileSync } from 'node:fs'
import type { AnyField, FieldType, Fields } from '../../src/protocol/schema.ts'

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
export type JsonObject = { [name: string]: Json }

/** One message at one version: version, variant, index of the value, header and body in base64. */
export type MessageCase = [version: number, variant: string, valueIndex: number, bytes: string]

export interface MessageSide {
  /** What each field holds in a new object, by the path of its struct: '', 'topics', 'topics.partitions'. */
  defaults: { [path: string]: JsonObject }
  /** Version, and the paths of the fields that may be null at it, sorted. */
  nullable: [version: number, paths: string[]][]
  /** The fields that the version carries, and no others. */
  values: JsonObject[]
  cases: MessageCase[]
}

export interface ApiFile {
  key: number
  name: string
  correlationId: number
  request: MessageSide
  response: MessageSide
}

/** null when there is no such file. */
export function readGolden<T>(fileName: string): T | null {
  const file = new URL(`data/${fileName}`, import.meta.url)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : null
}

/** All versions of an API, of which a newer release has written the last ones where there are two files; null: none. */
export function readGoldenApi(api: { key: number; name: string }): ApiFile | null {
  const file = readGolden<ApiFile>(apiFileName(api))
  const later = readGolden<ApiFile>(apiFileName(api).replace('.json', '-4.1.json'))
  if (file === null || later === null) return file
  return {
    ...file,
    request: joined(file.request, later.request),
    response: joined(file.response, later.response),
  }
}

function joined(side: MessageSide, later: MessageSide): MessageSide {
  const shifted = later.cases.map(([version, variant, valueIndex, bytes]): MessageCase => {
    return [version, variant, side.values.length + valueIndex, bytes]
  })
  return {
    defaults: side.defaults,
    nullable: [...side.nullable, ...later.nullable],
    values: [...side.values, ...later.values],
    cases: [...side.cases, ...shifted],
  }
}

export function apiFileName(api: { key: number; name: string }): string {
  const kebab = api.name.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()
  return `${String(api.key).padStart(2, '0')}-${kebab}.json`
}

/** Any decoded value as JSON. */
export function toJson(value: unknown): Json {
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (Array.isArray(value)) return value.map(toJson)
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, toJson(field)]))
  }
  return value as Json
}

/** A golden value as our encoders take it: base64 becomes bytes where the table says bytes or records. */
export function toEncodable(fields: Fields, value: JsonObject): { [name: string]: unknown } {
  const result: { [name: string]: unknown } = {}
  for (const [name, json] of Object.entries(value)) {
    const field: AnyField | undefined = fields[name]
    if (field === undefined) throw new Error(`our table has no field ${name}`)
    result[name] = fieldValue(field.type, json)
  }
  return result
}

function fieldValue(type: FieldType, json: Json): unknown {
  if (json === null) return null
  switch (type.kind) {
    case 'bytes':
    case 'records':
      return Buffer.from(json as string, 'base64')
    case 'array':
      return (json as Json[]).map((element) => fieldValue(type.element.type, element))
    case 'struct':
      return toEncodable(type.fields, json as JsonObject)
    default:
      return json
  }
}

/**
 * The golden value, with Kafka's default for every field of ours that the version does not carry. Fields of Kafka's that ours
 * has not stay in, so that a comparison finds them.
 */
export function withDefaults(
  side: MessageSide,
  fields: Fields,
  value: JsonObject,
  path = '',
): { [name: string]: Json | undefined } {
  const result: { [name: string]: Json | undefined } = { ...value }
  for (const [name, field] of Object.entries(fields) as [string, AnyField][]) {
    const nestedPath = path === '' ? name : `${path}.${name}`
    const nested = structOf(field.type)
    if (!(name in value)) result[name] = side.defaults[path]?.[name]
    const json = result[name]
    if (nested === null || json === null || json === undefined) continue
    const fill = (element: Json) => withDefaults(side, nested, element as JsonObject, nestedPath) as Json
    result[name] = Array.isArray(json) ? json.map(fill) : fill(json)
  }
  return result
}

/** The paths of our fields that a version carries and lets be null, sorted. Not structs: Kafka's schemas do not tell it of them. */
export function nullablePaths(fields: Fields, version: number, path = ''): string[] {
  const paths: string[] = []
  for (const [name, { type, rules }] of Object.entries(fields) as [string, AnyField][]) {
    if (version < rules.from || version > rules.until) continue
    const nestedPath = path === '' ? name : `${path}.${name}`
    if (version >= rules.nullableFrom && type.kind !== 'struct') paths.push(nestedPath)
    const nested = structOf(type)
    if (nested !== null) paths.push(...nullablePaths(nested, version, nestedPath))
  }
  return paths.sort()
}

function structOf(type: FieldType): Fields | null {
  if (type.kind === 'struct') return type.fields
  return type.kind === 'array' ? structOf(type.element.type) : null
}
