/**
 * As little of a ZooKeeper client as reads znodes and their ACLs, tries to change them, and ends a session of somebody else:
 * none of our own code is in it.
 */
import { connect, type Socket } from 'node:net'

const CREATE = 1
const DELETE = 2
const GET_DATA = 4
const SET_DATA = 5
const GET_ACL = 6
const GET_CHILDREN = 8
const AUTH = 100
const AUTH_XID = -4
const CLOSE_SESSION = -11
const OK = 0
const NO_NODE = -101
/** Of a Stat: four longs and three ints come before the session that owns an ephemeral node. */
const EPHEMERAL_OWNER_AT = 4 * 8 + 3 * 4
const STAT_BYTES = 68
const REPLY_TIMEOUT_MS = 3000
const SESSION_TIMEOUT_MS = 4000

const noWatch = Buffer.from([0])
const anyVersion = Buffer.from([0xff, 0xff, 0xff, 0xff])

export interface Znode {
  data: Buffer
  /** Session id; 0n where the node is not ephemeral. */
  ephemeralOwner: bigint
}

/** Permissions as ZooKeeper's shell writes them (`cdrwa`), for `scheme:id`. */
export type AclEntry = `${string}:${string}:${string}`
const PERMISSIONS = 'rwcda'

export interface ServerAddress {
  host: string
  port: number
}

export interface SessionKey {
  id: bigint
  password: Buffer
}

const newSession: SessionKey = { id: 0n, password: Buffer.alloc(16) }

/** One session on one server. */
export class ZookeeperConnection {
  readonly #socket: Socket
  #received = Buffer.alloc(0)
  #waiting: ((error: Error | null, frame: Buffer) => void)[] = []
  #xid = 1

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setTimeout(REPLY_TIMEOUT_MS, () => socket.destroy(new Error('no answer')))
    socket.on('data', (bytes) => this.#receive(bytes))
    let failure = new Error('the server closed the connection')
    socket.on('error', (error) => (failure = error))
    socket.on('close', () => {
      for (const settle of this.#waiting.splice(0)) settle(failure, Buffer.alloc(0))
    })
  }

  /** To the first of the servers that answers; with a key it takes that session over, which lives that long from now on. */
  static async open(
    servers: readonly ServerAddress[],
    key = newSession,
    sessionTimeoutMs = SESSION_TIMEOUT_MS,
  ): Promise<ZookeeperConnection> {
    let failure: unknown
    for (const { host, port } of servers) {
      const connection = new ZookeeperConnection(connect(port, host))
      try {
        await connection.#handshake(key, sessionTimeoutMs)
        return connection
      } catch (error) {
        failure = error
        connection.#socket.destroy()
      }
    }
    throw new Error('no ZooKeeper server answers', { cause: failure })
  }

  async #handshake({ id, password }: SessionKey, sessionTimeoutMs: number): Promise<void> {
    const request = Buffer.alloc(4 + 8 + 4 + 8 + 4 + 16 + 1)
    request.writeInt32BE(sessionTimeoutMs, 12)
    request.writeBigInt64BE(id, 16)
    request.writeInt32BE(16, 24)
    password.copy(request, 28)
    const reply = await this.#exchange(request)
    const given = reply.readBigInt64BE(8)
    if (given === 0n) throw new Error('the session is not there')
  }

  /** Null where there is no such node. */
  async get(path: string): Promise<Znode | null> {
    const reply = await this.#request(GET_DATA, path)
    if (reply === null) return null
    const length = reply.readInt32BE(0)
    const data = reply.subarray(4, 4 + Math.max(0, length))
    const stat = reply.subarray(reply.length - STAT_BYTES)
    return { data, ephemeralOwner: stat.readBigInt64BE(EPHEMERAL_OWNER_AT) }
  }

  /** Names below a node, none where it is not there. */
  async children(path: string): Promise<string[]> {
    const reply = await this.#request(GET_CHILDREN, path)
    if (reply === null) return []
    const names: string[] = []
    for (let position = 4; position < reply.length;) {
      const length = reply.readInt32BE(position)
      names.push(reply.toString('utf8', position + 4, position + 4 + length))
      position += 4 + length
    }
    return names
  }

  /** Whatever its version; nothing where there is no such node. */
  async delete(path: string): Promise<void> {
    await this.#request(DELETE, path, anyVersion)
  }

