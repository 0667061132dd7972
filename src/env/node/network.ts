import net from 'node:net'
import {
  NetworkError,
  type Connection,
  type ConnectionEvents,
  type ConnectOptions,
  type Listening,
  type ListenOptions,
  type Network,
  type NetworkErrorCode,
} from '../network.ts'

/**
 * All sockets read into this one buffer: what arrived is handled before the next read begins, so nothing is allocated for
 * receiving. It is twice as fast as 'data' events and costs half the processor time (docs/decisions/0003).
 */
const READ_BUFFER_BYTES = 1 << 20

/** One socket reads into the shared buffer, and hands on what has arrived. */
function onread(buffer: Buffer, onChunk: (chunk: Buffer) => void) {
  return {
    buffer,
    callback: (size: number) => {
      onChunk(buffer.subarray(0, size))
      return true
    },
  }
}

type RawSocket = net.Socket & { _handle: unknown }

/**
 * An accepted socket ignores `onread`, so it is made again over its own handle. `_handle` is a private field of Node
 * (20 to 26 have it): where it is missing, 'data' events do the same job slower.
 */
function adopt(raw: net.Socket, buffer: Buffer, onChunk: (chunk: Buffer) => void): net.Socket {
  const handle = (raw as RawSocket)._handle
  if (!handle) {
    raw.on('data', onChunk)
    return raw
  }
  ;(raw as RawSocket)._handle = null
  // `onread` belongs to the options of connect() in the types; the constructor takes it as well.
  const options = { handle, onread: onread(buffer, onChunk) }
  return new net.Socket(options as unknown as net.SocketConstructorOpts)
}

/** Gives a socket that is connected and does not read yet; it hands what arrives to `onChunk`. */
type SocketFor = (onChunk: (chunk: Buffer) => void) => net.Socket

class NodeConnection implements Connection {
  readonly id: number
  readonly remoteAddress: string
  readonly remotePort: number
  private readonly socket: net.Socket
  private events: ConnectionEvents | null = null
  private reason: string | null = null
  private paused = false

  constructor(id: number, socketFor: SocketFor) {
    this.id = id
    this.socket = socketFor((chunk) => this.events?.data(chunk))
    this.remoteAddress = this.socket.remoteAddress ?? ''
    this.remotePort = this.socket.remotePort ?? 0
    this.socket.setNoDelay(true)
    this.socket.on('error', (error) => {
      this.reason = error.message
    })
    this.socket.on('drain', () => this.events?.drain?.())
    this.socket.on('close', () => {
      const events = this.events
      this.events = null
      events?.closed(this.reason)
    })
  }

  attach(events: ConnectionEvents): void {
    this.events = events
    if (!this.paused) this.socket.resume()
  }

  get pendingWriteBytes(): number {
    return this.socket.writableLength
  }

  write(chunks: readonly Uint8Array[], done?: () => void): void {
    if (this.socket.destroyed || !this.socket.writable) {
      if (done) queueMicrotask(done)
      return
    }
    const last = chunks.length - 1
    if (last === 0) {
      this.socket.write(chunks[0], done)
      return
    }
    this.socket.cork()
    for (let i = 0; i < last; i++) this.socket.write(chunks[i])
    this.socket.write(chunks[last], done)
    this.socket.uncork()
  }

  pause(): void {
    this.paused = true
    this.socket.pause()
  }

  resume(): void {
    this.paused = false
    this.socket.resume()
  }

  end(): void {
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }
}

/**
 * Addresses to bind for a host. `localhost` is both loopback addresses: clients resolve it to the one or the other, and a
 * refused first try costs them a second. null: all interfaces.
 */
function addressesOf(host: string): (string | null)[] {
  if (host === 'localhost') return ['127.0.0.1', '::1']
  return [host === '' ? null : host]
}

function bind(onSocket: (raw: net.Socket) => void, host: string | null, port: number): Promise<net.Server> {
  const server = net.createServer({ pauseOnConnect: true }, onSocket)
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: host ?? undefined, port }, () => resolve(server))
  })
}

/** A machine without IPv6 has no second loopback address; a port that the system chose may be taken there. */
function isDispensable(error: unknown, asked: ListenOptions): boolean {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') return true
  return code === 'EADDRINUSE' && asked.port === 0
}

/**
 * A name may stand for several addresses, which are tried one after the other; the error then holds one of each. An
 * address that this machine does not have at all says nothing of the peer.
 */
function connectFailure(
  error: NodeJS.ErrnoException & { errors?: NodeJS.ErrnoException[] },
): NetworkErrorCode {
  const codes = (error.errors ?? [error]).map(({ code }) => code)
  if (codes.includes('ETIMEDOUT')) return 'TIMED_OUT'
  if (codes.includes('ECONNREFUSED')) return 'REFUSED'
  return codes.includes('ECONNRESET') ? 'CLOSED' : 'UNREACHABLE'
}

/** `connected` runs before anything is read. Rejects with NetworkError. */
function open(
  { host, port, timeoutMs }: ConnectOptions,
  buffer: Buffer,
  connected: (socketFor: SocketFor) => Connection,
): Promise<Connection> {
  if (port <= 0 || port > 0xffff) {
    return Promise.reject(new NetworkError('UNREACHABLE', `${host}:${port}: there is no such port`))
  }
  return new Promise((resolve, reject) => {
    let receive: (chunk: Buffer) => void = () => undefined
    const socket = net.connect({
      host,
      port,
      keepAlive: false,
      onread: onread(buffer, (chunk) => receive(chunk)),
    })
    const fail = (code: NetworkErrorCode, reason: string): void => {
      clearTimeout(timer)
      socket.destroy()
      reject(new NetworkError(code, `${host}:${port}: ${reason}`))
    }
    const timer = setTimeout(() => fail('TIMED_OUT', `no connection within ${timeoutMs} ms`), timeoutMs)
    timer.unref()
    const failed = (error: Error): void => fail(connectFailure(error), error.message || 'no connection')
    socket.on('error', failed)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.off('error', failed)
      // It must not read before somebody listens.
      socket.pause()
      const connection = connected((onChunk) => {
        receive = onChunk
        return socket
      })
      resolve(connection)
    })
  })
}

export function createNodeNetwork(): Network {
  let nextId = 1
  const buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES)
  return {
    connect(options: ConnectOptions, onConnection): Promise<Connection> {
      return open(options, buffer, (socketFor) => {
        const connection = new NodeConnection(nextId++, socketFor)
        connection.attach(onConnection(connection))
        return connection
      })
    },
    async listen(options: ListenOptions, onConnection): Promise<Listening> {
      const onSocket = (raw: net.Socket) => {
        const connection = new NodeConnection(nextId++, (onChunk) => adopt(raw, buffer, onChunk))
        connection.attach(onConnection(connection))
      }
      const [first, second] = addressesOf(options.host)
      const servers = [await bind(onSocket, first, options.port)]
      const { port } = servers[0].address() as net.AddressInfo
      const close = async () => servers.forEach((server) => server.close())
      if (second !== undefined) {
        try {
          servers.push(await bind(onSocket, second, port))
        } catch (error) {
          if (!isDispensable(error, options)) {
            await close()
            throw error
          }
        }
      }
      return { host: options.host, port, close }
    },
  }
}
