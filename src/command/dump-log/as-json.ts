/** One line of JSON for what was found. Bytes that are text stand as a string, others as `{ "base64": ... }`. */
import { isUtf8 } from 'node:buffer'
import type { Dumped } from './dumped.ts'

/** Control characters, which terminals may obey; tab and line ends are text. */
// oxlint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/

/** null where the bytes are no text. */
export function textOf(bytes: Uint8Array): string | null {
  if (!isUtf8(bytes)) return null
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
  return UNPRINTABLE.test(text) ? null : text
}

/** `showMetadata`: records come with more than keys, values and headers. */
export function asJson(file: string, dumped: Dumped, showMetadata: boolean): string {
  return plainJson({ file, ...(showMetadata ? dumped : withoutMetadata(dumped)) })
}

/** On one line, without anything that a terminal would obey. */
export function plainJson(value: object): string {
  return withoutControls(JSON.stringify(plain(value)))
}

/** JSON escapes the older control characters by itself. */
export function withoutControls(json: string): string {
  return json.replace(/[\u007f-\u009f]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)
}

function withoutMetadata(dumped: Dumped): object {
  if (dumped.type !== 'record') return dumped
  const { type, offset, key, value, headers, decoded, control } = dumped
  return { type, offset, key, value, headers, decoded, control }
}

function plain(value: object): object {
  const copy: { [name: string]: unknown } = {}
  for (const [name, part] of Object.entries(value)) {
    // Most are numbers.
    copy[name] = typeof part === 'number' ? part : plainValue(part)
  }
  return copy
}

function plainValue(value: unknown): unknown {
  if (value instanceof Uint8Array) return textOf(value) ?? { base64: Buffer.from(value).toString('base64') }
  if (Array.isArray(value)) return value.map(plainValue)
  if (typeof value === 'object' && value !== null) return plain(value)
  return typeof value === 'string' ? shortened(value) : value
}

/** Keys of headers, and names: what is longer than any real one is no use to anybody. */
const MAX_NAME_LENGTH = 0x7fff

export function shortened(text: string): string {
  return text.length <= MAX_NAME_LENGTH ? text : `${text.slice(0, MAX_NAME_LENGTH)}…`
}
