/** A way to a port that can fall silent, as a network does: nothing passes, nothing is closed, and later it goes on. */
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

export class Proxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #isSilent = false

  private constructor(to: number) {
    this.#server = createServer({ noDelay: true }, (near) => {
      const far = connect({ port: to, host: '127.0.0.1', noDelay: true })
      near.pipe(far)
      far.pipe(near)
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ]) {
        this.#sockets.add(socket)
        if (this.#isSilent) socket.pause()
        socket.on('error', () => {})
        socket.once('close', () => {
          this.#sockets.delete(socket)
          other.destroy()
        })
      }
    })
  }

  static async listen(to: number): Promise<Proxy> {
    const proxy = new Proxy(to)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** From now on nothing passes, either way. */
  cut(): void {
    this.#isSilent = true
    for (const socket of this.#sockets) socket.pause()
  }

  /** What was held back passes now. */
  heal(): void {
    this.#isSilent = false
    for (const socket of this.#sockets) socket.resume()
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}
