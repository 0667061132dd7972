/** Generates the encoder of a message: one function per struct, statements on the writer `w` and the value `v`. */
import { defaultSource, fixedBytesOf, isNullable, layoutOf, tagOf } from './compile-layout.ts'
import type { NamedField } from './compile-layout.ts'
import type { AnyField, Fields } from './schema.ts'

export class EncoderSource {
  private readonly version: number
  private readonly flexible: boolean
  private readonly functions: string[] = []
  private variables = 0

  constructor(version: number, flexible: boolean) {
    this.version = version
    this.flexible = flexible
  }

  /** The body of a function that returns the encoder. */
  message(fields: Fields): string {
    const root = this.struct(fields)
    return `'use strict'\n${this.functions.join('\n')}\nreturn ${root}`
  }

  private struct(fields: Fields): string {
    const { plain, tagged } = layoutOf(fields, this.version, this.flexible)
    const lines = plain.map(({ name, field }) => {
      const variable = this.variable()
      return `${this.load(variable, name, field)}\n${this.write('w', name, variable, field)}`
    })
    if (this.flexible) lines.push(tagged.length === 0 ? 'w.uvarint(0)' : this.tagSection(tagged))
    return this.define('w, v', lines.join('\n'))
  }

  private load(variable: string, name: string, field: AnyField): string {
    return `let ${variable} = v.${name}; if (${variable} === undefined) ${variable} = ${defaultSource(field)}`
  }

  private tagSection(tagged: readonly NamedField[]): string {
    const fields = tagged.map((each) => ({ ...each, variable: this.variable() }))
    const counted = fields.map(({ name, field, variable }) => {
      const present = `!(${this.isDefault(variable, field)})`
      return `${this.load(variable, name, field)}\nconst ${variable}Present = ${present}; if (${variable}Present) tags++`
    })
    const written = fields.map(
      ({ name, field, variable }) => `if (${variable}Present) {
  w.uvarint(${tagOf(field)})
  ${this.sized(name, variable, field)}
}`,
    )
    return `let tags = 0\n${counted.join('\n')}\nw.uvarint(tags)\n${written.join('\n')}`
  }

  private sized(name: string, variable: string, field: AnyField): string {
    const fixed = fixedBytesOf(field, this.version, this.flexible)
    if (fixed !== null) return `w.uvarint(${fixed}); ${this.write('w', name, variable, field)}`
    return `const inner = new Writer(); ${this.writeTagged(name, variable, field)}; w.sized(inner)`
  }

  /** Whether a struct is null is told by 0 or 1 behind a tag, elsewhere by -1 or 1. */
  private writeTagged(name: string, variable: string, field: AnyField): string {
    const { type } = field
    if (type.kind !== 'struct' || !isNullable(field, this.version))
      return this.write('inner', name, variable, field)
    const encode = `${this.struct(type.fields)}(inner, ${variable})`
    return `if (${variable} === null) inner.uvarint(0)\nelse { inner.uvarint(1); ${encode} }`
  }

  private write(writer: string, name: string, variable: string, field: AnyField): string {
    const { type } = field
    const nullable = isNullable(field, this.version)
    const refuse = nullable ? '' : `if (${variable} === null) refuseNull('${name}')\n`
    switch (type.kind) {
      case 'string':
        return nullable
          ? `${writer}.${this.flexible ? 'compactNullableString' : 'nullableString'}(${variable})`
          : `${refuse}${writer}.${this.flexible ? 'compactString' : 'string'}(${variable})`
      case 'bytes':
        return `${refuse}${writer}.${this.flexible ? 'compactBytes' : 'bytes'}(${variable})`
      case 'records':
        return `${refuse}${writer}.${this.flexible ? 'compactRecords' : 'records'}(${variable})`
      case 'struct': {
        const encode = `${this.struct(type.fields)}(${writer}, ${variable})`
        if (!nullable) return `${refuse}${encode}`
        return `if (${variable} === null) ${writer}.int8(-1)\nelse { ${writer}.int8(1); ${encode} }`
      }
      case 'array':
        return `${refuse}${this.array(name, type.element)}(${writer}, ${variable})`
      default:
        return `${writer}.${type.kind}(${variable})`
    }
  }

  /** One function for arrays that are null or not: where null is not allowed the caller has refused it. */
  private array(name: string, element: AnyField): string {
    const body = this.flexible
      ? `if (v === null) return w.uvarint(0)\nconst n = v.length\nw.uvarint(n + 1)`
      : `if (v === null) return w.int32(-1)\nconst n = v.length\nw.int32(n)`
    return this.define(
      'w, v',
      `${body}\nfor (let i = 0; i < n; i++) { const e = v[i]; ${this.write('w', name, 'e', element)} }`,
    )
  }

  /** A source text that is true when a tagged field has its default, and therefore is not written (KIP-482). */
  private isDefault(variable: string, field: AnyField): string {
    const { type, rules } = field
    if (rules.defaultValue === null) return `${variable} === null`
    const notNull = isNullable(field, this.version) ? `${variable} !== null && ` : ''
    switch (type.kind) {
      case 'bytes':
      case 'records':
      case 'array':
        return `${notNull}${variable}.length === 0`
      case 'struct':
        return `${notNull}${this.isDefaultStruct(type.fields)}(${variable})`
      default:
        return `${variable} === ${defaultSource(field)}`
    }
  }

  private isDefaultStruct(fields: Fields): string {
    const tests = Object.entries(fields).map(
      ([name, field]) => `(v.${name} === undefined || (${this.isDefault(`v.${name}`, field)}))`,
    )
    return this.define('v', `return ${tests.length === 0 ? 'true' : tests.join(' && ')}`)
  }

  private variable(): string {
    return `v${this.variables++}`
  }

  private define(parameters: string, body: string): string {
    const name = `encode${this.functions.length}`
    this.functions.push(`function ${name}(${parameters}) {\n${body}\n}`)
    return name
  }
}
