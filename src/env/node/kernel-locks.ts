/** Who holds a kernel lock on a file, by Linux's own table (proc_locks(5)). */
import * as fs from 'node:fs'
import { join } from 'node:path'

/** Device and inode, as stat gives them. */
export interface FileIdentity {
  readonly dev: number
  readonly ino: number
}

/** The pid of a living process that holds a lock on the file, or null; null as well where there is no such table. */
export function kernelLockHolder(path: string): number | null {
  const file = fs.statSync(path, { throwIfNoEntry: false })
  if (!file) return null
  let table: string
  try {
    table = fs.readFileSync('/proc/locks', 'latin1')
  } catch {
    return null
  }
  return holderIn(table, file, hasOpen)
}

/**
 * Two file systems have files of the same inode, small ones even often (tmpfs counts from 1). The device in the table tells
 * them apart, but not everywhere: btrfs and overlays show stat another one. So the process is asked which files it has
 * open; `isOpenIn` gives null where it cannot be, and then the device decides.
 */
export function holderIn(
  table: string,
  file: FileIdentity,
  isOpenIn: (pid: number, file: FileIdentity) => boolean | null,
): number | null {
  for (const line of table.split('\n')) {
    const match = / (\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) /.exec(line)
    if (match === null || Number(match[4]) !== file.ino) continue
    const pid = Number(match[1])
    const [major, minor] = [match[2], match[3]].map((digits) => Number.parseInt(digits, 16))
    if (isOpenIn(pid, file) ?? (major === majorOf(file.dev) && minor === minorOf(file.dev))) return pid
  }
  return null
}

/** As Linux packs both into one number (makedev(3)). */
const majorOf = (dev: number): number => (dev >>> 8) & 0xfff
const minorOf = (dev: number): number => (dev & 0xff) | ((dev >>> 12) & 0xfff00)

function hasOpen(pid: number, { dev, ino }: FileIdentity): boolean | null {
  const directory = `/proc/${pid}/fd`
  let names: string[]
  try {
    names = fs.readdirSync(directory)
  } catch (error) {
    // Gone, or another user's.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? false : null
  }
  return names.some((name) => {
    try {
      const open = fs.statSync(join(directory, name))
      return open.dev === dev && open.ino === ino
    } catch {
      // Closed since.
      return false
    }
  })
}
