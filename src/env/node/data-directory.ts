import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

export interface DataDirectory {
  /** Absolute. */
  readonly path: string
  remove(): void
}

/** One that stays: `remove` does nothing. */
export function keptDirectory(path: string): DataDirectory {
  return { path: resolve(path), remove: () => undefined }
}

/**
 * A new directory that is removed by `remove`, or when this process exits without having called it. It lies where
 * TMPDIR says; memory directories are not chosen unasked, because containers keep them small.
 */
export function createEphemeralDirectory(): DataDirectory {
  const path = mkdtempSync(join(tmpdir(), 'odradek-'))
  const remove = (): void => {
    process.removeListener('exit', remove)
    rmSync(path, { recursive: true, force: true })
  }
  process.on('exit', remove)
  return { path, remove }
}