  /** Whatever its version. */
  async set(path: string, data: Buffer): Promise<void> {
    await this.#request(SET_DATA, path, Buffer.concat([counted(data), anyVersion]))
  }

  /** Empty, persistent, open to all. */
  async create(path: string): Promise<void> {
    const acl = [int(1), int(0b11111), counted(Buffer.from('world')), counted(Buffer.from('anyone'))]
    await this.#request(CREATE, path, Buffer.concat([counted(Buffer.alloc(0)), ...acl, int(0)]))
  }

  /** In the order in which they are kept; none where there is no such node. */
  async acl(path: string): Promise<AclEntry[]> {
    const reply = await this.#request(GET_ACL, path, Buffer.alloc(0))
    if (reply === null) return []
    let position = 4
    const text = (): string => {
      const length = reply.readInt32BE(position)
      position += 4 + length
      return reply.toString('utf8', position - length, position)
    }
    return Array.from({ length: reply.readInt32BE(0) }, (): AclEntry => {
      const bits = reply.readInt32BE(position)
      position += 4
      const letters = [...PERMISSIONS].filter((_, bit) => (bits & (1 << bit)) !== 0)
      return `${text()}:${text()}:${letters.join('')}`
    })
  }

  /** `user:password`, from now on. */
  async authenticate(digest: string): Promise<void> {
    const head = [int(AUTH_XID), int(AUTH), int(0), counted(Buffer.from('digest'))]
    const reply = await this.#exchange(Buffer.concat([...head, counted(Buffer.from(digest))]))
    if (reply.readInt32BE(12) !== OK) throw new Error('ZooKeeper: the credentials are refused')
  }

  /** Ends the session, with all its ephemeral nodes. */
  async close(): Promise<void> {
    const header = Buffer.alloc(8)
    header.writeInt32BE(this.#xid++, 0)
    header.writeInt32BE(CLOSE_SESSION, 4)
    await this.#exchange(header).finally(() => this.#socket.destroy())
  }

  /** Leaves the session to its expiry. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** `rest` is what follows the path. Null: there is no such node. */
  async #request(type: number, path: string, rest: Buffer = noWatch): Promise<Buffer | null> {
    const name = Buffer.from(path)
    const frame = Buffer.alloc(8 + 4 + name.length + rest.length)
    frame.writeInt32BE(this.#xid++, 0)
    frame.writeInt32BE(type, 4)
    frame.writeInt32BE(name.length, 8)
    name.copy(frame, 12)
    rest.copy(frame, 12 + name.length)
    const reply = await this.#exchange(frame)
    const error = reply.readInt32BE(12)
    if (error === NO_NODE) return null
    if (error !== OK) throw new Error(`ZooKeeper: ${path}: error ${error}`)
    return reply.subarray(16)
  }

  #exchange(body: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error('the connection is closed'))
      this.#waiting.push((error, frame) => (error === null ? resolve(frame) : reject(error)))
      const length = Buffer.alloc(4)
      length.writeInt32BE(body.length)
      this.#socket.write(Buffer.concat([length, body]))
    })
  }

  #receive(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes])
    while (this.#received.length >= 4) {
      const length = this.#received.readInt32BE(0)
      if (this.#received.length < 4 + length) return
      this.#waiting.shift()?.(null, Buffer.from(this.#received.subarray(4, 4 + length)))
      this.#received = this.#received.subarray(4 + length)
    }
  }
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** Behind its length. */
const counted = (bytes: Buffer): Buffer => Buffer.concat([int(bytes.length), bytes])

/**
 * The key of a session by its id: servers make the password of the id and a constant (ZooKeeperServer.superSecret), with
 * java.util.Random. So a test can end the session of a broker, which the broker cannot tell from an expired one.
 */
export function sessionKey(id: bigint): SessionKey {
  const superSecret = 0xb3415c00n
  const mask = (1n << 48n) - 1n
  let state = (id ^ superSecret ^ 0x5deece66dn) & mask
  const password = Buffer.alloc(16)
  for (let position = 0; position < 16; position += 4) {
    state = (state * 0x5deece66dn + 0xbn) & mask
    password.writeUInt32LE(Number(state >> 16n) >>> 0, position)
  }
  return { id, password }
}
