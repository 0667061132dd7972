import { spawn } from 'node:child_process'
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

describe('An outgoing connection', () => {
  const silent = { data() {}, closed() {} }

  it('carries bytes both ways through the shared buffer, and tells its end', async () => {
    const network = createNodeNetwork()
    const listening = await network.listen({ host: 'localhost', port: 0 }, (connection) => ({
      data(chunk) {
        connection.write([Buffer.from(`you said ${chunk.toString()}`)])
        connection.end()
      },
      closed() {},
    }))
    const heard = new Promise<string>((resolve) => {
      let text = ''
      const connected = network.connect({ host: 'localhost', port: listening.port, timeoutMs: 5000 }, () => ({
        data: (chunk) => void (text += chunk.toString()),
        closed: (reason) => resolve(`${text}, ${reason}`),
      }))
      void connected.then((connection) => connection.write([Buffer.from('good '), Buffer.from('day')]))
    })
    expect(await heard).toBe('you said good day, null')
    await listening.close()
  })

  it('that is paused when it is handed out reads when it is resumed', async () => {
    const network = createNodeNetwork()
    const listening = await network.listen({ host: '127.0.0.1', port: 0 }, greeter)
    const heard: string[] = []
    const connection = await network.connect({ ...listening, timeoutMs: 5000 }, (made) => {
      made.pause()
      return { data: (chunk) => void heard.push(chunk.toString()), closed() {} }
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(heard).toEqual([])
    connection.resume()
    await expect.poll(() => heard).toEqual(['hello'])
    connection.destroy()
    await listening.close()
  })

  it('is refused where nobody listens, on every address of the name', async () => {
    const network = createNodeNetwork()
    const listening = await network.listen({ host: 'localhost', port: 0 }, greeter)
    await listening.close()
    for (const host of ['localhost', '127.0.0.1']) {
      const attempt = network.connect({ host, port: listening.port, timeoutMs: 5000 }, () => silent)
      await expect(attempt).rejects.toMatchObject({ name: 'NetworkError', code: 'REFUSED' })
    }
  })

  it('cannot be made to a name that nobody has, nor to a port that cannot be', async () => {
    const network = createNodeNetwork()
    for (const address of [
      { host: 'no-such-host.invalid', port: 9092 },
      { host: '127.0.0.1', port: 0 },
      { host: '127.0.0.1', port: 65_536 },
    ]) {
      const attempt = network.connect({ ...address, timeoutMs: 5000 }, () => silent)
      await expect(attempt).rejects.toMatchObject({ name: 'NetworkError', code: 'UNREACHABLE' })
    }
  })

  it.runIf(process.platform === 'linux')('times out where nobody answers', async () => {
    const { port, end } = await deafListener()
    const network = createNodeNetwork()
    const attempts = Array.from({ length: 6 }, () => {
      return network.connect({ host: '127.0.0.1', port, timeoutMs: 200 }, () => silent)
    })
    const outcomes = await Promise.allSettled(attempts)
    const codes = outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)
    for (const outcome of outcomes) if (outcome.status === 'fulfilled') outcome.value.destroy()
    end()
    expect(codes).toContain('TIMED_OUT')
    expect(codes.filter((code) => code !== false && code !== 'TIMED_OUT')).toEqual([])
  })
})

/** A process that listens and then does nothing more: the kernel takes a few connections for it, and drops others. */
async function deafListener(): Promise<{ port: number; end: () => void }> {
  const program = `
    const server = require('node:net').createServer()
    server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(server.address().port))
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000)
    })`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const port = await new Promise<number>((resolve) => {
    child.stdout.once('data', (chunk: Buffer) => resolve(Number(chunk.toString())))
  })
  return { port, end: () => void child.kill('SIGKILL') }
}
