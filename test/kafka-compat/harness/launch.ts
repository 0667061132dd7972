import { createServer } from 'node:net'

/** How one kind of broker is started: the same data directory and port every time. */
export interface Launch {
  command: string
  args: string[]
  /** Longest time from start to ready. */
  readyTimeoutMs: number
  /** Whether what the process has said so far means that it serves; absent where an open port means so. */
  saysReady?: (output: string) => boolean
}

export interface LaunchRequest {
  port: number
  directory: string
  config: Record<string, string>
}

/**
 * A free port below the range that outgoing connections are given: a client that knocks at a killed broker's
 * port from the same port number would otherwise connect to itself and keep the port taken.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000)
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer()
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (free) return port
  }
}
