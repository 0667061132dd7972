/** The partition directories in an entry of `log.dirs`. */
import type { Disk } from '../env/disk.ts'
import { join, parsePartitionDirectory, type PartitionName } from './file-names.ts'
import { LogDirError } from './log-dir-error.ts'

/** Directories of Kafka's and of file systems that hold no partition of ours. */
const KNOWN_DIRECTORIES = new Set(['remote-log-index-cache', '__cluster_metadata-0', 'lost+found'])

export interface PartitionDirectory {
  readonly name: string
  readonly partition: PartitionName
}

/** Throws LogDirError FOREIGN_DIRECTORY where a sub-directory is none of Kafka's. Files of other names are let be. */
export function listPartitions(
  disk: Disk,
  path: string,
  others: readonly string[] = [],
): PartitionDirectory[] {
  const found: PartitionDirectory[] = []
  for (const name of disk.list(path)) {
    if (KNOWN_DIRECTORIES.has(name) || others.includes(name)) continue
    const partition = parsePartitionDirectory(name)
    // Before hidden files are passed over: a topic's name may begin with a dot.
    if (partition !== null) found.push({ name, partition })
    else if (name.startsWith('.')) continue
    else if (disk.stat(join(path, name))?.isDirectory) {
      throw new LogDirError(
        'FOREIGN_DIRECTORY',
        path,
        `${join(path, name)} is no partition directory (topic-partition): ${path} seems to hold something else's data`,
      )
    }
  }
  return found
}
