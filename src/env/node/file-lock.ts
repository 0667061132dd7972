/**
 * A lock that dies with its process, without flock (Node has none): the file says which process took it, and a lock
 * whose process is gone is stale. docs/decisions/0005 tells why and where its limits are.
 */
import * as fs from 'node:fs'
import { resolve } from 'node:path'
import { DiskError } from '../disk.ts'
import { kernelLockHolder } from './kernel-locks.ts'

/** Paths locked by this process, shared by every copy of this module that is loaded in it. */
const REGISTRY = Symbol.for('odradek.file-locks')
const registry: Map<string, string> = ((globalThis as Record<symbol, unknown>)[REGISTRY] ??=
  new Map()) as Map<string, string>

/**
 * Takes the lock or throws DiskError LOCKED naming the holder.
 * Content of the file: one line, `pid startTime bootId`; `-` for what this platform does not tell.
 */
export function takeLock(path: string): { release(): void } {
  const key = resolve(path)
  if (registry.has(key)) throw locked(path, 'this process')
  const holder = lockedByOther(path)
  if (holder !== null) throw locked(path, holder)

  const mine = `${process.pid} ${startTimeOf(process.pid) ?? '-'} ${bootId()}\n`
  const temporary = `${path}.${process.pid}`
  fs.writeFileSync(temporary, mine)
  try {
    claim(path, temporary)
  } finally {
    fs.rmSync(temporary, { force: true })
  }
  registry.set(key, mine)
  return {
    release() {
      if (registry.get(key) !== mine) return
      registry.delete(key)
      if (readOrNull(path) === mine) fs.rmSync(path, { force: true })
    },
  }
}

/** `link` fails where something is: of two processes that find the same stale lock only one wins. */
function claim(path: string, temporary: string): void {
  for (let attempt = 0; ; attempt++) {
    try {
      fs.linkSync(temporary, path)
      return
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      // A file system without hard links: the narrow race is accepted.
      if (code === 'EPERM' || code === 'ENOTSUP' || code === 'ENOSYS') return fs.copyFileSync(temporary, path)
      if (code !== 'EEXIST' || attempt === 10) throw error
    }
    const holder = livingHolder(path)
    if (holder !== null) throw locked(path, holder)
    removeStale(path, temporary)
  }
}

/** Moves the stale file aside first, and puts back what turns out to be a fresh lock of another process. */
function removeStale(path: string, temporary: string): void {
  const aside = `${temporary}.stale`
  try {
    fs.renameSync(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  const holder = livingHolder(aside)
  if (holder !== null) fs.linkSync(aside, path)
  fs.rmSync(aside, { force: true })
  if (holder !== null) throw locked(path, holder)
}

function locked(path: string, holder: string): DiskError {
  return new DiskError('LOCKED', path, `${path} is locked by ${holder}`)
}

/** A Java broker leaves the file empty and holds a kernel lock on it. */
function lockedByOther(path: string): string | null {
  const holder = livingHolder(path)
  if (holder !== null) return holder
  const pid = kernelLockHolder(path)
  return pid === null ? null : `process ${pid}`
}

function livingHolder(path: string): string | null {
  const content = readOrNull(path)
  const match = content === null ? null : /^(\d+) (\S+) (\S+)\n$/.exec(content)
  if (match === null) return null
  const [, pidText, startTime, boot] = match
  const pid = Number(pidText)
  if (boot !== '-' && bootId() !== '-' && boot !== bootId()) return null
  if (!isAlive(pid)) return null
  const actual = startTimeOf(pid)
  if (startTime !== '-' && actual !== null) return startTime === actual ? `process ${pid}` : null
  // No start times here. Our own pid, but not in our registry: an earlier process had it.
  return pid === process.pid ? null : `process ${pid}`
}

function readOrNull(path: string): string | null {
  try {
    return fs.readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Ticks since boot at which a process started: with the pid and the boot id it names one process for ever. */
function startTimeOf(pid: number): string | null {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The command name, in parentheses, may hold spaces: fields are counted from its end. Field 22 is the start time.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A killed process that its parent has not waited for yet holds nothing any more.
    return fields[0] === 'Z' || fields[0] === 'X' ? 'dead' : (fields[19] ?? null)
  } catch {
    return null
  }
}

let knownBootId: string | undefined
function bootId(): string {
  if (knownBootId === undefined) {
    try {
      knownBootId = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    } catch {
      knownBootId = '-'
    }
  }
  return knownBootId
}
