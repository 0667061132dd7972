import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { createNodeNetwork } from '../../src/env/node/network.ts'

/** What a client sees that connects and is greeted. */
function greeting(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port })
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      socket.destroy()
      resolve(chunk.toString())
    })
  })
}

const greeter = (connection: { write(chunks: readonly Uint8Array[]): void }) => {
  connection.write([Buffer.from('hello')])
  return { data() {}, closed() {} }
}

function hasIpv6Loopback(): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer()
    server.on('error', () => resolve(false))
    server.listen({ host: '::1', port: 0 }, () => server.close(() => resolve(true)))
  })
}

describe('The network', () => {
  it('serves localhost on both loopback addresses, on one port', async () => {
    const listening = await createNodeNetwork().listen({ host: 'localhost', port: 0 }, greeter)
    expect(await greeting('127.0.0.1', listening.port)).toBe('hello')
    if (await hasIpv6Loopback()) expect(await greeting('::1', listening.port)).toBe('hello')
    await listening.close()
    await expect(greeting('127.0.0.1', listening.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('says who holds a port that is in use, and leaves nothing open', async () => {
    const network = createNodeNetwork()
    const first = await network.listen({ host: 'localhost', port: 0 }, greeter)
    const again = network.listen({ host: 'localhost', port: first.port }, greeter)
    await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE', port: first.port })
    await first.close()
    const free = await network.listen({ host: '127.0.0.1', port: first.port }, greeter)
    await free.close()
  })
})
