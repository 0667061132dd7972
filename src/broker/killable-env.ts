/**
 * What one broker of several in a process has of the world, so that it can be killed as a process is by SIGKILL: from then
 * on none of its code runs any more, its connections and ports are closed, its files and locks given back, and its session
 * with the coordination service ends. What it had written stays, as it was.
 */
import type { Coordination, CoordinationSession } from '../env/coordination.ts'
import { DiskError, type Disk, type DiskFile } from '../env/disk.ts'
import type { Env, Logger, Timer, Timers } from '../env/env.ts'
import type { Connection, ConnectionEvents, Listening, Network } from '../env/network.ts'

export class KillableEnv implements Env {
  readonly clock: Env['clock']
  readonly random: Env['random']
  readonly timers: Timers
  readonly disk: Disk
  readonly network: Network
  readonly coordination: Coordination
  readonly logger: Logger
  readonly #life = new Life()

  constructor(env: Env) {
    const life = this.#life
    this.clock = env.clock
    this.random = env.random
    this.timers = killableTimers(env.timers, life)
    this.disk = killableDisk(env.disk, life)
    this.network = killableNetwork(env.network, life)
    this.coordination = {
      connect: async (options) => {
        const session = await env.coordination.connect(options)
        // Killed while it connected.
        if (!life.isAlive) await session.close()
        else life.sessions.add(session)
        return session
      },
    }
    this.logger = {
      log: (level, message, fields) => {
        if (life.isAlive) env.logger.log(level, message, fields)
      },
    }
  }

  /** Resolves when the ports are free and the session is over. */
  kill(): Promise<void> {
    return this.#life.end()
  }
}

/** What is to be given back when it ends. */
class Life {
  isAlive = true
  readonly timers = new Set<Timer>()
  readonly files = new Set<DiskFile>()
  readonly locks = new Set<{ release(): void }>()
  readonly listening = new Set<Listening>()
  readonly connections = new Set<Connection>()
  readonly sessions = new Set<CoordinationSession>()

  async end(): Promise<void> {
    if (!this.isAlive) return
    this.isAlive = false
    for (const timer of this.timers) timer.cancel()
    const closed = [...this.listening].map((listening) => listening.close())
    for (const connection of this.connections) connection.destroy()
    for (const file of this.files) file.close()
    for (const lock of this.locks) lock.release()
    const ended = [...this.sessions].map((session) => session.close())
    for (const held of [this.timers, this.files, this.locks, this.connections]) held.clear()
    await Promise.all([...closed, ...ended])
  }
}

function killableTimers(timers: Timers, life: Life): Timers {
  return {
    after(delayMs, callback) {
      const timer = timers.after(delayMs, () => {
        life.timers.delete(own)
        if (life.isAlive) callback()
      })
      const own: Timer = {
        cancel: () => {
          life.timers.delete(own)
          timer.cancel()
        },
      }
      life.timers.add(own)
      return own
    },
    soon: (callback) =>
      timers.soon(() => {
        if (life.isAlive) callback()
      }),
  }
}

function killableNetwork(network: Network, life: Life): Network {
  const watched = (onConnection: (connection: Connection) => ConnectionEvents) => {
    return (connection: Connection): ConnectionEvents => {
      if (!life.isAlive) {
        connection.destroy()
        return { data: () => undefined, closed: () => undefined }
      }
      life.connections.add(connection)
      const events = onConnection(connection)
      return {
        data: (chunk) => {
          if (life.isAlive) events.data(chunk)
        },
        drain: () => {
          if (life.isAlive) events.drain?.()
        },
        closed: (reason) => {
          life.connections.delete(connection)
          if (life.isAlive) events.closed(reason)
        },
      }
    }
  }
  return {
    connect: (options, onConnection) => network.connect(options, watched(onConnection)),
    async listen(options, onConnection) {
      const listening = await network.listen(options, watched(onConnection))
      life.listening.add(listening)
      if (!life.isAlive) await listening.close()
      return listening
    },
  }
}

function killableDisk(disk: Disk, life: Life): Disk {
  const check = (path: string): void => {
    if (!life.isAlive) throw new DiskError('IO', path, 'the broker was killed')
  }
  return {
    open(path, mode) {
      check(path)
      const file = new KillableFile(disk.open(path, mode), life)
      life.files.add(file)
      return file
    },
    readFile: (path) => (check(path), disk.readFile(path)),
    replaceFile: (path, content, options) => (check(path), disk.replaceFile(path, content, options)),
    stat: (path) => (check(path), disk.stat(path)),
    list: (path) => (check(path), disk.list(path)),
    makeDirectory: (path) => (check(path), disk.makeDirectory(path)),
    rename: (from, to) => (check(from), disk.rename(from, to)),
    remove: (path) => (check(path), disk.remove(path)),
    setModifiedTime: (path, modifiedMs) => (check(path), disk.setModifiedTime(path, modifiedMs)),
    syncDirectory: (path) => (check(path), disk.syncDirectory(path)),
    space: (path) => (check(path), disk.space(path)),
    lock(path) {
      check(path)
      const lock = disk.lock(path)
      const own = {
        release: () => {
          if (life.locks.delete(own) || life.isAlive) lock.release()
        },
      }
      life.locks.add(own)
      return own
    },
  }
}

/** Its descriptor may be another file's as soon as it is closed: nothing reaches it then. */
class KillableFile implements DiskFile {
  readonly path: string
  readonly #file: DiskFile
  readonly #life: Life
  #closed = false

  constructor(file: DiskFile, life: Life) {
    this.path = file.path
    this.#file = file
    this.#life = life
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    this.#check()
    return this.#file.read(target, offset, length, position)
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    this.#check()
    this.#file.write(chunks, position)
  }

  truncate(size: number): void {
    this.#check()
    this.#file.truncate(size)
  }

  size(): number {
    this.#check()
    return this.#file.size()
  }

  /** Never settles where the broker is killed meanwhile. */
  sync(): Promise<void> {
    this.#check()
    const life = this.#life
    return new Promise((resolve, reject) => {
      this.#file.sync().then(
        () => void (life.isAlive && resolve()),
        (error: unknown) => void (life.isAlive && reject(error)),
      )
    })
  }

  syncNow(): void {
    this.#check()
    this.#file.syncNow()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#life.files.delete(this)
    this.#file.close()
  }

  #check(): void {
    if (!this.#life.isAlive) throw new DiskError('IO', this.path, 'the broker was killed')
  }
}
