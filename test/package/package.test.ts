/** What is published: the built files (npm install and npm test build them), found by the package's own name. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const require = createRequire(import.meta.url)
/** Without what a shell may say about Node or about a broker. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(NODE_EXTRA_CA_CERTS$|NODE_OPTIONS$|KAFKA_)/.test(name)),
)

/** A project that has installed the package. */
let project: string
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'odradek-package-'))
  mkdirSync(join(project, 'node_modules'))
  symlinkSync(root, join(project, 'node_modules', 'odradek'))
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

function runScript(name: string, text: string): { said: string; warned: string; code: number | null } {
  writeFileSync(join(project, name), text)
  const { stdout, stderr, status } = spawnSync(process.execPath, [name], {
    cwd: project,
    env,
    encoding: 'utf8',
  })
  return { said: stdout, warned: stderr, code: status }
}

const use = `
  const broker = await startBroker({ topics: ['orders:3'] })
  console.log(/^localhost:\\d+$/.test(broker.bootstrapServers))
  await broker.stop()
`

describe('the package', () => {
  test('is imported by its name, and lets the process end after stop', () => {
    const text = `import { startBroker } from 'odradek'\n${use}`
    expect(runScript('use.mjs', text)).toEqual({ said: 'true\n', warned: '', code: 0 })
  })

  test('is required by its name', () => {
    const text = `const { startBroker } = require('odradek')\nasync function main() {${use}}\nmain()`
    expect(runScript('use.cjs', text)).toEqual({ said: 'true\n', warned: '', code: 0 })
  })

  test('has types that a strict project takes', () => {
    const text = `
      import { startBroker, ConfigError, type BrokerOptions, type RunningBroker } from 'odradek'
      export async function start(options: BrokerOptions): Promise<string> {
        await using broker: RunningBroker = await startBroker({ ...options, topics: ['a', { name: 'b', partitions: 2 }] })
        // @ts-expect-error: it is a string
        const wrong: number = broker.bootstrapServers
        // @ts-expect-error: there is no such option
        await startBroker({ ports: 1 })
        return String(wrong) + new ConfigError('key', 'value', 'allowed').message
      }
    `
    writeFileSync(join(project, 'use.ts'), text)
    const compilerOptions = {
      ...{ target: 'es2022', module: 'nodenext', strict: true, noEmit: true },
      ...{
        lib: ['es2023', 'esnext.disposable'],
        types: ['node'],
        typeRoots: [join(root, 'node_modules/@types')],
      },
    }
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }))
    const compiler = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
    const { stdout, status } = spawnSync(process.execPath, [compiler, '-p', project], {
      env,
      encoding: 'utf8',
    })
    expect({ stdout, status }).toEqual({ stdout: '', status: 0 })
  })

  test('holds what it needs and nothing of one machine', () => {
    const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
    const [{ files }] = JSON.parse(
      execFileSync('npm', args, { cwd: root, env, encoding: 'utf8', stdio: 'pipe' }),
    )
    const paths: string[] = files.map(({ path }: { path: string }) => path)
    const programs = paths.filter((path) => !path.endsWith('.d.ts')).sort()
    expect(programs).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'dist/command.js',
      'dist/dump-log.js',
      'dist/lib/index.js',
      'dist/lib/package.json',
      'dist/odradek.js',
      'dist/package.json',
      'package.json',
    ])
    expect(paths).toContain('dist/lib/index.d.ts')
  })
})

describe('odradek dump-log', () => {
  test('is a program of its own behind the same command, and ends with 1 where something is wrong', () => {
    const command = join(root, 'dist/odradek.js')
    const dump = (...args: string[]) =>
      spawnSync(process.execPath, [command, 'dump-log', ...args], { cwd: project, env, encoding: 'utf8' })
    writeFileSync(join(project, '00000000000000000007.log'), '')
    expect(dump('00000000000000000007.log')).toMatchObject({
      status: 0,
      stdout:
        'Dumping 00000000000000000007.log (log, 0 bytes)\n0 batches, 0 records, no offsets, 0 gaps, 0 bytes\n',
      stderr: '',
    })
    writeFileSync(join(project, '00000000000000000008.log'), 'not a batch')
    expect(dump('00000000000000000008.log')).toMatchObject({
      status: 1,
      stderr: '00000000000000000008.log: 11 bytes at the end, from 0 on, are no whole batch\n',
    })
    expect(dump('--help').stdout).toContain('Usage: odradek dump-log')
    expect(dump()).toMatchObject({
      status: 1,
      stdout: '',
      stderr: 'odradek: dump-log: which files? odradek dump-log --help\n',
    })
  })
})

describe('npm start', () => {
  test('serves on localhost:9092, or says in one line that somebody else does', async () => {
    // A group of its own: npm, a shell and the broker end together.
    const child = spawn('npm', ['--silent', 'start', '--', '--ephemeral'], { cwd: root, env, detached: true })
    let said = ''
    const ended = once(child, 'close')
    const heard = new Promise<void>((resolve) => {
      const hear = (chunk: Buffer): void => {
        said += chunk.toString()
        if (/^odradek.*\n/m.test(said)) resolve()
      }
      child.stdout.on('data', hear)
      child.stderr.on('data', hear)
    })
    await Promise.race([heard, ended])
    if (child.exitCode === null) process.kill(-child.pid!, 'SIGTERM')
    await ended
    const line = said.split('\n').find((text) => text.startsWith('odradek'))
    expect(line, said).toMatch(
      /ready in \d+ ms: PLAINTEXT:\/\/localhost:9092; data in |cannot listen on \S+:9092: the port is in use/,
    )
  })
})
