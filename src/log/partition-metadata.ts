/** `partition.metadata`: the topic's id, so that a directory of a deleted topic of the same name is told apart. */
import { DiskError, type Disk } from '../env/disk.ts'
import { join, PARTITION_METADATA_FILE } from './file-names.ts'

/** null when the file is missing or broken. */
export function readTopicId(disk: Disk, directory: string): string | null {
  try {
    const text = disk.readFile(join(directory, PARTITION_METADATA_FILE)).toString('latin1')
    return /^topic_id: ([A-Za-z0-9_-]{22})\s*$/m.exec(text)?.[1] ?? null
  } catch (error) {
    if (error instanceof DiskError && error.code === 'NOT_FOUND') return null
    throw error
  }
}

/** Not synced: the coordination service knows the id, and a file that a crash broke is written again. */
export function writeTopicId(disk: Disk, path: string, topicId: string): void {
  disk.replaceFile(path, `version: 0\ntopic_id: ${topicId}`, { durable: false })
}
