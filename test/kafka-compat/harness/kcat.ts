import type { ChildProcess } from 'node:child_process'
import { mustRun, runCommand, startProcess } from './processes.ts'
import type { CommandResult } from './processes.ts'

/** One record as `kcat -C -J` prints it. */
export interface KcatRecord {
  topic: string
  partition: number
  offset: number
  ts: number
  /** Names and values in turn; absent where the record has none. */
  headers?: (string | null)[]
  key: string | null
  payload: string | null
}

/** Runs kcat in one of its modes to its end, and gives its standard output; fails where kcat does. */
export function kcat(bootstrap: string, args: string[], input: string | Buffer = ''): Promise<string> {
  return mustRun('kcat', ['-b', bootstrap, ...args], { input })
}

/** Like kcat(), but whatever the exit code. */
export function kcatOutcome(bootstrap: string, args: string[], input = ''): Promise<CommandResult> {
  return runCommand('kcat', ['-b', bootstrap, ...args], { input })
}

/** Reads a topic from its beginning (or by the arguments given) to its end. */
export async function kcatRead(bootstrap: string, topic: string, args: string[] = []): Promise<KcatRecord[]> {
  const from = args.includes('-o') ? [] : ['-o', 'beginning']
  const printed = await kcat(bootstrap, ['-C', '-t', topic, ...from, '-e', '-q', '-J', ...args])
  return records(printed)
}

/** The records that kcat has printed as JSON so far. */
export function records(printed: string): KcatRecord[] {
  const lines = printed.slice(0, printed.lastIndexOf('\n') + 1).split('\n')
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as KcatRecord)
}

/** A member of a group, running until it is ended. */
export class KcatMember {
  #child: ChildProcess
  /** Records as JSON lines. */
  printed = ''
  /** What kcat says of the group's rebalances. */
  said = ''

  constructor(bootstrap: string, group: string, topics: string[], settings: string[] = []) {
    const options = ['auto.offset.reset=earliest', 'auto.commit.interval.ms=100', ...settings]
    const args = ['-b', bootstrap, ...options.flatMap((option) => ['-X', option]), '-J', '-u', '-G', group]
    this.#child = startProcess('kcat', [...args, ...topics], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout!.on('data', (chunk: Buffer) => (this.printed += chunk.toString()))
    this.#child.stderr!.on('data', (chunk: Buffer) => (this.said += chunk.toString()))
  }

  /** The payloads read so far. */
  payloads(): (string | null)[] {
    return records(this.printed).map(({ payload }) => payload)
  }

  /** What kcat said of the group's rebalances, a line each. */
  rebalances(): string[] {
    return this.said.split('\n').filter((line) => line.includes(' rebalanced'))
  }

  /** Partitions the member owns, by what kcat said of rebalances; undefined before the first. */
  assigned(): number[] | undefined {
    let owned: Set<number> | undefined
    for (const line of this.rebalances()) {
      const partitions = [...line.matchAll(/ \[(\d+)\]/g)].map((match) => Number(match[1]))
      if (/ revoked: | assigned: /.test(line)) owned = new Set(line.includes(' assigned: ') ? partitions : [])
      else if (line.includes('incremental assignment')) owned = new Set([...(owned ?? []), ...partitions])
      else for (const partition of partitions) owned?.delete(partition)
    }
    return owned && [...owned].sort((a, b) => a - b)
  }

  /** SIGTERM leaves the group, SIGKILL does not. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return Promise.resolve()
    return new Promise((resolve) => {
      this.#child.once('close', () => resolve())
      this.#child.kill(signal)
    })
  }
}
