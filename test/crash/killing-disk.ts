/** A disk on which the process ends itself at one step: moments that a signal from outside hardly ever meets. */
import type { Disk, DiskFile } from '../../src/env/disk.ts'
import type { KillPlan, Moment } from './partitions.ts'

export interface KillingDisk {
  readonly disk: Disk
  /** The start is over. */
  isReady: boolean
}

interface Step {
  /** Of what is written, made, or appears by another name. */
  readonly path: string
  readonly isWrite: boolean
  /** Of a write. */
  readonly position?: number
}

const matches: Record<Exclude<Moment, 'recovery'>, (step: Step) => boolean> = {
  produce: ({ path, isWrite, position }) => isWrite && path.endsWith('.log') && position! > 0,
  roll: ({ path, position }) =>
    path.endsWith('.snapshot') || path.endsWith('.snapshot.tmp') || (path.endsWith('.log') && position === 0),
  compaction: ({ path }) => path.includes('/compacted-0/') && /\.(cleaned|swap|deleted)$/.test(path),
  retention: ({ path }) => path.includes('/retained-0/') && path.endsWith('.deleted'),
}

/** `die` does not return. */
export function killingDisk(real: Disk, plan: KillPlan, die: () => never): KillingDisk {
  let stepsLeft = plan.step
  const isDue = (step: Step): boolean => {
    const isMatch = plan.moment === 'recovery' ? !killing.isReady : matches[plan.moment](step)
    return isMatch && --stepsLeft === 0
  }
  /** `half` does a part of `act`. */
  const at = <T>(step: Step, act: () => T, half: () => void = () => undefined): T => {
    if (!isDue(step)) return act()
    if (plan.when === 'during') half()
    else if (plan.when === 'after') act()
    return die()
  }
  const killing: KillingDisk = { disk: dyingDisk(real, at), isReady: false }
  return killing
}

type At = <T>(step: Step, act: () => T, half?: () => void) => T

function dyingDisk(real: Disk, at: At): Disk {
  return {
    open: (path, mode) =>
      mode === 'read'
        ? real.open(path, mode)
        : dyingFile(
            at({ path, isWrite: false }, () => real.open(path, mode)),
            at,
          ),
    readFile: (path) => real.readFile(path),
    replaceFile: (path, content, options) => {
      const bytes = Buffer.from(content)
      const half = () => real.open(`${path}.tmp`, 'write').write([bytes.subarray(0, bytes.length >> 1)], 0)
      at({ path, isWrite: false }, () => real.replaceFile(path, content, options), half)
    },
    stat: (path) => real.stat(path),
    list: (path) => real.list(path),
    makeDirectory: (path) => at({ path, isWrite: false }, () => real.makeDirectory(path)),
    rename: (from, to) => at({ path: to, isWrite: false }, () => real.rename(from, to)),
    remove: (path) => at({ path, isWrite: false }, () => real.remove(path)),
    setModifiedTime: (path, modifiedMs) => real.setModifiedTime(path, modifiedMs),
    syncDirectory: (path) => at({ path, isWrite: false }, () => real.syncDirectory(path)),
    lock: (path) => real.lock(path),
    space: (path) => real.space(path),
  }
}

function dyingFile(real: DiskFile, at: At): DiskFile {
  const { path } = real
  return {
    path,
    read: (target, offset, length, position) => real.read(target, offset, length, position),
    write: (chunks, position) => {
      const half = () => {
        const bytes = Buffer.concat(chunks)
        real.write([bytes.subarray(0, bytes.length >> 1)], position)
      }
      at({ path, isWrite: true, position }, () => real.write(chunks, position), half)
    },
    truncate: (size) => at({ path, isWrite: false }, () => real.truncate(size)),
    size: () => real.size(),
    sync: () => real.sync(),
    syncNow: () => at({ path, isWrite: false }, () => real.syncNow()),
    close: () => real.close(),
  }
}
