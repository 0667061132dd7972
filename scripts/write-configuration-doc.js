#!/usr/bin/env node
// Writes the tables of docs/configuration.md anew (test/config/documentation.test.ts says when that is due).
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { configurationTables, withTables } from './configuration-tables.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = `${root}/docs/configuration.md`
const contents = `
  export * as keys from './src/broker/config/config-keys.ts'
  export * as types from './src/broker/config/config-types.ts'
`
const { outputFiles } = await build({
  stdin: { contents, resolveDir: root },
  bundle: true,
  format: 'esm',
  platform: 'node',
  write: false,
})
const source = Buffer.from(outputFiles[0].contents).toString('base64')
const { keys, types } = await import(`data:text/javascript;base64,${source}`)
writeFileSync(page, withTables(readFileSync(page, 'utf8'), configurationTables(keys, types)))
