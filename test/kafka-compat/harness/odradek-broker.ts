import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Launch, LaunchRequest } from './launch.ts'
import { repository } from './paths.ts'

/** Our built command, as a person starts it. */
export function prepareOdradek({ port, directory, config }: LaunchRequest): Launch {
  const command = join(repository, 'dist/odradek.js')
  if (!existsSync(command)) throw new Error('dist/odradek.js is not there: npm run build')
  const args = [command, '--data-dir', join(directory, 'data')]
  const overrides = { listeners: `PLAINTEXT://127.0.0.1:${port}`, ...config }
  for (const [key, value] of Object.entries(overrides)) args.push('--override', `${key}=${value}`)
  return {
    command: process.execPath,
    args,
    readyTimeoutMs: 15_000,
    saysReady: (output) => new RegExp(`:${port}\\b`).test(output),
  }
}
