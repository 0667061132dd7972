import { spawn } from 'node:child_process'
import type { ChildProcess, SpawnOptions } from 'node:child_process'

/** Every process a suite started and that has not ended: killed by pid when the suite's own process ends. */
const running = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/**
 * The environment of brokers and clients: ours, without the extra certificate bundle some machines export for
 * package downloads (Node reads it at every start, which costs 45 ms) and without vitest's own variables.
 */
export function childEnvironment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, ...extra }
  for (const name of ['NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS', 'NODE_ENV', 'VITEST']) delete env[name]
  return env
}

/** Starts a process that is killed with the suite at the latest. */
export function startProcess(command: string, args: string[], options: SpawnOptions = {}): ChildProcess {
  const child = spawn(command, args, { env: childEnvironment(), ...options })
  running.add(child)
  child.once('exit', () => running.delete(child))
  child.once('error', () => running.delete(child))
  return child
}

/** Waits until the process has ended; null when a signal ended it. */
export function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode)
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => resolve(code))
    child.once('error', reject)
  })
}

/** What a finished command said. */
export interface CommandResult {
  /** Exit code; null when a signal ended the command. */
  code: number | null
  stdout: string
  stderr: string
}

export interface CommandOptions {
  /** Written to the command's standard input, which is then closed. */
  input?: string | Buffer
  /** After this the command is killed and the call fails. Default 60,000. */
  timeoutMs?: number
}

/** Runs a command to its end and gives what it said, whatever its exit code. */
export async function runCommand(
  command: string,
  args: string[],
  { input, timeoutMs = 60_000 }: CommandOptions = {},
): Promise<CommandResult> {
  const child = startProcess(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout!.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr!.on('data', (chunk: Buffer) => stderr.push(chunk))
  child.stdin!.on('error', () => {}) // a command may end before it has read its input
  child.stdin!.end(input)
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    child.kill('SIGKILL')
  }, timeoutMs)
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('close', resolve)
      child.once('error', reject)
    })
    const result = {
      code,
      stdout: Buffer.concat(stdout).toString(),
      stderr: Buffer.concat(stderr).toString(),
    }
    if (timedOut) {
      throw new Error(
        `${command} ${args.join(' ')}: no end after ${timeoutMs} ms\n${result.stdout}${result.stderr}`,
      )
    }
    return result
  } finally {
    clearTimeout(timer)
  }
}

/** Like runCommand, but a non-zero exit fails with what the command said. Gives its standard output. */
export async function mustRun(command: string, args: string[], options?: CommandOptions): Promise<string> {
  const result = await runCommand(command, args, options)
  if (result.code !== 0) {
    throw new Error(
      `${command} ${args.join(' ')}: exit code ${result.code}\n${result.stdout}${result.stderr}`,
    )
  }
  return result.stdout
}
