/** Runs the command as users do: bundled from the sources of this moment, as a process of its own. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bundle = `${root}/.cache/test-command/command.mjs`

/** Call once before the first start. */
export async function buildCommand(): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: ['src/main.ts'],
    outfile: bundle,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
  })
}

export interface Ended {
  /** Exit code, or the signal that ended it. */
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

export class CommandProcess {
  readonly #child: ChildProcess
  readonly #exit: Promise<unknown[]>
  #stdout = ''
  #stderr = ''

  constructor(argv: readonly string[], variables: Readonly<Record<string, string>> = {}) {
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: process.env.TMPDIR, ...variables }
    this.#child = spawn(process.execPath, [bundle, ...argv], { env })
    this.#exit = once(this.#child, 'close')
    this.#child.stdout?.on('data', (chunk: Buffer) => (this.#stdout += chunk.toString()))
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()))
  }

  /** The one line of standard output; rejects when the process ends without it. */
  async ready(): Promise<string> {
    const ended = this.ended().then((result) => {
      throw new Error(`ended before it was ready: ${JSON.stringify(result)}`)
    })
    ended.catch(() => undefined)
    while (!this.#stdout.includes('\n')) await Promise.race([once(this.#child.stdout!, 'data'), ended])
    return this.#stdout
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  async ended(): Promise<Ended> {
    const [code, signal] = await this.#exit
    return { code: (code ?? signal) as number | string, stdout: this.#stdout, stderr: this.#stderr }
  }

  async stop(): Promise<Ended> {
    this.signal('SIGTERM')
    return this.ended()
  }
}
