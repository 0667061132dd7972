/** What the pages for people name is there: npm scripts, files, and the line that the command prints. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const pages = [
  ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'bench/README.md', 'test/kafka-compat/README.md'],
  ...['docs/library.md', 'docs/configuration.md', 'docs/dump-log.md', 'docs/handover.md'],
]

describe.each(pages)('%s', (page) => {
  const text = readFileSync(join(root, page), 'utf8')

  test('names npm scripts that there are', () => {
    const long = [...text.matchAll(/npm run ([a-z][\w:-]*)/g)].map(([, name]) => name)
    const short = [...text.matchAll(/`((?:test|bench):[\w-]+)`/g)].map(([, name]) => name)
    expect([...long, ...short].filter((name) => scripts[name] === undefined)).toEqual([])
  })

  test('names files that there are', () => {
    const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path]) => resolve(root, dirname(page), path))
    const paths = [...text.matchAll(/(?<![\w/.-])((?:src|test|scripts|docs|bench)\/[\w./-]*\w)/g)]
    const named = paths.map(([, path]) => join(root, path)).filter((path) => !path.includes('NN-name'))
    expect([...links, ...named].filter((path) => !existsSync(path))).toEqual([])
  })
})

test("README shows the command's own ready line", () => {
  const session = readFileSync(join(root, 'README.md'), 'utf8')
  // As in test/command/command.test.ts.
  expect(session).toMatch(/^odradek \S+ ready in \d+ ms: PLAINTEXT:\/\/localhost:9092; data in \/\S+$/m)
})

test('ARCHITECTURE.md has every file of src/log in its place, and none that is not there', () => {
  const [, section] = /^## Within src\/log\n([^]*?)^## /m.exec(
    readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8'),
  )!
  const told = [...section.matchAll(/`([a-z-]+)`/g)].map(([, name]) => `${name}.ts`)
  expect(told.sort()).toEqual(
    readdirSync(join(root, 'src/log'))
      .filter((name) => name.endsWith('.ts'))
      .sort(),
  )
})
