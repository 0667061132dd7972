/**
 * The language in which messages are declared. One table gives the bytes (compile.ts) and the TypeScript types.
 *
 * A field is immutable; each method returns a changed copy:
 *   from(v), until(v)   the versions that carry it, both ends included; elsewhere it has its default
 *   nullable(v = 0)     null is allowed from version v on
 *   tagged(tag, v)      it travels in the tag section from version v on (KIP-482) and does not exist before
 *   default(value)      what it is when a version does not carry it, or when an encoder is not given it
 * A field without a declared default has its type's zero value: 0, false, '', no elements, ZERO_UUID, empty struct.
 */

export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA'
export const ZERO_HASH = '0000000000000000'

export type ScalarKind =
  'bool' | 'int8' | 'int16' | 'int32' | 'int64' | 'hash64' | 'float64' | 'uuid' | 'string'

export type FieldType =
  | { readonly kind: ScalarKind | 'bytes' | 'records' }
  | { readonly kind: 'array'; readonly element: AnyField }
  | { readonly kind: 'struct'; readonly fields: Fields }

interface Rules {
  readonly from: number
  readonly until: number
  readonly nullableFrom: number
  readonly tag: number | null
  readonly defaultValue: unknown
}

const NEVER = Number.POSITIVE_INFINITY
const PLAIN: Rules = { from: 0, until: NEVER, nullableFrom: NEVER, tag: null, defaultValue: undefined }

/** D: what decoding gives. E: what encoding takes. O: true when encoding may leave it out. */
export class Field<D, E = D, O extends boolean = false> {
  declare readonly decoded: D
  declare readonly encodable: E
  declare readonly optional: O
  readonly type: FieldType
  readonly rules: Rules

  constructor(type: FieldType, rules: Rules = PLAIN) {
    this.type = type
    this.rules = rules
  }

  from(version: number): Field<D, E, true> {
    return new Field(this.type, { ...this.rules, from: version })
  }

  until(version: number): Field<D, E, true> {
    return new Field(this.type, { ...this.rules, until: version })
  }

  nullable(fromVersion = 0): Field<D | null, E | null, O> {
    return new Field(this.type, { ...this.rules, nullableFrom: fromVersion })
  }

  tagged(tag: number, fromVersion: number): Field<D, E, true> {
    return new Field(this.type, { ...this.rules, tag, from: fromVersion })
  }

  default(value: D): Field<D, E, true> {
    return new Field(this.type, { ...this.rules, defaultValue: value })
  }
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyField = Field<any, any, boolean>
export type Fields = { readonly [name: string]: AnyField }

type OptionalNames<F extends Fields> = { [N in keyof F]: F[N]['optional'] extends true ? N : never }[keyof F]

/** The object that decoding gives: every field is present, whatever the version. */
export type Decoded<F extends Fields> = { -readonly [N in keyof F]: F[N]['decoded'] }

/** The object that encoding takes: fields with a default, and fields that only some versions carry, may be left out. */
export type Encodable<F extends Fields> = {
  readonly [N in Exclude<keyof F, OptionalNames<F>>]: F[N]['encodable']
} & {
  readonly [N in OptionalNames<F>]?: F[N]['encodable']
}

export const bool = new Field<boolean>({ kind: 'bool' })
export const int8 = new Field<number>({ kind: 'int8' })
export const int16 = new Field<number>({ kind: 'int16' })
export const int32 = new Field<number>({ kind: 'int32' })
/** Saturated at plus or minus Number.MAX_SAFE_INTEGER when decoded. */
export const int64 = new Field<number>({ kind: 'int64' })
/** 64 bits that are compared and nothing else: 16 hexadecimal digits. */
export const hash64 = new Field<string>({ kind: 'hash64' })
export const float64 = new Field<number>({ kind: 'float64' })
/** 22 characters of base64url, as Kafka prints ids. */
export const uuid = new Field<string>({ kind: 'uuid' })
export const string = new Field<string>({ kind: 'string' })
/** Decoding copies: the buffer may be kept. */
export const bytes = new Field<Buffer>({ kind: 'bytes' })
/** Decoding gives a slice of the frame. Encoding splices the buffer, or several that follow one another, by reference. */
export const records = new Field<Buffer, Buffer | readonly Buffer[]>({ kind: 'records' })

/** An array of plain values or, given a table of fields, of structs. */
export function array<D, E, O extends boolean>(element: Field<D, E, O>): Field<D[], readonly E[]>
export function array<F extends Fields>(element: F): Field<Decoded<F>[], readonly Encodable<F>[]>
export function array(element: AnyField | Fields): AnyField {
  return new Field({ kind: 'array', element: element instanceof Field ? element : struct(element) })
}

export function struct<F extends Fields>(fields: F): Field<Decoded<F>, Encodable<F>> {
  return new Field({ kind: 'struct', fields })
}

/** A whole message: its fields, and the version from which it is flexible (KIP-482), null for never. */
export interface Schema<F extends Fields = Fields> {
  readonly name: string
  readonly versions: readonly [min: number, max: number]
  readonly flexibleFrom: number | null
  readonly fields: F
}

export function schema<const F extends Fields>(declaration: Schema<F>): Schema<F> {
  return declaration
}

/** One API: a request, its response, and the versions served. */
export interface Api<Q extends Fields = Fields, R extends Fields = Fields> {
  readonly key: number
  readonly name: string
  readonly versions: readonly [min: number, max: number]
  readonly flexibleFrom: number | null
  readonly request: Schema<Q>
  readonly response: Schema<R>
}

interface ApiDeclaration<Q extends Fields, R extends Fields> {
  readonly key: number
  readonly name: string
  readonly versions: readonly [min: number, max: number]
  readonly flexibleFrom?: number
  readonly request: Q
  readonly response: R
}

export function api<Q extends Fields, R extends Fields>(declaration: ApiDeclaration<Q, R>): Api<Q, R> {
  const { key, name, versions, request, response } = declaration
  const flexibleFrom = declaration.flexibleFrom ?? null
  return {
    key,
    name,
    versions,
    flexibleFrom,
    request: { name: `${name}Request`, versions, flexibleFrom, fields: request },
    response: { name: `${name}Response`, versions, flexibleFrom, fields: response },
  }
}

/** Any API, whatever its shapes. */
export type AnyApi = Api<Fields, Fields>
/** What a handler receives. */
export type RequestOf<A extends AnyApi> = Decoded<A['request']['fields']>
/** What a handler returns. */
export type ResponseOf<A extends AnyApi> = Encodable<A['response']['fields']>
