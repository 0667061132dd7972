import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Launch, LaunchRequest } from './launch.ts'
import { repository } from './paths.ts'

/** Our built command, started as Kafka is: a file, and overrides. */
export function prepareOdradek({ port, directory, config }: LaunchRequest): Launch {
  const command = join(repository, 'dist/odradek.js')
  if (!existsSync(command)) throw new Error('dist/odradek.js is not there: npm run build')
  const file = join(directory, 'server.properties')
  const properties = [
    `listeners=PLAINTEXT://127.0.0.1:${port}`,
    `log.dirs=${join(directory, 'data')}`,
    'group.initial.rebalance.delay.ms=0',
  ]
  writeFileSync(file, properties.map((line) => `${line}\n`).join(''))
  const overrides = Object.entries(config).flatMap(([key, value]) => ['--override', `${key}=${value}`])
  const args = [command, file, ...overrides]
  return {
    command: process.execPath,
    args,
    readyTimeoutMs: 60_000,
    saysReady: (output) => new RegExp(`:${port}\\b`).test(output),
  }
}
