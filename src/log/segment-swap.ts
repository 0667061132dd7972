/**
 * Puts a cleaned segment in the place of those that it was made of, so that a crash at any point leaves either them or it,
 * as LogLoader completes it: `.cleaned` counts for nothing; once every file is `.swap` the old ones count for nothing.
 */
import { DiskError, type Disk } from '../env/disk.ts'
import {
  CLEANED_SUFFIX,
  DELETED_SUFFIX,
  join,
  offsetFileName,
  SEGMENT_SUFFIXES,
  SWAP_SUFFIX,
} from './file-names.ts'

/**
 * `oldBases`: of the segments to replace, ascending; the first one's is the cleaned one's too. The `.cleaned` files are on the
 * disk already. Gives the paths of the old files, to be removed. Throws DiskError; then all names are what they were.
 */
export function swapSegments(disk: Disk, directory: string, oldBases: readonly number[]): string[] {
  const renames = new Renames(disk, directory)
  try {
    const base = oldBases[0]
    // The .log first: while an index is still .cleaned, the loader trusts no .swap.
    for (const suffix of SEGMENT_SUFFIXES) {
      renames.rename(
        offsetFileName(base, suffix + CLEANED_SUFFIX),
        offsetFileName(base, suffix + SWAP_SUFFIX),
      )
    }
    disk.syncDirectory(directory)
    const deleted: string[] = []
    for (const oldBase of oldBases) {
      for (const suffix of SEGMENT_SUFFIXES) {
        const name = offsetFileName(oldBase, suffix)
        if (renames.rename(name, name + DELETED_SUFFIX)) deleted.push(join(directory, name + DELETED_SUFFIX))
      }
    }
    // Else a crash could keep the last renaming and forget these: old records beside the cleaned ones.
    disk.syncDirectory(directory)
    for (const suffix of SEGMENT_SUFFIXES) {
      renames.rename(offsetFileName(base, suffix + SWAP_SUFFIX), offsetFileName(base, suffix))
    }
    return deleted
  } catch (error) {
    if (error instanceof DiskError) renames.undo()
    throw error
  }
}

class Renames {
  readonly #disk: Disk
  readonly #directory: string
  readonly #done: [from: string, to: string][] = []

  constructor(disk: Disk, directory: string) {
    this.#disk = disk
    this.#directory = directory
  }

  /** False where there is no such file. */
  rename(fromName: string, toName: string): boolean {
    const from = join(this.#directory, fromName)
    const to = join(this.#directory, toName)
    if (this.#disk.stat(from) === null) return false
    this.#disk.rename(from, to)
    this.#done.push([from, to])
    return true
  }

  /** Throws DiskError; what is left then is what a crash leaves, and the next start completes it. */
  undo(): void {
    for (const [from, to] of this.#done.splice(0).reverse()) this.#disk.rename(to, from)
  }
}
