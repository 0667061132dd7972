/** What a configuration key is made of, and how its values are read and printed. Rules: Kafka's ConfigDef. */

/** Kafka's names of value types; the numbers of DescribeConfigs are in config-admin.ts. */
export type ConfigType =
  'boolean' | 'string' | 'int' | 'short' | 'long' | 'double' | 'list' | 'class' | 'password'

/** `restart`: read-only while running. `cluster`: per broker or for all. `broker`: for one broker only (KIP-226). */
export type DynamicMode = 'restart' | 'cluster' | 'broker'

/** A wrong configuration: start-up stops with this one line. */
export class ConfigError extends Error {
  readonly key: string
  constructor(key: string, value: string | null, allowed: string) {
    super(value === null ? `${key}: ${allowed}` : `${key}=${value}: ${allowed}`)
    this.name = 'ConfigError'
    this.key = key
  }
}

export interface ConfigKey<T> {
  readonly type: ConfigType
  readonly default: T
  readonly dynamic: DynamicMode
  /** True where this broker does what the key says; false where the key is accepted and has no effect. */
  readonly honoured: boolean
  readonly doc: string
  readonly min?: number
  readonly max?: number
  /** A number outside of min and max that means something of its own. */
  readonly alsoAllowed?: number
  readonly allowed?: readonly string[]
  /** What each item of a list must look like. */
  readonly itemPattern?: RegExp
  /** Not listed by DescribeConfigs and the documentation. */
  readonly internal?: boolean
}

interface KeyOptions {
  readonly dynamic?: DynamicMode
  readonly honoured?: boolean
  readonly min?: number
  readonly max?: number
  readonly alsoAllowed?: number
  readonly allowed?: readonly string[]
  /** What each item of a list must look like. */
  readonly itemPattern?: RegExp
  readonly internal?: boolean
}

const INT_MAX = 2147483647
/** Kafka's Long.MAX_VALUE ("never", "no limit"); read as Infinity. */
export const LONG_MAX_TEXT = '9223372036854775807'
const LONG_MAX = 9223372036854775807n

function key<T>(type: ConfigType, value: T, doc: string, options: KeyOptions): ConfigKey<T> {
  return { dynamic: 'restart', honoured: true, ...options, type, default: value, doc }
}

export const int = <D extends number | null>(value: D, doc: string, options: KeyOptions = {}) =>
  key<number | D>('int', value, doc, options)
export const short = (value: number, doc: string, options: KeyOptions = {}) =>
  key<number>('short', value, doc, options)
export const long = <D extends number | null>(value: D, doc: string, options: KeyOptions = {}) =>
  key<number | D>('long', value, doc, options)
export const double = (value: number, doc: string, options: KeyOptions = {}) =>
  key<number>('double', value, doc, options)
export const bool = (value: boolean, doc: string, options: KeyOptions = {}) =>
  key<boolean>('boolean', value, doc, options)
export const string = <D extends string | null>(value: D, doc: string, options: KeyOptions = {}) =>
  key<string | D>('string', value, doc, options)
export const list = (value: readonly string[], doc: string, options: KeyOptions = {}) =>
  key<readonly string[]>('list', value, doc, options)
export const className = (doc: string, options: KeyOptions = {}) =>
  key<string | null>('class', null, doc, options)
export const password = (doc: string, options: KeyOptions = {}) =>
  key<string | null>('password', null, doc, options)

/** A string of a fixed set, typed as such. */
export const oneOf = <V extends string>(
  allowed: readonly V[],
  value: V,
  doc: string,
  options: KeyOptions = {},
) => key<V>('string', value, doc, { ...options, allowed })

export type AnyConfigKey = ConfigKey<unknown>
export type ConfigValue = string | number | boolean | readonly string[] | null

