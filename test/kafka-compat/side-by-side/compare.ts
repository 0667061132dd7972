/** Where two normalised observations differ, and which differences are known. */
import type { Json } from './normalise.ts'

export interface Difference {
  readonly scenario: string
  /** The step and the field, such as `good (Produce v3) responses.t.errorCode`. */
  readonly at: string
  readonly kafka: Json | undefined
  readonly odradek: Json | undefined
}

export interface KnownDifference {
  readonly scenario: string | RegExp
  /** Matched against `Difference.at`. */
  readonly at: RegExp
  /** Where given, Kafka's and our value must be these. */
  readonly kafka?: Json | undefined
  readonly odradek?: Json | undefined
  readonly reason: string
}

export function differences(
  at: string,
  kafka: Json | undefined,
  odradek: Json | undefined,
): Omit<Difference, 'scenario'>[] {
  if (isObject(kafka) && isObject(odradek)) {
    const names = [...new Set([...Object.keys(kafka), ...Object.keys(odradek)])].sort()
    const separator = at.endsWith(')') ? ' ' : '.'
    return names.flatMap((name) => differences(`${at}${separator}${name}`, kafka[name], odradek[name]))
  }
  if (Array.isArray(kafka) && Array.isArray(odradek) && kafka.length === odradek.length)
    return kafka.flatMap((each, index) => differences(`${at}[${index}]`, each, odradek[index]))
  return JSON.stringify(kafka) === JSON.stringify(odradek) ? [] : [{ at, kafka, odradek }]
}

function isObject(value: Json | undefined): value is { [name: string]: Json } {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

export function isKnown(known: KnownDifference, { scenario, at, kafka, odradek }: Difference): boolean {
  const sameScenario =
    typeof known.scenario === 'string' ? known.scenario === scenario : known.scenario.test(scenario)
  if (!sameScenario || !known.at.test(at)) return false
  return (
    (!('kafka' in known) || same(known.kafka, kafka)) &&
    (!('odradek' in known) || same(known.odradek, odradek))
  )
}

function same(a: Json | undefined, b: Json | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

const VERSION = /^(.*? \(\w+ v)(\d+)(\).*)$/s

/** One line for each; those that say the same at several versions are one. */
export function describeDifferences(all: readonly Difference[]): string[] {
  const versions = new Map<string, string[]>()
  for (const { at, kafka, odradek } of all) {
    const [, before = at, version = '', after = ''] = VERSION.exec(at) ?? []
    const line = `${before}@@${after}: kafka ${show(kafka)}, odradek ${show(odradek)}`
    versions.set(line, [...(versions.get(line) ?? []), version])
  }
  return [...versions].map(([line, list]) => line.replace('@@', list.join(',')))
}

function show(value: Json | undefined): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value)
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}
