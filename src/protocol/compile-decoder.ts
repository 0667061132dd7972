/** Generates the decoder of a message: one function per struct and per array, each an expression on the reader `r`. */
import { defaultSource, fixedBytesOf, isNullable, layoutOf, minBytesOf, tagOf } from './compile-layout.ts'
import type { AnyField, Fields } from './schema.ts'

export class DecoderSource {
  private readonly version: number
  private readonly flexible: boolean
  private readonly functions: string[] = []

  constructor(version: number, flexible: boolean) {
    this.version = version
    this.flexible = flexible
  }

  /** The body of a function that returns the decoder. */
  message(fields: Fields): string {
    const root = this.struct(fields)
    return `'use strict'\n${this.functions.join('\n')}\nreturn ${root}`
  }

  private struct(fields: Fields): string {
    const { plain, tagged } = layoutOf(fields, this.version, this.flexible)
    const read = new Set(plain.map(({ name }) => name))
    // Properties are evaluated in the order of the table, which is the order on the wire.
    const properties = Object.entries(fields).map(
      ([name, field]) => `${name}: ${read.has(name) ? this.value(name, field) : defaultSource(field)}`,
    )
    const literal = `{ ${properties.join(', ')} }`
    if (!this.flexible) return this.define(`return ${literal}`)
    const cases = tagged.map(
      ({ name, field }) => `case ${tagOf(field)}: o.${name} = ${this.taggedValue(name, field)}; break`,
    )
    if (cases.length === 0) return this.define(`const o = ${literal}\nr.skipTags()\nreturn o`)
    return this.define(`const o = ${literal}
for (let n = r.uvarint(); n > 0; n--) {
  const tag = r.uvarint(), end = r.tagEnd()
  switch (tag) {
    ${cases.join('\n    ')}
    default: r.position = end
  }
  if (r.position !== end) r.fail('tag ' + tag + ' is not as long as it says')
}
return o`)
  }

  /** Whether a struct is null is told by 0 or 1 behind a tag, elsewhere by -1 or 1. */
  private taggedValue(name: string, field: AnyField): string {
    const { type } = field
    if (type.kind !== 'struct' || !isNullable(field, this.version)) return this.value(name, field)
    return `(r.uvarint() === 0 ? null : ${this.struct(type.fields)}(r))`
  }

  private value(name: string, field: AnyField): string {
    const { type } = field
    const nullable = isNullable(field, this.version)
    const orRefuse = nullable ? '' : ` ?? r.refuseNull('${name}')`
    switch (type.kind) {
      case 'string':
        return `r.${camel(this.flexible ? 'compact' : '', nullable ? 'Nullable' : '', 'String')}()`
      case 'bytes':
        return `r.copy(r.${camel(this.flexible ? 'compact' : '', 'ByteLength')}())${orRefuse}`
      case 'records':
        return `r.slice(r.${camel(this.flexible ? 'compact' : '', 'ByteLength')}())${orRefuse}`
      case 'struct': {
        const decode = `${this.struct(type.fields)}(r)`
        return nullable ? `(r.int8() < 0 ? null : ${decode})` : decode
      }
      case 'array':
        return `${this.array(name, type.element, nullable)}(r)`
      default:
        return `r.${type.kind}()`
    }
  }

  private array(name: string, element: AnyField, nullable: boolean): string {
    const minBytes = Math.max(1, minBytesOf(element, this.version, this.flexible))
    const isScalar =
      element.type.kind !== 'struct' && fixedBytesOf(element, this.version, this.flexible) !== null
    return this.define(`const n = r.${camel(this.flexible ? 'compact' : '', 'ArrayCount')}(${minBytes})
if (n < 0) return ${nullable ? 'null' : `r.refuseNull('${name}')`}
${isScalar ? '' : 'r.spendElements(n)'}
const a = new Array(n)
for (let i = 0; i < n; i++) a[i] = ${this.value(name, element)}
return a`)
  }

  private define(body: string): string {
    const name = `decode${this.functions.length}`
    this.functions.push(`function ${name}(r) {\n${body}\n}`)
    return name
  }
}

/** camel('', '', 'String') is string, camel('compact', '', 'String') is compactString. */
function camel(...words: string[]): string {
  const joined = words.join('')
  return joined[0].toLowerCase() + joined.slice(1)
}