const INTEGER_RANGES: Partial<Record<ConfigType, readonly [bigint, bigint]>> = {
  short: [-32768n, 32767n],
  int: [-2147483648n, BigInt(INT_MAX)],
  long: [-LONG_MAX - 1n, LONG_MAX],
}

/** What a value may be, for error messages and documentation. */
export function allowedText(key: AnyConfigKey): string {
  if (key.type === 'boolean') return 'true or false'
  if (key.allowed) return (key.type === 'list' ? 'a list of ' : 'one of ') + key.allowed.join(', ')
  if (key.itemPattern) return `a list whose items match ${key.itemPattern.source}`
  if (key.type === 'list') return 'a list separated by commas'
  const range = INTEGER_RANGES[key.type]
  if (range) {
    const most = key.max ?? range[1]
    const also = key.alsoAllowed === undefined ? '' : `, or ${key.alsoAllowed}`
    return `an integer from ${key.min ?? range[0]} to ${most}${also}`
  }
  if (key.type === 'double') {
    if (key.min === undefined) return 'a number'
    return key.max === undefined
      ? `a number of at least ${key.min}`
      : `a number from ${key.min} to ${key.max}`
  }
  return 'text'
}

/** Reads a value as text. Throws `ConfigError`. Long.MAX_VALUE, and whatever no double holds exactly, is Infinity. */
export function parseValue(name: string, key: AnyConfigKey, text: string): ConfigValue {
  const value = text.trim()
  const fail = () => new ConfigError(name, value, `expected ${allowedText(key)}`)
  switch (key.type) {
    case 'boolean': {
      const lower = value.toLowerCase()
      if (lower !== 'true' && lower !== 'false') throw fail()
      return lower === 'true'
    }
    case 'short':
    case 'int':
    case 'long':
      return parseInteger(value, key, fail)
    case 'double': {
      if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(value)) throw fail()
      const number = Number(value)
      if (number < (key.min ?? -Infinity) || number > (key.max ?? Infinity)) throw fail()
      return number
    }
    case 'list': {
      const items = value === '' ? [] : value.split(',').map((item) => item.trim())
      if (key.allowed && items.some((item) => !key.allowed?.includes(item))) throw fail()
      if (key.itemPattern && items.some((item) => !key.itemPattern?.test(item))) throw fail()
      return items
    }
    default:
      if (key.allowed && !key.allowed.includes(value)) throw fail()
      return value
  }
}

function parseInteger(value: string, key: AnyConfigKey, fail: () => ConfigError): number {
  if (!/^[+-]?\d{1,20}$/.test(value)) throw fail()
  const exact = BigInt(value.replace('+', ''))
  const [least, most] = INTEGER_RANGES[key.type]!
  if (exact < least || exact > most) throw fail()
  const isSpecial = key.alsoAllowed !== undefined && exact === BigInt(key.alsoAllowed)
  if (!isSpecial && key.min !== undefined && exact < BigInt(key.min)) throw fail()
  if (!isSpecial && key.max !== undefined && exact > BigInt(key.max)) throw fail()
  if (exact > BigInt(Number.MAX_SAFE_INTEGER)) return Infinity
  if (exact < BigInt(Number.MIN_SAFE_INTEGER)) return -Infinity
  return Number(exact)
}

/** A value as Kafka prints it. */
export function formatValue(type: ConfigType, value: ConfigValue): string | null {
  if (value === null) return null
  if (typeof value === 'object') return value.join(',')
  if (typeof value !== 'number') return String(value)
  if (type === 'double') return formatDouble(value)
  if (value === Infinity) return LONG_MAX_TEXT
  if (value === -Infinity) return `-${LONG_MAX + 1n}`
  return String(value)
}

/** As Java's Double.toString prints the numbers that occur in a configuration. */
function formatDouble(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return `${value}.0`
  return String(value).replace(/e\+?/, 'E')
}

/** Kafka never shows values of these. */
export const isSensitive = (type: ConfigType | undefined): boolean => type === 'password'
