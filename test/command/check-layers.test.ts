import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
// @ts-expect-error a script without types
import { checkLayers } from '../../scripts/check-layers.js'

const check = checkLayers as (root: string) => string[]
const trees: string[] = []

function tree(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'odradek-layers-'))
  trees.push(root)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}

afterEach(() => {
  for (const root of trees.splice(0)) rmSync(root, { recursive: true })
})

describe('The check of the layers', () => {
  it('finds nothing wrong with this project', () => {
    expect(check(fileURLToPath(new URL('../..', import.meta.url)))).toEqual([])
  })

  it.each([
    ['src/log/a.ts', "import { x } from '../broker/b.ts'", 'log must not import broker/b.ts'],
    ['src/log/a.ts', "import {\n  x,\n} from '../replication/b.ts'", 'src/log/a.ts:1: log must not import'],
    [
      'src/coordinator/a.ts',
      "import { x } from '../controller/b.ts'",
      'coordinator must not import controller/b.ts',
    ],
    [
      'src/coordination/a.ts',
      "import { x } from '../protocol/reader.ts'",
      'must not import protocol/reader.ts',
    ],
    ['src/base/a.ts', "import type { Env } from '../env/env.ts'", 'base must not import env/env.ts'],
    ['src/log/a.ts', "export { x } from '../server/b.ts'", 'log must not import server/b.ts'],
    ['src/log/a.ts', "const x = await import('../server/b.ts')", 'log must not import server/b.ts'],
    [
      'src/broker/a.ts',
      "import { x } from '../env/node/index.ts'",
      'broker must not import env/node/index.ts',
    ],
    ['src/log/a.ts', "import { x } from '../env/env.ts'", 'import types only from env/env.ts'],
    ['src/log/a.ts', "import fs from 'node:fs'", 'node:fs belongs behind Env'],
    ['src/log/a.ts', "import { connect } from 'net'", 'net belongs behind Env'],
    ['src/log/a.ts', "import x from 'node:vm'", 'node:vm is not on the list'],
    ['src/log/a.ts', "import { x } from './b'", './b needs its extension'],
    ['src/shed/a.ts', '', 'src/shed/a.ts: belongs to no room'],
    ['src/log/a.ts', '\nconst now = Date.now()', 'src/log/a.ts:2: Date: take Env.clock'],
    ['src/log/a.ts', 'const t = `${new Date()}`', 'Date: take Env.clock'],
    ['src/log/a.ts', 'Math.random()', 'take Env.random'],
    ['src/log/a.ts', 'setTimeout(f, 1)', 'take Env.timers'],
    ['src/log/a.ts', 'process.exit(1)', 'process: take Env'],
    ['src/log/a.ts', 'performance.now()', 'take Env.clock'],
    ['src/broker/handlers/07-shout.ts', '', 'no message of that name'],
    ['src/protocol/messages/07-shout.ts', '', 'no handler of that name'],
    [
      'src/controller/decide/a.ts',
      "import type { Env } from '../../env/env.ts'",
      'decides, so it takes values, not Env',
    ],
  ])('finds what is planted in %s: %j', (path, text, breach) => {
    expect(check(tree({ [path]: text })).join('\n')).toContain(breach)
  })

  it('finds a file that does not fit on a screen', () => {
    expect(check(tree({ 'src/log/a.ts': 'x\n'.repeat(551) }))).toEqual([
      'src/log/a.ts: 551 lines; a file has about 500 at most',
    ])
  })

  it('finds an API without a row and without golden bytes', () => {
    const root = tree({
      'src/broker/api-table.ts': '',
      'src/broker/handlers/07-shout.ts': '',
      'src/protocol/messages/07-shout.ts': '',
      'test/golden/data/08-whisper.json': '',
    })
    expect(check(root)).toEqual([
      'src/broker/api-table.ts: no row for 07-shout.ts',
      'test/golden/data: no bytes for 07-shout.ts',
    ])
  })

  it.each([
    ['src/log/a.ts', "import { x } from '../protocol/b.ts'\nimport type { Disk } from '../env/disk.ts'"],
    ['src/log/a.ts', "import { DiskError } from '../env/disk.ts'"],
    ['src/server/a.ts', "import { NetworkError } from '../env/network.ts'"],
    ['src/coordination/a.ts', "import { crc } from '../protocol/crc32.ts'"],
    [
      'src/log/a.ts',
      "// Date.now() would do\nconst text = 'process.exit' + `Math.random`\nconst timestampDate = 1",
    ],
    ['src/env/node/a.ts', "import fs from 'node:fs'\nDate.now()"],
    ['src/command/a.ts', "import fs from 'node:fs'\nprocess.exit(0)"],
  ])('is content with %s: %j', (path, text) => {
    expect(check(tree({ [path]: text }))).toEqual([])
  })
})
