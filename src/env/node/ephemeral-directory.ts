import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * A new directory that is removed by `remove`, or when this process exits without having called it. It lies where
 * TMPDIR says; memory directories are not chosen unasked, because containers keep them small.
 */
export function createEphemeralDirectory(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'odradek-'))
  const remove = (): void => {
    process.removeListener('exit', remove)
    rmSync(path, { recursive: true, force: true })
  }
  process.on('exit', remove)
  return { path, remove }
}
