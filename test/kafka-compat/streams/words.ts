import type { KcatRecord } from '../harness/kcat.ts'
import type { Message } from './feed.ts'
import { tableOf } from './topics.ts'

const WORDS = 60
const MINUTE_MS = 60_000
const BETWEEN_LINES_MS = 10
const BEGIN_MS = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 20 * MINUTE_MS

/** Lines of java/WordCount.java, 6,000 to a minute. */
export function line(index: number): Message {
  const words = Array.from({ length: 1 + (index % 5) }, (_, at) => `word-${(index * 11 + at * at) % WORDS}`)
  const timestamp = String(BEGIN_MS + index * BETWEEN_LINES_MS)
  return { key: String(index), value: words.join(' '), timestamp }
}

/** How often each word stands in the lines, and how often in those of a minute: `WORD@MILLISECONDS`. */
function countsOf(lines: readonly Message[]): Record<'counts' | 'byMinute', Map<string, number>> {
  const counts = new Map<string, number>()
  const byMinute = new Map<string, number>()
  const count = (map: Map<string, number>, key: string): unknown => map.set(key, (map.get(key) ?? 0) + 1)
  for (const { value, timestamp } of lines) {
    const minute = Math.floor(Number(timestamp) / MINUTE_MS) * MINUTE_MS
    for (const word of value.split(' ')) {
      count(counts, word)
      count(byMinute, `${word}@${minute}`)
    }
  }
  return { counts, byMinute }
}

export interface WordTables {
  counts: readonly KcatRecord[]
  byMinute: readonly KcatRecord[]
}

/** Every count that is not the lines' own. */
export function wrongInCounts(lines: readonly Message[], tables: WordTables): string[] {
  const wrong: string[] = []
  const right = countsOf(lines)
  for (const name of ['counts', 'byMinute'] as const) {
    const table = tableOf(tables[name])
    for (const [key, count] of right[name]) {
      const found = Number(table.get(key) ?? 0)
      if (found !== count) wrong.push(`${key}: ${found} instead of ${count}`)
    }
    for (const key of table.keys()) if (!right[name].has(key)) wrong.push(`${key}: stands in no line`)
  }
  return wrong
}
