/** One line for what keeps a broker from starting and is nobody's bug; null for everything else. */
import { ConfigError } from '../broker/config/config-types.ts'
import { CoordinationError } from '../env/coordination.ts'
import { DiskError } from '../env/disk.ts'
import { LogDirError } from '../log/log-dir-error.ts'
import { UsageError } from './arguments.ts'

export function describeStartFault(error: unknown): string | null {
  if (error instanceof ConfigError || error instanceof UsageError || error instanceof LogDirError) {
    return error.message
  }
  if (error instanceof DiskError) return describeDisk(error)
  if (error instanceof CoordinationError) return describeCoordination(error)
  return error instanceof Error ? describeNetwork(error) : null
}

function describeCoordination({ code, path, message }: CoordinationError): string {
  if (code !== 'NO_AUTH') return `coordination store: ${message}`
  return `ZooKeeper refuses ${path}: its ACL asks for other credentials (zookeeper.digest=user:password)`
}

function describeNetwork(error: Error & { code?: string; address?: string; port?: number }): string | null {
  const address = error.address?.includes(':') ? `[${error.address}]` : (error.address ?? '')
  const where = error.port === undefined ? '' : ` on ${address}:${error.port}`
  switch (error.code) {
    case 'EADDRINUSE':
      return `cannot listen${where}: the port is in use; --port N takes another one, --port 0 a free one`
    case 'EACCES':
      return `cannot listen${where}: not permitted`
    case 'EADDRNOTAVAIL':
      return `cannot listen${where}: this machine does not have that address`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `cannot listen: ${error.message}`
    default:
      return null
  }
}

function describeDisk(error: DiskError): string {
  switch (error.code) {
    case 'LOCKED':
      return `the data directory is in use by another broker: ${error.path}`
    case 'NOT_PERMITTED':
      return `not permitted to write: ${error.path}`
    case 'NO_SPACE':
      return `no space left on the disk: ${error.path}`
    default:
      return `${error.message} (${error.path})`
  }
}
