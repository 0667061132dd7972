import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { KAFKA_VERSION } from './tools.ts'

/** What a figure means nothing without. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly os: string
  readonly node: string
  readonly java: string
  readonly librdkafka: string
  readonly kafka: string
  readonly commit: string
  /** One-minute load average when the run began: well above 0 means that somebody else was at work. */
  readonly loadBefore: number
}

function said(command: string, args: readonly string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return 'unknown'
  }
}

function osName(): string {
  const match = /PRETTY_NAME="(.*)"/.exec(readFileSync('/etc/os-release', 'utf8'))
  return `${match?.[1] ?? 'Linux'}, kernel ${release().split('-')[0]}`
}

export function describeMachine(): Machine {
  const dirty = said('git', ['status', '--porcelain', '--untracked-files=no', '--', 'src'])
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    os: osName(),
    node: process.version,
    java: said('java', ['--version']).split('\n')[0],
    librdkafka: said('pkg-config', ['--modversion', 'rdkafka']),
    kafka: KAFKA_VERSION,
    commit: said('git', ['rev-parse', '--short', 'HEAD']) + (dirty === '' ? '' : ' with changes'),
    loadBefore: Number(loadavg()[0].toFixed(2)),
  }
}
