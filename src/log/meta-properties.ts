/** `meta.properties`: whose directory this is. Version 0 (ZooKeeper mode) is written; version 1 is KRaft's. */
import { DiskError, type Disk } from '../env/disk.ts'
import { LogDirError } from './log-dir-error.ts'
import { join, META_PROPERTIES_FILE } from './file-names.ts'

export interface MetaProperties {
  readonly version: number
  /** `broker.id`, or `node.id` in version 1. -1 when absent. */
  readonly brokerId: number
  /** null when absent */
  readonly clusterId: string | null
}

/** null where there is no file. Throws LogDirError FOREIGN_FORMAT where the file cannot be understood. */
export function readMetaProperties(disk: Disk, directory: string): MetaProperties | null {
  const path = join(directory, META_PROPERTIES_FILE)
  let text: string
  try {
    text = disk.readFile(path).toString('latin1')
  } catch (error) {
    if (error instanceof DiskError && error.code === 'NOT_FOUND') return null
    throw error
  }
  const values = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*([^#!=:\s][^=:\s]*)\s*[=:]\s*(.*?)\s*$/.exec(line)
    if (match) values.set(match[1], match[2])
  }
  const version = Number(values.get('version') ?? Number.NaN)
  const brokerId = Number(values.get(version === 1 ? 'node.id' : 'broker.id') ?? -1)
  if ((version !== 0 && version !== 1) || !Number.isSafeInteger(brokerId)) {
    throw new LogDirError('FOREIGN_FORMAT', directory, `${path} is not a meta.properties of version 0 or 1`)
  }
  return { version, brokerId, clusterId: values.get('cluster.id') ?? null }
}

function writeMetaProperties(
  disk: Disk,
  directory: string,
  properties: { brokerId: number; clusterId: string },
): void {
  const text = `broker.id=${properties.brokerId}\ncluster.id=${properties.clusterId}\nversion=0\n`
  disk.replaceFile(join(directory, META_PROPERTIES_FILE), text)
}

/** Reads the file and writes it where it is missing. Throws LogDirError when it names another broker or cluster. */
export function claimMetaProperties(
  disk: Disk,
  directory: string,
  own: { brokerId: number; clusterId: string },
): void {
  const found = readMetaProperties(disk, directory)
  if (found === null) return writeMetaProperties(disk, directory, own)
  const kind = found.version === 1 ? 'KRaft node' : 'broker'
  if (found.brokerId !== -1 && found.brokerId !== own.brokerId) {
    throw new LogDirError(
      'FOREIGN_BROKER',
      directory,
      `${directory} belongs to ${kind} ${found.brokerId}, this is broker ${own.brokerId} (meta.properties)`,
    )
  }
  if (found.clusterId !== null && found.clusterId !== own.clusterId) {
    throw new LogDirError(
      'FOREIGN_CLUSTER',
      directory,
      `${directory} belongs to cluster ${found.clusterId}, this is cluster ${own.clusterId} (meta.properties)`,
    )
  }
  if (found.version === 1) {
    throw new LogDirError(
      'FOREIGN_FORMAT',
      directory,
      `${directory} was formatted for KRaft (meta.properties version 1): use another directory or version 0`,
    )
  }
  if (found.brokerId === -1 || found.clusterId === null) writeMetaProperties(disk, directory, own)
}
