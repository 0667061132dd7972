import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
// @ts-expect-error a script without types
import { configurationTables, withTables } from '../../scripts/configuration-tables.js'
import * as keys from '../../src/broker/config/config-keys.ts'
import * as types from '../../src/broker/config/config-types.ts'
import { DEVELOPMENT_DEFAULTS } from '../../src/broker/config/broker-config.ts'

const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
const source = fileURLToPath(new URL('../../src', import.meta.url))

/** Everything but the tables of keys themselves. */
function readers(): string {
  return readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !/config\/(keys-|config-keys)/.test(path))
    .map((path) => readFileSync(`${source}/${path}`, 'utf8'))
    .join('\n')
}

describe('docs/configuration.md', () => {
  it('has the tables of today (else: node scripts/write-configuration-doc.js)', () => {
    expect(page).toBe((withTables as (...args: unknown[]) => string)(page, configurationTables(keys, types)))
  })

  it('names every default of the development profile', () => {
    for (const name of Object.keys(DEVELOPMENT_DEFAULTS)) expect(page).toContain(`| \`${name}\` |`)
  })
})

describe('A key', () => {
  it('that is said to have an effect is read somewhere', () => {
    const text = readers()
    const defaultOf = new Map(
      Object.entries(keys.topicSynonyms).flatMap(([topicName, synonyms]) =>
        synonyms.map(({ key }) => [key as string, topicName] as const),
      ),
    )
    const isRead = (name: string) => text.includes(`'${name}'`)
    const unread = Object.entries<types.AnyConfigKey>({ ...keys.brokerKeys, ...keys.topicLevelKeys })
      .filter(([name, key]) => key.honoured && !isRead(name) && !isRead(defaultOf.get(name) ?? name))
      .map(([name]) => name)
    expect(unread).toEqual([])
  })
})
