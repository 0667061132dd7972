import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { eventually } from './conditions.ts'
import { repository } from './paths.ts'
import { startProcess } from './processes.ts'

const READY_LINE = /^odradek \S+ ready in \d+ ms: (.+); data in (\S+)\n$/

export interface LocalCluster {
  readonly process: ChildProcess
  readonly ports: readonly number[]
  /** All that it has said on its standard output. */
  said(): string
}

/** `odradek --brokers 3`, as it is built, on this directory: one process that is a whole cluster. Resolves when it is ready. */
export async function startLocalCluster(directory: string, ...args: string[]): Promise<LocalCluster> {
  const argv = [join(repository, 'dist/odradek.js'), '--brokers', '3', '--data-dir', directory, ...args]
  const child = startProcess(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  let complaints = ''
  child.stdout!.on('data', (chunk: Buffer) => (said += chunk.toString()))
  child.stderr!.on('data', (chunk: Buffer) => (complaints += chunk.toString()))
  await eventually('the command says something', () => {
    if (child.exitCode !== null) throw new Error(`it has ended: ${said}${complaints}`)
    return said.endsWith('\n')
  })
  const [, addresses, data] = READY_LINE.exec(said) ?? []
  if (data !== directory) throw new Error(`it is not ready: ${said}${complaints}`)
  const ports = [...addresses.matchAll(/PLAINTEXT:\/\/localhost:(\d+)/g)].map(([, port]) => Number(port))
  return { process: child, ports, said: () => said }
}
