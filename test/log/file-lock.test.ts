import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createNodeDisk } from '../../src/env/node/disk.ts'
import { holderIn } from '../../src/env/node/kernel-locks.ts'

describe('a file lock', () => {
  const disk = createNodeDisk()
  let directory: string
  let path: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'odradek-lock-'))
    path = join(directory, '.lock')
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it('is held once, also within one process, and can be taken again after its release', () => {
    const lock = disk.lock(path)
    expect(() => disk.lock(path)).toThrow(/locked by this process/)
    lock.release()
    lock.release()
    disk.lock(path).release()
  })

  it('is refused while another process holds it, and free once that was killed', async () => {
    const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env
    const child = spawn(process.execPath, ['-e', 'console.log("up"); setInterval(() => {}, 1000)'], { env })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    const mine = disk.lock(path)
    const own = readFileSync(path, 'latin1')
    mine.release()
    const theirs = own.replace(String(process.pid), String(child.pid))
    writeFileSync(path, theirs.replace(/ \d+ /, ` ${startTicks(child.pid!)} `))
    expect(() => disk.lock(path)).toThrow(`locked by process ${child.pid}`)

    await killed(child)
    disk.lock(path).release()
  })

  it('does not believe a pid that another process has by now', () => {
    const mine = disk.lock(path)
    const own = readFileSync(path, 'latin1')
    mine.release()
    writeFileSync(path, own.replace(/ \d+ /, ' 1 '))
    if (own.includes(' - ')) return
    disk.lock(path).release()
  })

  it('takes a file that says nothing, as a Java broker leaves it', () => {
    writeFileSync(path, '')
    disk.lock(path).release()
  })

  const isLinux = process.platform === 'linux'
  it.skipIf(!isLinux)('is refused while the kernel has a lock on it (other kernels list none)', async () => {
    writeFileSync(path, '')
    const script = 'echo up; exec sleep 1000'
    const holder = spawn('flock', ['--no-fork', path, 'sh', '-c', script])
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    expect(() => disk.lock(path)).toThrow(`locked by process ${holder.pid}`)

    await killed(holder)
    disk.lock(path).release()
  })
})

describe('the table of kernel locks', () => {
  const table = [
    '1: POSIX  ADVISORY  WRITE 4407 00:1b:98 0 EOF',
    '2: -> POSIX  ADVISORY  WRITE 4345 00:1b:98 0 EOF',
    '3: FLOCK  ADVISORY  WRITE 4634 fe:1000:9986050 0 EOF',
    '',
  ].join('\n')
  const unknown = () => null

  it('names the holder of the file, not that of a file with its number in another file system', () => {
    expect(holderIn(table, { dev: 0x1b, ino: 98 }, unknown)).toBe(4407)
    expect(holderIn(table, { dev: 0x1c, ino: 98 }, unknown)).toBeNull()
    expect(holderIn(table, { dev: 0x1b, ino: 97 }, unknown)).toBeNull()
    expect(holderIn(table, { dev: 0x100fe00, ino: 9_986_050 }, unknown)).toBe(4634)
  })

  it('believes the process about what it has open, whatever device the file system shows', () => {
    expect(holderIn(table, { dev: 0x1b, ino: 98 }, () => false)).toBeNull()
    expect(holderIn(table, { dev: 0x99, ino: 98 }, (pid) => pid === 4345)).toBe(4345)
  })
})

async function killed(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}

function startTicks(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return '-'
  }
}
