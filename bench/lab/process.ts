import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** NODE_EXTRA_CA_CERTS costs Node 20 45 ms at every process start, and says nothing about a broker. */
export function cleanEnv(): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: _, NODE_OPTIONS: __, ...rest } = process.env
  return rest
}

const running = new Set<ChildProcess>()
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))

/** The process is killed with ours at the latest. */
export function endWithUs(child: ChildProcess): void {
  running.add(child)
  child.once('close', () => running.delete(child))
}

export interface Started {
  readonly pid: number
  /** Spawn to ready line. */
  readonly readyMs: number
  readonly spawnedAt: number
  /** The end of what it has said on both outputs. */
  readonly lastWords: () => string
  /** Signals it and waits until it is gone; -9 follows after a minute. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>
}

/**
 * Starts a server and waits for the line that says it is ready (null: for nothing). Rejects with its last words when it
 * ends before.
 */
export function startServer(
  command: string,
  args: readonly string[],
  ready: RegExp | null,
): Promise<Started> {
  const spawnedAt = performance.now()
  const child = spawn(command, args, { env: cleanEnv(), stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  const gone = new Promise<void>((resolve) =>
    child.once('close', () => {
      running.delete(child)
      resolve()
    }),
  )
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal)
    const late = new AbortController()
    await Promise.race([gone, sleep(60_000, undefined, { signal: late.signal }).catch(() => {})])
    late.abort()
    child.kill('SIGKILL')
    await gone
  }
  return new Promise((resolve, reject) => {
    let said = ''
    let isReady = false
    const onOutput = (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-8000)
      if (isReady || !ready!.test(said)) return
      becomeReady()
    }
    const becomeReady = () => {
      isReady = true
      resolve({
        pid: child.pid!,
        readyMs: performance.now() - spawnedAt,
        spawnedAt,
        lastWords: () => said,
        stop,
      })
    }
    child.stdout.on('data', onOutput)
    child.stderr.on('data', onOutput)
    child.once('error', reject)
    if (ready === null) child.once('spawn', becomeReady)
    void gone.then(() => {
      if (!isReady) reject(new Error(`${command} ended before it was ready:\n${said}`))
    })
  })
}

export interface Output {
  readonly stdout: string
  /** Spawn to the first byte on standard output. */
  readonly firstOutputAt: number
}

/** Runs a client to its end. Rejects with what it said on standard error when it fails or takes over three minutes. */
export function runClient(command: string, args: readonly string[], input = ''): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: cleanEnv(), stdio: ['pipe', 'pipe', 'pipe'], timeout: 180_000 })
    running.add(child)
    let stdout = ''
    let stderr = ''
    let firstOutputAt = 0
    child.stdout.on('data', (chunk: Buffer) => {
      firstOutputAt ||= performance.now()
      stdout += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      running.delete(child)
      if (code === 0) resolve({ stdout, firstOutputAt })
      else reject(new Error(`${command} ${args.join(' ')}: ${signal ?? `exit ${code}`}\n${stdout}${stderr}`))
    })
  })
}

const TICKS_PER_SECOND = 100

/** User and system time of a whole process, all threads, also those that have ended. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

export interface Memory {
  /** Resident: every page mapped, shared ones too. */
  readonly rssMb: number
  /** Proportional: pages shared with other processes counted by their share. */
  readonly pssMb: number
}

export function memory(pid: number): Memory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const megabytes = (name: string) =>
    (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(rollup)![1]) * 1024) / 1e6
  return { rssMb: megabytes('Rss'), pssMb: megabytes('Pss') }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
